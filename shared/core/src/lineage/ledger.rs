//! The run ledger: what was asked of EC2 for each policy, slot and source.
//!
//! EC2's creating calls have no client token, so a record is written before each call and decides
//! after a crash or a lost response what may be asked for again.

use jiff::{SignedDuration, Timestamp};

use crate::policy::Trigger;

/// For how long after a recorded request an artifact that cannot be found may still turn up.
///
/// Lists lag behind creation (EC2 Developer Guide, "Eventual consistency"); only after this time
/// without a trace is it asked for again.
pub const TRACE_WAIT: SignedDuration = SignedDuration::from_mins(2);

/// How far a creation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// It is going to be asked for.
    Intended,
    /// It is being asked for; whether EC2 heard is not known.
    Requested,
    /// EC2 answered with the artifacts' identifiers.
    Created,
    /// The artifacts are complete.
    Completed,
    /// There is no artifact, and the last attempt failed.
    Failed,
}

impl SlotState {
    /// Whether EC2 has made the artifacts, as far as the ledger knows.
    #[must_use]
    pub fn is_made(self) -> bool {
        match self {
            Self::Created | Self::Completed => true,
            Self::Intended | Self::Requested | Self::Failed => false,
        }
    }

    /// Its spelling in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Requested => "requested",
            Self::Created => "created",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state for a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Intended,
            Self::Requested,
            Self::Created,
            Self::Completed,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// What happens to a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// Preparations begin.
    Intend,
    /// The call is about to be sent.
    Request,
    /// EC2 answered, or the artifact was found.
    Create,
    /// The artifact completed.
    Complete,
    /// EC2 refused, or the artifact failed.
    Fail,
}

/// A step that the ledger does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger does not go from {from:?} by {step:?}")]
pub struct IllegalStep {
    /// The state before; `None` where there is no record.
    pub from: Option<SlotState>,
    /// What was attempted.
    pub step: SlotStep,
}

/// The state after a step. Total: every pair has an answer or an error.
///
/// # Errors
/// [`IllegalStep`] for a step that would lose an artifact or invent one.
pub fn step(from: Option<SlotState>, step: SlotStep) -> Result<SlotState, IllegalStep> {
    use SlotState::{Completed, Created, Failed, Intended, Requested};
    match (from, step) {
        (None | Some(Intended | Failed), SlotStep::Intend) => Ok(Intended),
        // Requested again only after `TRACE_WAIT` without a trace: see `next_move`.
        (None | Some(Intended | Requested | Failed), SlotStep::Request) => Ok(Requested),
        (Some(Requested | Created), SlotStep::Create) => Ok(Created),
        // Found by its tags although the record says that it failed or was never sent.
        (Some(Intended | Failed), SlotStep::Create) => Ok(Created),
        (Some(Requested | Created | Completed), SlotStep::Complete) => Ok(Completed),
        // Without a record: it was never asked for, because it cannot be.
        (None | Some(Intended | Requested | Created | Failed), SlotStep::Fail) => Ok(Failed),
        (None, SlotStep::Create | SlotStep::Complete)
        | (Some(Requested | Created | Completed), SlotStep::Intend)
        | (Some(Created | Completed), SlotStep::Request)
        | (Some(Completed), SlotStep::Create | SlotStep::Fail)
        | (Some(Intended | Failed), SlotStep::Complete) => Err(IllegalStep { from, step }),
    }
}

