//! When heartbeats and sweeps come.

use jiff::{SignedDuration, Timestamp};

use crate::policy::{Policy, PolicyState};

/// Seconds from one heartbeat of the creating functions to the next; they come at multiples of it.
const HEARTBEAT: i64 = 5 * 60;
/// Seconds from one sweep to the next.
pub(super) const SWEEP: i64 = 60 * 60;
/// Sweeps come at this many seconds past the hour: when a stack was deployed decides it.
const SWEEP_AT: i64 = 30 * 60;

/// The first multiple of a period, moved by `offset`, that is not before a time; all in seconds.
fn not_before(at: Timestamp, period: i64, offset: i64) -> Timestamp {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    let next = second + (offset - second).rem_euclid(period);
    Timestamp::from_second(next).unwrap_or(Timestamp::MAX)
}

pub(super) fn heartbeat_after(slot: Timestamp) -> Timestamp {
    not_before(slot, HEARTBEAT, 0)
}

/// The first sweep after a time, or at it.
pub(super) fn next_sweep(at: Timestamp, or_at_it: bool) -> Timestamp {
    let next = not_before(at, SWEEP, SWEEP_AT);
    if next == at && !or_at_it {
        next + SignedDuration::from_secs(SWEEP)
    } else {
        next
    }
}

/// The first heartbeat with something to do, and the slot: the newest past one where none was begun
/// since, else the next.
pub(super) fn first_due(
    policy: &Policy,
    head: Option<Timestamp>,
    start: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    if policy.state != PolicyState::Active {
        return None;
    }
    let beat = heartbeat_after(start);
    let past = policy.latest_slot(beat);
    let past = past.filter(|slot| head.is_none_or(|head| *slot > head));
    if let Some(slot) = past {
        return Some((beat, slot));
    }
    let slot = policy.next_slot(head.unwrap_or(beat).max(start))?;
    Some((heartbeat_after(slot), slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_slot_is_made_by_the_first_heartbeat_that_is_not_before_it() {
        let slot = at("2026-11-23T03:00:00Z");
        assert_eq!(heartbeat_after(slot), slot);
        let beat = heartbeat_after(at("2026-11-23T03:01:00Z"));
        assert_eq!(beat, at("2026-11-23T03:05:00Z"));
    }

    #[test]
    fn a_sweep_comes_at_half_past_each_hour() {
        let half_past = at("2026-11-23T03:30:00Z");
        assert_eq!(next_sweep(at("2026-11-23T03:00:00Z"), false), half_past);
        assert_eq!(next_sweep(half_past, true), half_past);
        assert_eq!(next_sweep(half_past, false), at("2026-11-23T04:30:00Z"));
    }
}
