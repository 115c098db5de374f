#!/bin/sh
# Holds the writes of this machine's data file systems for one snapshot, and lets them go.
#
# What Holdfast calls before and after CreateSnapshots, by the SSM document that infra/template.yaml
# makes of this file. Systems Manager puts the two parameters in where braces stand, with the meaning
# and the exit codes of AWS's own documents for pre- and post-scripts:
#   201 pre-script failed              204 pre-script not expected (one holds, or this one is over)
#   202 post-script failed             205 post-script not expected (nothing is held by it)
#   203 the timer let writes go first  206 not ready for a pre-script
#
# A timer of its own session is armed before the first write is held, and lets all of them go after
# AUTO_THAW seconds, whether or not anybody ever calls again. Never frozen is what the machine needs
# to hear the post-script: the file systems that hold /, /boot, /etc, /run, /tmp, /usr, /var, and the
# agent's own folders. A data file system such as /var/lib/mysql is frozen when it is mounted by
# itself. What lies on the root volume is crash-consistent at best: keep data on volumes of its own.
#
# /etc/holdfast/freeze.conf, where it exists, is read as shell and may set:
#   MOUNTS="/data /var/lib/mysql"  only these; else every ext, XFS and Btrfs file system but those above
#   AUTO_THAW=60                   seconds, 1 to 300
#   HOOKS_SUFFICE=yes              succeed where there is no file system to freeze
#   before_freeze() { …; }         run before the freeze; any failure ends the pre-script
#   after_thaw() { …; }            run after the thaw, also by the timer
# Examples of such functions. InnoDB and PostgreSQL recover from what fsfreeze leaves by themselves;
# these only shorten the recovery, and need credentials of their own (such as root's .my.cnf):
#   MySQL:       before_freeze() { mysql -e 'FLUSH ENGINE LOGS; FLUSH BINARY LOGS'; }
#   PostgreSQL:  before_freeze() { su postgres -c "psql -qc CHECKPOINT"; }
#   MongoDB:     before_freeze() { mongosh --quiet --eval 'db.fsyncLock()'; }
#                after_thaw()    { mongosh --quiet --eval 'db.fsyncUnlock()'; }
set -u
PATH=${HOLDFAST_PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
export PATH

COMMAND='{{ command }}'
EXECUTION='{{ executionId }}'

# A file system in memory, which is never frozen and is empty after a reboot, as no freeze outlives one.
STATE=${HOLDFAST_STATE:-/run/holdfast}
TABLE=${HOLDFAST_MOUNTINFO:-/proc/self/mountinfo}
CONFIG=${HOLDFAST_CONFIG:-/etc/holdfast/freeze.conf}

MOUNTS=
AUTO_THAW=60
HOOKS_SUFFICE=no
before_freeze() { :; }
after_thaw() { :; }

say() { printf '%s\n' "holdfast: $*" >&2; }

end() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

if [ -r "$CONFIG" ]; then
    # shellcheck source=/dev/null
    . "$CONFIG"
fi
case $AUTO_THAW in
'' | *[!0-9]*) end 201 "AUTO_THAW is $AUTO_THAW; it must be a whole number from 1 to 300" ;;
esac
if [ "$AUTO_THAW" -lt 1 ] || [ "$AUTO_THAW" -gt 300 ]; then
    end 201 "AUTO_THAW is $AUTO_THAW; it must be a whole number from 1 to 300"
fi

# What belongs to this freeze while it stands, and after it.
HELD=$STATE/held-$EXECUTION
OVER=$STATE/over/$EXECUTION

