//! The files that outputs are compared with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Set to 1, the files are written instead of compared with.
pub const UPDATE: &str = "HOLDFAST_UPDATE_GOLDEN";

/// Compares with the files of a folder, and remembers what differs.
pub struct Golden {
    folder: PathBuf,
    update: bool,
    used: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Golden {
    /// The files beside the tests.
    pub fn open() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        Self {
            folder,
            update: std::env::var(UPDATE).is_ok_and(|value| value == "1"),
            used: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Compares a text with the file of that name, or writes it.
    pub fn check(&mut self, name: &str, text: &str) {
        assert!(self.used.insert(name.to_owned()), "{name} is used twice");
        let path = self.folder.join(name);
        if self.update {
            fs::write(&path, text).unwrap();
            return;
        }
        match fs::read_to_string(&path) {
            Ok(wanted) if wanted == text => {}
            Ok(wanted) => self
                .wrong
                .push(format!("{name}: {}", difference(&wanted, text))),
            Err(error) => self.wrong.push(format!("{name}: {error}")),
        }
    }

    /// Fails where anything differs, or a file belongs to nothing any more.
    pub fn finish(mut self) {
        for entry in fs::read_dir(&self.folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if self.used.contains(&name) {
                continue;
            }
            match self.update {
                true => fs::remove_file(entry.path()).unwrap(),
                false => self
                    .wrong
                    .push(format!("{name}: nothing is compared with it")),
            }
        }
        assert!(
            self.wrong.is_empty(),
            "{}\n\n{} of {} golden files differ; where the new output is right, read the change after \
             {UPDATE}=1 cargo test --test golden",
            self.wrong.join("\n\n"),
            self.wrong.len(),
            self.used.len()
        );
    }
}

/// The first lines in which two texts differ.
fn difference(wanted: &str, text: &str) -> String {
    const SHOWN: usize = 12;
    let (old, new): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), text.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let back = old.iter().rev().zip(new.iter().rev());
    let tail = back.take_while(|(a, b)| a == b).count();
    let lines = |mark: char, lines: &[&str]| -> String {
        let middle = &lines[..lines.len() - tail];
        let shown = middle
            .iter()
            .take(SHOWN)
            .map(|line| format!("\n{mark} {line}"));
        shown.collect()
    };
    format!(
        "from line {}{}{}",
        same + 1,
        lines('-', old),
        lines('+', new)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let shown = difference("a\nb\nc\nd\n", "a\nx\ny\nd\n");
        assert_eq!(shown, "from line 2\n- b\n- c\n+ x\n+ y");
        assert_eq!(difference("a\n", "a\nb\n"), "from line 2\n+ b");
    }
}
