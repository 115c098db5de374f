#!/usr/bin/env bash
# The witness: the same SDK calls to the simulated EC2 account and to moto, held against the table of
# listed differences. Needs Rust and Python 3; installs moto, pinned, into a cache outside the clone.
# Arguments go to the binary, such as `--only image`.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=${HOLDFAST_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-ci}
# The release whose answers the table lists.
moto=$(sed -n 's/^pub const VERSION: &str = "\(.*\)";$/\1/p' tests/witness/src/moto.rs)
venv="$cache/moto-$moto"
if ! "$venv/bin/python" -c 'import flask, flask_cors, moto.server' >/dev/null 2>&1; then
    echo "Installing moto $moto into the cache." >&2
    rm -rf "$venv"
    mkdir -p "$cache"
    python3 -m venv "$venv"
    # moto[server] would bring every service; EC2 alone needs these.
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        "moto[ec2]==$moto" flask==3.1.3 flask-cors==6.0.5
fi
# The whole workspace: a single package would compile the SDK again, with other features.
cargo build --quiet --locked --workspace --bins
exec "${CARGO_TARGET_DIR:-target}/debug/witness" --moto-server "$venv/bin/moto_server" "$@"
