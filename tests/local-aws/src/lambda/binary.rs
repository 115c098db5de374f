//! Where the binaries of the functions lie.

use std::path::{Path, PathBuf};

/// There is no executable for a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no executable for {name} at {path}; build it first (cargo build -p {name}) or name it in {variable}"
)]
pub struct BinaryNotFound {
    /// The function.
    pub name: String,
    /// Where it was looked for.
    pub path: PathBuf,
    /// The variable that overrides the place.
    pub variable: String,
}

impl BinaryNotFound {
    pub(super) fn at(name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
            variable: override_variable(name),
        }
    }
}

fn override_variable(name: &str) -> String {
    format!("HOLDFAST_BINARY_{}", name.to_uppercase().replace('-', "_"))
}

/// The executable of a function: what `HOLDFAST_BINARY_NAME` names (upper case, `-` as `_`), else
/// `NAME` beside the running program's own, so that a debug test runs debug binaries.
///
/// # Errors
///
/// There is no such file.
pub fn find_binary(name: &str) -> Result<PathBuf, BinaryNotFound> {
    let path = match std::env::var_os(override_variable(name)) {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe().unwrap_or_default();
            profile_directory(&own).join(name)
        }
    };
    if path.is_file() {
        Ok(path)
    } else {
        Err(BinaryNotFound::at(name, path))
    }
}

/// `target/PROFILE` for a program in it; tests lie in `deps`, examples in `examples` below it.
fn profile_directory(program: &Path) -> PathBuf {
    let directory = program.parent().unwrap_or(Path::new(""));
    let below = directory
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    match directory.parent() {
        Some(parent) if below => parent.to_owned(),
        _ => directory.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_programs_find_the_binaries_of_their_own_profile() {
        for program in [
            "target/debug/deps/host-1a2b",
            "target/debug/examples/demo",
            "target/debug/local-aws",
        ] {
            assert_eq!(
                profile_directory(Path::new(program)),
                Path::new("target/debug")
            );
        }
    }

    #[test]
    fn a_missing_binary_says_how_to_get_it() {
        let message = find_binary("no-such-function").unwrap_err().to_string();
        assert!(
            message.contains("cargo build -p no-such-function"),
            "{message}"
        );
        assert!(
            message.contains("HOLDFAST_BINARY_NO_SUCH_FUNCTION"),
            "{message}"
        );
    }
}
