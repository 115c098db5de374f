//! The circuit breaker: how far a policy's backups may fall within 24 hours.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::{Recorded, Retired, Settled, WINDOW};
use crate::id::ImageId;
use crate::plan::judge::{FormerImage, Judged, SetKey};
use crate::policy::{Limits, Policy};
use crate::report::{Reason, ReasonCode};

/// How many more good backups of a policy may go by its limits. `before` is how many stood a window
/// ago, `standing` how many stand now, and `retired` how many went within the window.
///
/// They may go while the first `free` of the window last, or while what is left is not below the
/// share of what stood that must remain.
#[must_use]
pub fn allowance(limits: &Limits, before: usize, standing: usize, retired: usize) -> usize {
    let share = before * limits.max_shrink_percent.min(100) as usize / 100;
    let must_remain = before - share;
    let by_count = (limits.free as usize).saturating_sub(retired);
    by_count.max(standing.saturating_sub(must_remain))
}

/// What goes whole or not at all.
#[derive(PartialEq, Eq, Hash)]
enum Whole {
    /// Half of one is no point in time to return to.
    Set(SetKey),
    /// What is left of an AMI that somebody else deregistered.
    Former(FormerImage),
    /// What is left of an AMI that Holdfast deregistered.
    Leftover(ImageId),
}

/// Deletions that go together, and for how many backups they count.
#[derive(Default)]
struct Unit {
    members: Vec<usize>,
    backups: usize,
}

/// The AMI that a snapshot was part of and that counts as one backup for as long as it is not in the
/// window itself: judged as if it still stood, it is one, and what follows a deregistration that
/// was counted is the end of that.
fn remains(verdicts: &impl Judged, v: usize, retired: &[&Retired]) -> Option<Whole> {
    if verdicts.is_image(v) {
        return None;
    }
    if let Some(former) = verdicts.orphan_of(v) {
        return Some(Whole::Former(former.clone()));
    }
    let image = verdicts.former_image(v)?;
    let counted = retired.iter().any(|one| one.resource == image.as_str());
    (!counted).then(|| Whole::Leftover(image.clone()))
}

/// Holds what would let the policy's good backups fall too far within 24 hours.
///
/// What is left of an AMI counts as the one backup that it was, whoever deregistered it. A trip holds
/// the rest of the policy, what is no backup too, but for what is left of an AMI that Holdfast
/// deregistered within the window: that was counted, and what was begun is finished.
pub(super) fn apply(
    policy: &Policy,
    verdicts: &mut impl Judged,
    recorded: &Recorded,
    wall: Timestamp,
    settled: &mut Settled,
) {
    let since = wall - WINDOW;
    let retired: Vec<&Retired> = recorded
        .retired
        .get(&policy.name)
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter(|r| r.at > since)
        .collect();
    let stood = |time: Option<Timestamp>| time.is_some_and(|t| t <= since);
    let mut before = retired.iter().filter(|r| stood(Some(r.time))).count();
    let mut standing = 0_usize;
    // Whether it stood then.
    let mut left: HashMap<Whole, bool> = HashMap::new();
    for v in 0..verdicts.count() {
        if verdicts.is_good(v) {
            if verdicts.policy(v) == policy.name {
                standing += 1;
                before += usize::from(stood(verdicts.time(v)));
            }
        } else if let Some(whole) = remains(verdicts, v, &retired)
            && verdicts.policy(v) == policy.name
        {
            *left.entry(whole).or_default() |= stood(verdicts.time(v));
        }
    }
    // What is left of former AMIs may have been none, and lets no more of the others go.
    let allowed = |before, standing| allowance(&policy.limits, before, standing, retired.len());
    let allowed_good = allowed(before, standing);
    standing += left.len();
    before += left.into_values().filter(|stood| *stood).count();
    let allowed = allowed(before, standing);

    let mut units: Vec<Unit> = Vec::new();
    let mut known: HashMap<Whole, usize> = HashMap::new();
    let mut no_backups = Vec::new();
    for v in verdicts.condemned() {
        if verdicts.policy(v) != policy.name {
            continue;
        }
        let whole = match verdicts.is_good(v) {
            // Several AMIs may take parts of one former AMI along.
            true => match verdicts.orphan_of(v) {
                Some(former) => Some(Whole::Former(former.clone())),
                None => verdicts.set(v).map(Whole::Set),
            },
            false => remains(verdicts, v, &retired),
        };
        if recorded.released.frees(verdicts, v) {
            continue;
        }
        if !verdicts.is_good(v) && whole.is_none() {
            if verdicts.former_image(v).is_none() {
                no_backups.push(v);
            }
            continue;
        }
        let of_set = verdicts.is_good(v);
        let next = units.len();
        let unit = whole.map_or(next, |whole| *known.entry(whole).or_insert(next));
        if unit == next {
            units.push(Unit::default());
        }
        units[unit].members.push(v);
        units[unit].backups = if of_set { units[unit].members.len() } else { 1 };
    }
    let (mut used, mut used_good) = (0, 0);
    let mut held = Vec::new();
    for unit in units {
        let is_good = unit.members.iter().any(|&v| verdicts.is_good(v));
        used += unit.backups;
        used_good += if is_good { unit.backups } else { 0 };
        if used > allowed || is_good && used_good > allowed_good {
            held.extend(unit.members);
        }
    }
    if held.is_empty() {
        return;
    }
    // What a request released of an AMI of which another part stays, stays with that.
    let stays: BTreeSet<FormerImage> = held
        .iter()
        .filter(|v| !verdicts.is_image(**v))
        .filter_map(|v| verdicts.orphan_of(*v).cloned())
        .collect();
    let parted = |v: &usize| {
        recorded.released.frees(verdicts, *v)
            && verdicts.orphan_of(*v).is_some_and(|of| stays.contains(of))
    };
    let parted: Vec<usize> = verdicts.condemned().into_iter().filter(parted).collect();
    held.extend(no_backups.into_iter().chain(parted));
    held.sort_unstable();
    let mut ids = Vec::new();
    for v in held {
        let detail = format!(
            "{} had {before} backups 24 h ago and lost {} since; max_shrink is {}%, free is {}",
            policy.name,
            retired.len(),
            policy.limits.max_shrink_percent,
            policy.limits.free
        );
        verdicts.hold(v, Reason::with(ReasonCode::CircuitBreaker, detail));
        ids.push(verdicts.id(v).into_owned());
    }
    let tripped = settled.tripped.entry(policy.name.clone()).or_default();
    tripped.extend(ids);
}
