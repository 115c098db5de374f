//! Asking a person before something is done.

use std::io::{self, BufRead, IsTerminal};

use crate::failure::Failure;
use crate::output::plain;

/// The words that are a yes.
pub const YES: [&str; 2] = ["y", "yes"];

/// Whether somebody is there who can be asked.
#[must_use]
pub fn asks_a_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A question about what was shown.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The question.
    pub words: &'a str,
    /// The answers that are a yes, in any case of letters.
    pub expected: &'a [&'a str],
    /// What is so when it is not done: `nothing was made`.
    pub otherwise: &'static str,
}

impl Question<'_> {
    /// Whether the person at the terminal wants it, and it is `still` as it was shown: an answer takes
    /// time, in which the account may have changed.
    ///
    /// # Errors
    /// The answer cannot be read, or it is no longer so.
    pub async fn ask(
        self,
        still: impl AsyncFnOnce() -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let line = answer(self.words, &mut io::stdin().lock())?;
        self.settle(&line, still).await
    }

    async fn settle(
        self,
        answer: &str,
        still: impl AsyncFnOnce() -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let answer = answer.trim().to_lowercase();
        if !self.expected.contains(&answer.as_str()) {
            plain(self.otherwise);
            return Ok(false);
        }
        if !still().await? {
            return Err(Failure::failed(format!(
                "what stands in the account is no longer what was shown; {}: run the command again",
                self.otherwise
            )));
        }
        Ok(true)
    }
}

fn answer(question: &str, answers: &mut impl BufRead) -> Result<String, Failure> {
    plain(question);
    let mut answer = String::new();
    answers
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn question<'a>(expected: &'a [&'a str]) -> Question<'a> {
        Question {
            words: "?",
            expected,
            otherwise: "nothing was made",
        }
    }

    /// What comes of an answer, and whether it was looked up if all is still so.
    async fn said(expected: &[&str], line: &str) -> (bool, bool) {
        let mut looked = false;
        let line = answer("?", &mut line.as_bytes()).unwrap();
        let still = async || {
            looked = true;
            Ok(true)
        };
        let said = question(expected).settle(&line, still).await.unwrap();
        (said, looked)
    }

    #[tokio::test]
    async fn only_a_plain_yes_is_one() {
        for yes in ["y\n", "Y\n", "yes\n", " YES \r\n", "y"] {
            assert_eq!(said(&YES, yes).await, (true, true), "{yes:?}");
        }
        // The last is a terminal that was closed.
        for no in ["\n", "n\n", "no\n", "yess\n", "y n\n", "j\n", "\ny\n", ""] {
            assert_eq!(said(&YES, no).await, (false, false), "{no:?}");
        }
    }

    #[tokio::test]
    async fn only_the_number_itself_is_a_number_typed_back() {
        for yes in ["3\n", " 3 \r\n", "3"] {
            assert_eq!(said(&["3"], yes).await, (true, true), "{yes:?}");
        }
        for no in ["", "\n", "y\n", "yes\n", "33\n", "2\n", "\n3\n"] {
            assert_eq!(said(&["3"], no).await, (false, false), "{no:?}");
        }
    }

    #[tokio::test]
    async fn an_account_that_changed_while_the_person_thought_is_left_alone() {
        let changed = question(&YES).settle("y\n", async || Ok(false)).await;
        let failure = changed.unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.message.contains("nothing was made"), "{failure:?}");
    }
}
