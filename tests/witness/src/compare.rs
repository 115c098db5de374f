//! Holds the answers of both sides against the table. Pure.

use crate::expectation::{Difference, Expected};
use crate::stage::Answer;

/// Stands for the answer of a side that a scenario did not get so far with.
pub const NOT_REACHED: &str = "not reached";

/// Why a line of the table does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The sides differ where no difference is listed.
    #[error("a difference that is not listed")]
    Unlisted,
    /// The sides agree where a difference is listed.
    #[error("the listed difference has vanished")]
    Vanished,
    /// The sides differ, but not as listed.
    #[error("they differ otherwise than listed")]
    OtherDifference,
    /// The sides agree on something else than the table says.
    #[error("both answer otherwise than listed")]
    OtherAnswer,
    /// The scenario asked something that the table does not know.
    #[error("the table has no line for this")]
    NotInTable,
    /// The table lists something that neither side was asked.
    #[error("listed, but never asked")]
    NeverAsked,
    /// One scenario notes, or one table lists, the same thing twice.
    #[error("asked or listed twice")]
    Twice,
    /// The table lists a difference between equal answers, or equality of different ones.
    #[error("the line contradicts itself")]
    Contradiction,
}

/// One line of a scenario's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was asked.
    pub asked: String,
    /// The simulated account's answer.
    pub simulated: String,
    /// moto's answer.
    pub moto: String,
    /// The listed difference, if one is listed.
    pub difference: Option<Difference>,
    /// Why the line fails; absent where everything is as listed.
    pub problem: Option<Problem>,
}

/// Judges what a scenario heard: a verdict for every line of the table in its order, then one for
/// every answer that the table does not know.
#[must_use]
pub fn judge(expected: &[Expected], simulated: &[Answer], moto: &[Answer]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = expected
        .iter()
        .map(|line| {
            let listed = expected.iter().filter(|e| e.asked == line.asked).count();
            line_verdict(line, listed, simulated, moto)
        })
        .collect();
    for answer in simulated.iter().chain(moto) {
        if verdicts.iter().any(|v| v.asked == answer.asked) {
            continue;
        }
        verdicts.push(Verdict {
            asked: answer.asked.to_owned(),
            simulated: heard(simulated, answer.asked).to_owned(),
            moto: heard(moto, answer.asked).to_owned(),
            difference: None,
            problem: Some(Problem::NotInTable),
        });
    }
    verdicts
}

fn line_verdict(line: &Expected, listed: usize, simulated: &[Answer], moto: &[Answer]) -> Verdict {
    let times = |side: &[Answer]| side.iter().filter(|a| a.asked == line.asked).count();
    let (by_simulated, by_moto) = (heard(simulated, line.asked), heard(moto, line.asked));
    let as_listed = by_simulated == line.simulated && by_moto == line.moto;
    let problem = if (line.simulated == line.moto) == line.difference.is_some() {
        Some(Problem::Contradiction)
    } else if listed > 1 || times(simulated) > 1 || times(moto) > 1 {
        Some(Problem::Twice)
    } else if times(simulated) + times(moto) == 0 {
        Some(Problem::NeverAsked)
    } else if as_listed {
        None
    } else {
        Some(match (line.difference.is_some(), by_simulated == by_moto) {
            (true, true) => Problem::Vanished,
            (true, false) => Problem::OtherDifference,
            (false, true) => Problem::OtherAnswer,
            (false, false) => Problem::Unlisted,
        })
    };
    Verdict {
        asked: line.asked.to_owned(),
        simulated: by_simulated.to_owned(),
        moto: by_moto.to_owned(),
        difference: line.difference,
        problem,
    }
}

fn heard<'a>(side: &'a [Answer], asked: &str) -> &'a str {
    side.iter()
        .find(|a| a.asked == asked)
        .map_or(NOT_REACHED, |a| a.answer.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::{Right, agree, differ};

    const DIFFERENT: Expected = differ("state", "pending", "completed", Right::Simulated, "why");
    const SAME: Expected = agree("state", "pending");

    fn side(answers: &[(&'static str, &str)]) -> Vec<Answer> {
        answers
            .iter()
            .map(|(asked, answer)| Answer {
                asked,
                answer: (*answer).to_owned(),
            })
            .collect()
    }

    fn problem(line: Expected, simulated: &str, moto: &str) -> Option<Problem> {
        let verdicts = judge(
            &[line],
            &side(&[("state", simulated)]),
            &side(&[("state", moto)]),
        );
        assert_eq!(verdicts.len(), 1);
        verdicts[0].problem
    }

    #[test]
    fn answers_as_listed_pass() {
        assert_eq!(problem(DIFFERENT, "pending", "completed"), None);
        assert_eq!(problem(SAME, "pending", "pending"), None);
    }

    #[test]
    fn a_listed_difference_that_vanished_fails() {
        for answer in ["pending", "completed", "error"] {
            assert_eq!(problem(DIFFERENT, answer, answer), Some(Problem::Vanished));
        }
    }

    #[test]
    fn a_difference_that_is_not_listed_fails() {
        for (simulated, moto) in [("pending", "completed"), ("completed", "pending")] {
            assert_eq!(problem(SAME, simulated, moto), Some(Problem::Unlisted));
        }
    }

    #[test]
    fn a_difference_other_than_the_listed_one_fails() {
        for (simulated, moto) in [("completed", "pending"), ("pending", "error")] {
            assert_eq!(
                problem(DIFFERENT, simulated, moto),
                Some(Problem::OtherDifference)
            );
        }
    }

    #[test]
    fn agreeing_on_something_else_than_listed_fails() {
        assert_eq!(problem(SAME, "error", "error"), Some(Problem::OtherAnswer));
    }

    #[test]
    fn an_answer_that_one_side_never_gave_is_a_difference() {
        let verdicts = judge(&[SAME], &side(&[("state", "pending")]), &[]);
        assert_eq!(verdicts[0].moto, NOT_REACHED);
        assert_eq!(verdicts[0].problem, Some(Problem::Unlisted));
    }

    #[test]
    fn an_answer_without_a_line_and_a_line_without_an_answer_fail() {
        let verdicts = judge(&[SAME], &side(&[("count", "1")]), &side(&[("count", "1")]));
        let problems: Vec<_> = verdicts.iter().map(|v| v.problem).collect();
        assert_eq!(
            problems,
            [Some(Problem::NeverAsked), Some(Problem::NotInTable)]
        );
    }

    #[test]
    fn what_is_asked_or_listed_twice_fails() {
        let twice = side(&[("state", "pending"), ("state", "pending")]);
        let once = side(&[("state", "pending")]);
        assert_eq!(
            judge(&[SAME], &twice, &once)[0].problem,
            Some(Problem::Twice)
        );
        assert!(
            judge(&[SAME, SAME], &once, &once)
                .iter()
                .all(|v| v.problem == Some(Problem::Twice))
        );
    }

    #[test]
    fn a_line_that_contradicts_itself_fails_whatever_is_answered() {
        let equal = differ("state", "pending", "pending", Right::Unknown, "why");
        assert_eq!(
            problem(equal, "pending", "pending"),
            Some(Problem::Contradiction)
        );
    }
}