/// The record of one (policy, slot, source).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRecord {
    /// The policy.
    pub policy: String,
    /// The slot, UTC.
    pub slot: Timestamp,
    /// What the call names: an instance or a volume.
    pub source: String,
    /// The on-demand request it answers: one that falls on a scheduled slot is not that slot.
    pub request: Option<String>,
    /// The state change that asked for it, where one did.
    pub trigger: Option<Trigger>,
    /// Whether a scheduled slot asked for it: by itself, or beside an event of the same second.
    pub scheduled: bool,
    /// How far it has come.
    pub state: SlotState,
    /// The run that wrote it last.
    pub run: String,
    /// How many times it was asked for.
    pub attempt: u32,
    /// When the call was last about to be sent, on the wall clock.
    pub requested_at: Option<Timestamp>,
    /// Whether a call that may have rebooted the instance was sent: a slot reboots at most once.
    pub rebooted: bool,
    /// What EC2 made, by the last attempt.
    pub artifacts: Vec<String>,
    /// What earlier attempts made and EC2 failed to complete; never taken for the backup.
    pub lost: Vec<String>,
    /// How many times EC2 failed what it had started.
    pub failures: u32,
    /// When that was last seen, on the wall clock.
    pub failed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether asking again with the same words cannot help.
    pub permanent: bool,
    /// Whether that is the event's end alone, as when its machine has moved on: a scheduled slot of
    /// the same second asks all the same.
    pub event_over: bool,
    /// Fencing token of the lease under which it was written last.
    pub fence: u64,
}

/// How often a backup is started for one policy, slot and source when EC2 fails it each time.
pub const MAX_STARTS: u32 = 3;

impl SlotRecord {
    /// When the backup may be started again after EC2 failed it: 15 minutes after the first
    /// failure, an hour after a later one. `None` when there was none, or when there were enough.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        let failed_at = self.failed_at?;
        match self.failures {
            0 => None,
            1 => Some(failed_at + SignedDuration::from_mins(15)),
            n if n < MAX_STARTS => Some(failed_at + SignedDuration::from_hours(1)),
            _ => None,
        }
    }

    /// The record of what EC2 may have been asked for, once the other kind of asking counts on it
    /// too: an event (with its trigger), or a scheduled slot (`None`) of the same second. None where
    /// it says so already, or where that one asks anew and so writes it.
    #[must_use]
    pub fn joined(&self, trigger: Option<Trigger>) -> Option<Self> {
        let asked = self.state == SlotState::Requested || self.state.is_made();
        if !asked || self.request.is_some() {
            return None;
        }
        match trigger {
            Some(_) => self.trigger.is_none().then(|| Self {
                trigger,
                ..self.clone()
            }),
            None => (!self.scheduled).then(|| Self {
                scheduled: true,
                ..self.clone()
            }),
        }
    }

    /// The record of a source that was not made before its slot was over: it is not asked for again.
    ///
    /// # Errors
    /// [`IllegalStep`] when it is recorded as completed.
    pub fn missed(&self, words: &str) -> Result<Self, IllegalStep> {
        Ok(Self {
            state: step(Some(self.state), SlotStep::Fail)?,
            error: Some(words.to_owned()),
            permanent: true,
            ..self.clone()
        })
    }

    /// The record after EC2 failed what it had started; the artifacts become lost ones.
    ///
    /// # Errors
    /// [`IllegalStep`] when it is recorded as completed.
    pub fn failed_in_ec2(&self, words: &str, wall: Timestamp) -> Result<Self, IllegalStep> {
        let mut lost = self.lost.clone();
        lost.extend(self.artifacts.iter().cloned());
        Ok(Self {
            state: step(Some(self.state), SlotStep::Fail)?,
            artifacts: Vec::new(),
            lost,
            failures: self.failures + 1,
            failed_at: Some(wall),
            error: Some(words.to_owned()),
            permanent: self.failures + 1 >= MAX_STARTS,
            ..self.clone()
        })
    }
}

/// What a run does about one source of a due slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing: it is made, or cannot be.
    Nothing,
    /// Ask for it.
    Ask,
    /// Not before this time, on the wall clock: EC2 failed what it had started.
    Wait(Timestamp),
    /// Look for a trace of the earlier request; adopt it, or ask again if `then_ask`.
    Look {
        /// Whether enough time has passed to ask again when there is no trace.
        then_ask: bool,
    },
}

