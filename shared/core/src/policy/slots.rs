//! The slots of a whole policy: the union of its schedules.

use jiff::Timestamp;

use super::Policy;

impl Policy {
    /// The newest slot at or before `now`; none without a schedule or before the first slot.
    #[must_use]
    pub fn latest_slot(&self, now: Timestamp) -> Option<Timestamp> {
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.latest_at_or_before(now, &self.timezone))
            .max()
    }

    /// The first slot after `after`; none without a schedule or after the last slot.
    #[must_use]
    pub fn next_slot(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.next_after(after, &self.timezone))
            .min()
    }

    /// The first `n` slots after `now`, ascending; fewer when there are no more.
    #[must_use]
    pub fn next_slots(&self, now: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_slot(now), |slot| self.next_slot(*slot))
            .take(n)
            .collect()
    }

    /// The slots later than `after` and not later than `upto`, ascending, each once.
    ///
    /// The caller bounds the range: a year of slots 15 minutes apart is 35,000 instants.
    #[must_use]
    pub fn slots_between(&self, after: Timestamp, upto: Timestamp) -> Vec<Timestamp> {
        std::iter::successors(self.next_slot(after), |slot| self.next_slot(*slot))
            .take_while(|slot| *slot <= upto)
            .collect()
    }
}
