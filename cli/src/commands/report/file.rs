//! Writing the page.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Writes a file whole: who reads it meanwhile, or after an interruption, sees the former one.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    // What is no plain file, such as /dev/stdout, has no neighbour to be renamed from.
    let is_special = fs::metadata(path).is_ok_and(|known| !known.is_file());
    let written = if is_special {
        fs::write(path, text)
    } else {
        beside(path, text)
    };
    written.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn beside(path: &Path, text: &str) -> io::Result<()> {
    let part = part(path);
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // It is in nobody's way, and the first error is the one to be told.
        let _ = fs::remove_file(&part);
    }
    written
}

/// A name beside the file's, of this process alone.
fn part(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_page_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_page_that_cannot_be_written_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let failure = write(&folder.path().join("none/page.html"), "one").unwrap_err();
        assert!(failure.message.contains("page.html"), "{failure:?}");
    }
}
