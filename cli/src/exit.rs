//! The exit status: one enum, and the rule by which several become one.

use holdfast::report::{Item, Outcome, ReasonCode, Report};

/// How a command ended; the worse one is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, and nothing is wrong.
    Done,
    /// Done, and something needs a person's attention.
    Attention,
    /// Not done.
    Failed,
    /// Wrong usage, or a wrong policy file; not done either, and asking again does not help.
    Usage,
}

impl Exit {
    /// The status for the shell.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Attention => 3,
        }
    }

    /// What two ends are together: the worse.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    /// What the items of a report ask for.
    #[must_use]
    pub fn of_report(report: &Report) -> Self {
        let start = Self::Done;
        report
            .items
            .iter()
            .fold(start, |exit, item| exit.merge(Self::of_item(item)))
    }

    fn of_item(item: &Item) -> Self {
        let has = |code| item.reasons.iter().any(|reason| reason.code == code);
        // An instance-store device can have no snapshot; saying so is all there is to do.
        let only_uncovered = !item.reasons.is_empty()
            && item
                .reasons
                .iter()
                .all(|reason| reason.code == ReasonCode::NotCovered);
        let needed = match item.outcome {
            Outcome::Failed => true,
            Outcome::Finding => !only_uncovered,
            _ => has(ReasonCode::EvidenceIncomplete) || has(ReasonCode::CircuitBreaker),
        };
        if needed { Self::Attention } else { Self::Done }
    }
}

#[cfg(test)]
mod tests {
    use holdfast::report::{Action, Reason, Run};
    use jiff::Timestamp;

    use super::*;

    fn exit_of(items: Vec<Item>) -> Exit {
        let run = Run {
            id: "r".into(),
            function: "plan".into(),
            mode: None,
            now: Timestamp::UNIX_EPOCH,
            account: None,
            region: None,
            policy_sha256: None,
            plan_hash: None,
            complete: true,
            evidence: Vec::new(),
        };
        Exit::of_report(&Report::new(run, items))
    }

    fn item(outcome: Outcome, code: ReasonCode) -> Item {
        Item::new(Action::Delete, "snap-1", outcome).reason(Reason::of(code))
    }

    #[test]
    fn the_statuses_are_the_contracts() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Attention];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3]);
    }

    #[test]
    fn what_was_not_done_outweighs_what_needs_attention() {
        assert_eq!(Exit::Attention.merge(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Usage.merge(Exit::Failed), Exit::Usage);
        assert_eq!(Exit::Attention.merge(Exit::Done), Exit::Attention);
        assert_eq!(Exit::Done.merge(Exit::Done), Exit::Done);
    }

    #[test]
    fn a_backup_held_because_it_is_in_use_is_not_wrong() {
        let items = vec![
            item(Outcome::Held, ReasonCode::UsedByImage),
            item(Outcome::Kept, ReasonCode::RetainLast),
            item(Outcome::Planned, ReasonCode::Expired),
        ];
        assert_eq!(exit_of(items), Exit::Done);
    }

    #[test]
    fn one_item_that_needs_attention_is_enough() {
        for bad in [
            item(Outcome::Failed, ReasonCode::VolumeState),
            item(Outcome::Held, ReasonCode::EvidenceIncomplete),
            item(Outcome::Held, ReasonCode::CircuitBreaker),
            item(Outcome::Finding, ReasonCode::SlotMissed),
        ] {
            let items = vec![item(Outcome::Kept, ReasonCode::RetainLast), bad.clone()];
            assert_eq!(exit_of(items), Exit::Attention, "{bad:?}");
        }
    }

    #[test]
    fn a_device_that_no_snapshot_can_hold_needs_no_attention_by_itself() {
        let uncovered = item(Outcome::Finding, ReasonCode::NotCovered);
        assert_eq!(exit_of(vec![uncovered.clone()]), Exit::Done);
        let more = uncovered.reason(Reason::of(ReasonCode::SlotMissed));
        assert_eq!(exit_of(vec![more]), Exit::Attention);
    }
}