# The file systems to freeze, one a line, the ones mounted last first: a file system in a file of
# another must be frozen before that one. Fails where MOUNTS names one that must not be frozen.
data_mounts() {
    awk -v wanted="$MOUNTS" '
        function holds(at, what) {
            return at == "/" || what == at || index(what, at "/") == 1
        }
        {
            for (dash = 7; dash <= NF && $dash != "-"; dash++);
            count++
            device[count] = $3; mount[count] = $5; options[count] = $6
            type[count] = $(dash + 1); source[count] = $(dash + 2)
        }
        END {
            paths = split("/ /boot /boot/efi /etc /run /tmp /usr /usr/bin /usr/sbin /usr/lib /var " \
                "/var/lib /var/lib/amazon /var/log /var/log/amazon /var/tmp /var/snap /snap /root", path, " ")
            for (p = 1; p <= paths; p++) {
                best = 0
                for (n = 1; n <= count; n++)
                    if (holds(mount[n], path[p]) && (!best || length(mount[n]) >= length(mount[best])))
                        best = n
                if (best) { never[device[best]] = 1; never[source[best]] = 1 }
            }
            names = split(wanted, name, " ")
            for (w = 1; w <= names; w++) asked[name[w]] = 1
            for (n = count; n >= 1; n--) {
                if (names && !(mount[n] in asked)) continue
                why = ""
                if (type[n] !~ /^(ext[34]|xfs|btrfs)$/ || source[n] !~ /^\/dev\//) why = "cannot be frozen"
                else if (device[n] in never || source[n] in never) why = "holds what the machine runs on"
                else if (("," options[n] ",") ~ /,ro,/) why = "is read-only"
                else if (mount[n] ~ /\\/) why = "has a blank or a backslash in its path"
                if (why == "" || mount[n] in asked) found[mount[n]] = 1
                if (why != "") {
                    # Not frozen and yet data: the backup would not be what it says.
                    if (mount[n] in asked || why ~ /^has/) {
                        print "holdfast: " mount[n] " " why > "/dev/stderr"
                        failed = 1
                    }
                    continue
                }
                if (!(device[n] in done)) { print mount[n]; done[device[n]] = 1 }
            }
            for (w = 1; w <= names; w++)
                if (!(name[w] in found)) {
                    print "holdfast: " name[w] " is not mounted" > "/dev/stderr"
                    failed = 1
                }
            exit failed
        }' "$TABLE"
}

# Makes this freeze over, for whoever comes first, and notes who: the timer, a pre-script that failed,
# or the post-script.
claim() {
    mv -T "$HELD" "$OVER" 2>/dev/null && echo "$1" >"$OVER/by"
}

# Lets go what OVER lists. Whoever claimed may have been killed half way, or met a file system that was
# not frozen yet, so anybody may do it again: what was let go is noted, one by one.
thaw() {
    left=0
    while read -r mount; do
        grep -Fqx "$mount" "$OVER/gone" 2>/dev/null && continue
        if fsfreeze --unfreeze "$mount"; then
            echo "$mount" >>"$OVER/gone"
        else
            say "cannot thaw $mount"
            left=1
        fi
    done <"$OVER/frozen"
    if [ -e "$OVER/hooked" ]; then
        if after_thaw; then rm -f "$OVER/hooked"; else left=1; fi
    fi
    # Not `: >`, whose failure would end the shell.
    [ "$left" = 0 ] && printf '' >"$OVER/thawed" || return 1
    release
}

# Thaws until nothing is left, TRIES times, PAUSE seconds apart. Another may be at it, too.
thaw_all() {
    tries=0
    until [ -e "$OVER/thawed" ] || thaw; do
        tries=$((tries + 1))
        [ "$tries" -lt "$1" ] && [ -e "$OVER/frozen" ] || return 1
        sleep "$2"
    done
}

# Lets the next execution freeze.
release() {
    [ "$(readlink "$STATE/current")" != "$EXECUTION" ] || rm -f "$STATE/current"
}

timer() {
    printf '' >"$HELD/timer"
    sleep "$AUTO_THAW"
    claim timer
    # The last one that looks. A freeze that began in time may take minutes to come about.
    thaw_all 60 5 || release
}

pre_failed() {
    if claim pre; then
        thaw_all 5 0.2
    fi
    end 201 "$*"
}

arm() {
    # Out of reach of whoever ends this command's process group, and of its output.
    HOLDFAST_TIMER=$EXECUTION setsid sh "$HELD/script" </dev/null >/dev/null 2>&1 &
    tries=0
    until [ -e "$HELD/timer" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 50 ] || return 1
        sleep 0.1
    done
}

pre() {
    for tool in awk fsfreeze mv setsid sleep; do
        command -v "$tool" >/dev/null || end 206 "$tool is not installed"
    done
    mkdir -p "$STATE/over" || end 206 "cannot write to $STATE"
    chmod 700 "$STATE"
    # What a killed command left behind; its timer, if it had one, fired long ago.
    find "$STATE" -maxdepth 1 -name current -mmin +15 -exec rm -f {} +
    find "$STATE/over" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
    [ ! -e "$OVER" ] || end 204 "execution $EXECUTION is over"
    if ! ln -s "$EXECUTION" "$STATE/current" 2>/dev/null; then
        if [ -e "$HELD/ready" ]; then
            say "writes are held for $EXECUTION already"
            exit 0
        fi
        end 204 "writes are held for $(readlink "$STATE/current")"
    fi
    if ! { mkdir "$HELD" && printf '' >"$HELD/frozen" && cp "$0" "$HELD/script"; }; then
        rm -rf "$HELD" "$STATE/current"
        end 201 "cannot keep account of a freeze in $STATE"
    fi
    data_mounts >"$HELD/mounts" || pre_failed "not every file system can be frozen"
    if [ ! -s "$HELD/mounts" ] && [ "$HOOKS_SUFFICE" != yes ]; then
        pre_failed "there is no data file system to freeze"
    fi
    # Before anything is held, the database's locks included.
    arm || pre_failed "the timer could not be armed"
    printf '' >"$HELD/hooked" || end 201 "the timer came first"
    before_freeze || pre_failed "before_freeze failed"
    while read -r mount; do
        # Listed first: whoever thaws in the meantime knows of it.
        echo "$mount" >>"$HELD/frozen" || end 201 "the timer came before $mount was frozen"
        if ! fsfreeze --freeze "$mount"; then
            grep -Fvx "$mount" "$HELD/frozen" >"$HELD/frozen.new"
            mv "$HELD/frozen.new" "$HELD/frozen"
            pre_failed "cannot freeze $mount"
        fi
        if [ ! -e "$HELD/frozen" ]; then
            # Unless the timer has seen to it already.
            fsfreeze --unfreeze "$mount" && echo "$mount" >>"$OVER/gone"
            end 201 "the timer came while $mount was being frozen"
        fi
    done <"$HELD/mounts"
    printf '' >"$HELD/ready" || end 201 "the timer came first"
    say "writes are held, for $AUTO_THAW s at most"
}

post() {
    mkdir -p "$STATE/over" || end 202 "cannot write to $STATE"
    claim post
    if [ ! -e "$OVER/frozen" ]; then
        # A pre-script that is still on its way comes too late.
        mkdir -p "$OVER"
        release
        end 205 "nothing is held for $EXECUTION"
    fi
    thaw_all 5 0.2 || end 202 "not every file system could be thawed"
    case $(cat "$OVER/by" 2>/dev/null) in
    post) say "writes go on" ;;
    timer) end 203 "the timer let writes go before" ;;
    pre) end 205 "nothing is held for $EXECUTION: its pre-script failed" ;;
    # Whoever it was has been killed, and may have been the timer.
    *) end 203 "writes went on before" ;;
    esac
}

if [ "${HOLDFAST_TIMER:-}" = "$EXECUTION" ]; then
    timer
    exit
fi
case $COMMAND in
dry-run) exit 0 ;;
pre-script | post-script) ;;
*) end 201 "$COMMAND is no command" ;;
esac
case $EXECUTION in
*[!0-9A-Za-z-]* | '' | None) end 201 "executionId is $EXECUTION; it must be a UUID" ;;
esac
case $COMMAND in
pre-script) pre ;;
post-script) post ;;
esac