/// What to do about a source, given its record and the wall clock.
///
/// A request dated in the future (a clock that jumped) waits: that may delay a backup by the jump
/// but never doubles it.
#[must_use]
pub fn next_move(record: Option<&SlotRecord>, wall: Timestamp) -> Move {
    let Some(record) = record else {
        return Move::Ask;
    };
    match record.state {
        SlotState::Created | SlotState::Completed => Move::Nothing,
        SlotState::Failed if record.permanent => Move::Nothing,
        SlotState::Failed => match record.retry_at().filter(|at| wall < *at) {
            Some(at) => Move::Wait(at),
            None => Move::Ask,
        },
        SlotState::Intended => Move::Ask,
        SlotState::Requested => Move::Look {
            then_ask: record
                .requested_at
                .is_some_and(|at| wall.duration_since(at) >= TRACE_WAIT),
        },
    }
}

/// What a scheduled slot does about a source: the end of an event of the same second does not bind
/// it.
#[must_use]
pub fn slot_move(record: Option<&SlotRecord>, wall: Timestamp) -> Move {
    match record.filter(|record| record.event_over) {
        Some(over) => {
            let open = SlotRecord {
                permanent: false,
                ..over.clone()
            };
            next_move(Some(&open), wall)
        }
        None => next_move(record, wall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: SlotState, requested_at: Timestamp) -> SlotRecord {
        SlotRecord {
            policy: "p".into(),
            slot: Timestamp::UNIX_EPOCH,
            source: "vol-1".into(),
            request: None,
            trigger: None,
            scheduled: true,
            state,
            run: "r".into(),
            attempt: 1,
            requested_at: Some(requested_at),
            rebooted: false,
            artifacts: vec![],
            lost: vec![],
            failures: 0,
            failed_at: None,
            error: None,
            permanent: false,
            event_over: false,
            fence: 1,
        }
    }

    #[test]
    fn a_request_is_repeated_only_after_two_minutes_without_a_trace() {
        let at = Timestamp::UNIX_EPOCH;
        let record = record(SlotState::Requested, at);
        let after = |seconds| next_move(Some(&record), at + SignedDuration::from_secs(seconds));
        assert_eq!(after(0), Move::Look { then_ask: false });
        assert_eq!(after(119), Move::Look { then_ask: false });
        assert_eq!(after(120), Move::Look { then_ask: true });
        assert_eq!(after(-3600), Move::Look { then_ask: false });
    }

    #[test]
    fn what_was_created_is_never_asked_for_again() {
        use SlotState::{Completed, Created};
        for state in [Created, Completed] {
            assert!(step(Some(state), SlotStep::Request).is_err());
            assert!(step(Some(state), SlotStep::Intend).is_err());
            let old = record(state, Timestamp::UNIX_EPOCH);
            assert_eq!(next_move(Some(&old), Timestamp::now()), Move::Nothing);
        }
    }

    #[test]
    fn a_backup_that_ec2_fails_is_started_three_times_a_quarter_and_an_hour_apart() {
        let at = Timestamp::UNIX_EPOCH;
        let minutes = |n| at + SignedDuration::from_mins(n);
        let once = record(SlotState::Created, at)
            .failed_in_ec2("x", at)
            .unwrap();
        assert_eq!(next_move(Some(&once), minutes(14)), Move::Wait(minutes(15)));
        assert_eq!(next_move(Some(&once), minutes(15)), Move::Ask);
        let again = SlotRecord {
            state: SlotState::Created,
            ..once
        };
        let twice = again.failed_in_ec2("x", at).unwrap();
        assert_eq!(
            next_move(Some(&twice), minutes(59)),
            Move::Wait(minutes(60))
        );
        assert_eq!(next_move(Some(&twice), minutes(60)), Move::Ask);
        let again = SlotRecord {
            state: SlotState::Created,
            ..twice
        };
        let thrice = again.failed_in_ec2("x", at).unwrap();
        assert_eq!(next_move(Some(&thrice), minutes(600)), Move::Nothing);
    }

    #[test]
    fn what_ec2_failed_is_remembered_as_lost() {
        let at = Timestamp::UNIX_EPOCH;
        let made = SlotRecord {
            artifacts: vec!["snap-1".into()],
            ..record(SlotState::Created, at)
        };
        let failed = made.failed_in_ec2("a key is disabled", at).unwrap();
        assert_eq!(failed.lost, ["snap-1"]);
        assert!(failed.artifacts.is_empty());
        assert!(
            record(SlotState::Completed, at)
                .failed_in_ec2("x", at)
                .is_err()
        );
    }

    /// Every pair, by hand: rows are where a creation stands, columns what happens to it; `-` is
    /// refused.
    #[test]
    fn every_step_from_every_state_is_allowed_or_refused_as_the_table_says() {
        let steps = [
            SlotStep::Intend,
            SlotStep::Request,
            SlotStep::Create,
            SlotStep::Complete,
            SlotStep::Fail,
        ];
        for (from, row) in [
            ("", "intended requested - - failed"),
            ("intended", "intended requested created - failed"),
            ("requested", "- requested created completed failed"),
            ("created", "- - created completed failed"),
            ("completed", "- - - completed -"),
            ("failed", "intended requested created - failed"),
        ] {
            let from = SlotState::parse(from);
            let to = steps.map(|one| step(from, one).map_or("-", SlotState::as_str));
            assert_eq!(to.join(" "), row, "from {from:?}");
        }
    }

    #[test]
    fn what_a_slot_was_over_for_is_not_asked_for_again_but_still_taken_over_when_it_turns_up() {
        let at = Timestamp::UNIX_EPOCH;
        let missed = record(SlotState::Requested, at).missed("over").unwrap();
        assert_eq!(next_move(Some(&missed), at), Move::Nothing);
        assert_eq!(
            step(Some(missed.state), SlotStep::Create),
            Ok(SlotState::Created)
        );
        assert!(record(SlotState::Completed, at).missed("over").is_err());
    }

    #[test]
    fn the_end_of_an_event_binds_the_event_and_not_the_slot_of_its_second() {
        let at = Timestamp::UNIX_EPOCH;
        let mut over = record(SlotState::Requested, at).missed("moved on").unwrap();
        assert_eq!(slot_move(Some(&over), at), Move::Nothing);
        over.event_over = true;
        assert_eq!(next_move(Some(&over), at), Move::Nothing);
        assert_eq!(slot_move(Some(&over), at), Move::Ask);
        // What EC2 failed waits its time whoever asks.
        let failed = record(SlotState::Created, at).failed_in_ec2("x", at);
        let failed = failed.unwrap();
        let until = at + SignedDuration::from_mins(15);
        assert_eq!(slot_move(Some(&failed), at), Move::Wait(until));
    }

    #[test]
    fn a_slot_and_an_event_note_on_what_is_asked_for_that_both_count_on_it() {
        let at = Timestamp::UNIX_EPOCH;
        let stopped = Some(Trigger::Stopped);
        for state in ["requested", "created", "completed"] {
            let of_slot = record(SlotState::parse(state).unwrap(), at);
            assert_eq!(of_slot.joined(None), None);
            let both = of_slot.joined(stopped).unwrap();
            assert_eq!((both.trigger, both.scheduled), (stopped, true));
            assert_eq!(both.joined(stopped), None);
            let of_event = SlotRecord {
                trigger: stopped,
                scheduled: false,
                ..of_slot
            };
            assert_eq!(of_event.joined(stopped), None);
            assert_eq!(of_event.joined(None), Some(both));
            let of_request = SlotRecord {
                request: Some("q".into()),
                ..of_event
            };
            assert_eq!(of_request.joined(None), None);
        }
        for state in ["intended", "failed"] {
            let open = record(SlotState::parse(state).unwrap(), at);
            assert_eq!(open.joined(stopped), None);
        }
    }

    #[test]
    fn every_state_reads_back_from_its_spelling() {
        for text in ["intended", "requested", "created", "completed", "failed"] {
            assert_eq!(SlotState::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(SlotState::parse("done"), None);
    }
}
