//! Asking a person before something is changed.

use std::io::{self, BufRead, IsTerminal};

use crate::failure::Failure;
use crate::output::plain;

/// Whether somebody is there who can be asked.
#[must_use]
pub fn asks_a_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether the answer to a question is the expected one, in any case of letters.
///
/// # Errors
/// The answer cannot be read.
pub fn answered(
    question: &str,
    expected: &[&str],
    answers: &mut impl BufRead,
) -> Result<bool, Failure> {
    plain(question);
    let mut answer = String::new();
    answers
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    let answer = answer.trim().to_lowercase();
    let yes = expected.contains(&answer.as_str());
    if !yes {
        plain("nothing was changed");
    }
    Ok(yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_words_are_an_answer() {
        let said = |answer: &str| answered("?", &["3"], &mut answer.as_bytes()).unwrap();
        for yes in ["3\n", " 3 \r\n", "3"] {
            assert!(said(yes), "{yes:?}");
        }
        for no in ["", "\n", "y\n", "yes\n", "33\n", "2\n", "\n3\n"] {
            assert!(!said(no), "{no:?}");
        }
    }
}
