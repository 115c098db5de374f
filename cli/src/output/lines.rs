//! The contract's report with more in its items than the contract has.

use std::collections::BTreeMap;

use holdfast::report::{Item, Outcome, Report, Run};
use serde::Serialize;

use super::{print, print_json};
use crate::exit::Exit;
use crate::failure::Failure;

/// A report whose items are lines of a command's own: the contract's item, and keys beside it.
#[derive(Debug, Serialize)]
pub struct Lines<L> {
    schema: u32,
    /// The report's head.
    pub run: Run,
    summary: BTreeMap<Outcome, u64>,
    /// The lines, in the order they were given.
    #[serde(rename = "items")]
    pub lines: Vec<L>,
    /// What they ask for.
    #[serde(skip)]
    pub exit: Exit,
}

impl<L: AsMut<Item> + Serialize> Lines<L> {
    /// The report of these lines, in which times are whole seconds.
    pub fn new(run: Run, mut lines: Vec<L>) -> Self {
        let items = lines.iter_mut().map(|line| line.as_mut().clone()).collect();
        let report = Report::new(run, items);
        let exit = Exit::of_report(&report);
        for (line, item) in lines.iter_mut().zip(report.items) {
            *line.as_mut() = item;
        }
        Self {
            schema: report.schema,
            run: report.run,
            summary: report.summary,
            lines,
            exit,
        }
    }

    /// Prints it for programs, or as what `people` make of it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn show(&self, json: bool, people: impl FnOnce(&Self) -> String) -> Result<Exit, Failure> {
        match json {
            true => self.print_json()?,
            false => print(&people(self))?,
        }
        Ok(self.exit)
    }

    /// Prints it for programs.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print_json(&self) -> Result<(), Failure> {
        print_json(self)
    }
}

#[cfg(test)]
mod tests {
    use holdfast::report::Action;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::commands::head;

    #[derive(Debug, Serialize)]
    struct Line {
        #[serde(flatten)]
        item: Item,
        more: u8,
    }

    impl AsMut<Item> for Line {
        fn as_mut(&mut self) -> &mut Item {
            &mut self.item
        }
    }

    #[test]
    fn a_line_has_the_contracts_keys_in_whole_seconds_and_its_own_beside_them() {
        let line = |id: &str, outcome, more| Line {
            item: Item {
                time: Some("2026-11-20T03:00:11.5Z".parse().unwrap()),
                ..Item::new(Action::Check, id, outcome)
            },
            more,
        };
        let lines = vec![
            line("snap-2", Outcome::Failed, 2),
            line("snap-1", Outcome::Kept, 1),
        ];
        let report = Lines::new(head("ls", Timestamp::UNIX_EPOCH), lines);
        assert_eq!(report.exit, Exit::Attention);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["summary"], json!({ "failed": 1, "kept": 1 }));
        let item = |id: &str, outcome: &str, more: u8| {
            json!({
                "action": "check", "resource": id, "outcome": outcome,
                "time": "2026-11-20T03:00:11Z", "more": more,
            })
        };
        let items = json!([item("snap-2", "failed", 2), item("snap-1", "kept", 1)]);
        assert_eq!(json["items"], items);
    }
}
