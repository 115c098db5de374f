//! What somebody who knows backups would say about a simulation.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::course::Course;
use super::figures::Figures;
use super::ladder::Hole;
use super::report::{Advice, AdviceCode, Level};
use super::standing::Standing;
use super::{DAY, Question};
use crate::plan::judge::governing;
use crate::policy::{GroupBy, Policy, PolicyState, Protect};

/// How many sources one piece of advice names.
const NAMED: usize = 5;

pub(super) fn advice(
    question: &Question<'_>,
    course: &Course<'_>,
    figures: &Figures,
    standing: &[Standing],
) -> Vec<Advice> {
    let mut all = Vec::new();
    for (place, policy) in question.policies.policies.iter().enumerate() {
        let active = policy.state == PolicyState::Active;
        if active && figures.course(place).sources == 0 {
            let text = format!("{} picks nothing: it will make no backup", policy.name);
            all.push(of(policy, Level::Warning, AdviceCode::MatchesNothing, text));
            continue;
        }
        all.extend(breaker(policy, course, place));
        if active {
            all.extend(figures.holes[place].iter().map(|found| hole(policy, found)));
            all.extend(finer_than_kept(policy, question.from));
            all.extend(triggers(policy));
            all.extend(late(policy, figures, place));
        }
    }
    all.extend(unpicked(question, course));
    all.extend(ungoverned(question, standing));
    if question.price.is_none() {
        let text = "no price is known, so no cost is shown: write `prices: { standard: … }` (per \
                    GB-month) into the policy file, or give --price-per-gb-month";
        all.push(about_all(Level::Note, AdviceCode::NoPrice, text.to_owned()));
    }
    let volumes = &question.fleet.volumes;
    let unknown = volumes.len() - question.fleet.changed_mib.len().min(volumes.len());
    if unknown > 0 {
        let text = format!(
            "how much changes in a day is not known of {unknown} of {} volumes: of those only the \
             first snapshot is in the storage shown",
            volumes.len()
        );
        all.push(about_all(Level::Note, AdviceCode::NoRateOfChange, text));
    }
    all.sort_by_key(|one| one.level);
    all
}

fn of(policy: &Policy, level: Level, code: AdviceCode, text: String) -> Advice {
    Advice {
        level,
        code,
        policy: Some(policy.name.clone()),
        text,
    }
}

fn about_all(level: Level, code: AdviceCode, text: String) -> Advice {
    Advice {
        level,
        code,
        policy: None,
        text,
    }
}

fn breaker(policy: &Policy, course: &Course<'_>, place: usize) -> Option<Advice> {
    let trips = &course.tallies[place].trips;
    let first = trips.first()?;
    let text = format!(
        "the breaker of {} would trip {}, first on {}: {} would go and {} may \
         (max_shrink {}%, free {})",
        policy.name,
        times(trips.len()),
        first.at.strftime("%Y-%m-%d"),
        backups(first.deletions),
        first.allowed,
        policy.limits.max_shrink_percent,
        policy.limits.free
    );
    Some(of(policy, Level::Warning, AdviceCode::CircuitBreaker, text))
}

fn backups(count: u64) -> String {
    match count {
        1 => "1 backup".to_owned(),
        count => format!("{count} backups"),
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn hole(policy: &Policy, hole: &Hole) -> Advice {
    let (finer, coarser) = &hole.rules;
    let text = format!(
        "{}: {finer} and {coarser} leave no backup between day {} and day {} (longest on {})",
        policy.name,
        days(hole.from),
        days(hole.to),
        hole.at.strftime("%Y-%m-%d")
    );
    let level = if hole.wide {
        Level::Warning
    } else {
        Level::Note
    };
    of(policy, level, AdviceCode::LadderHole, text)
}

fn days(age: SignedDuration) -> i64 {
    age.as_secs() / DAY.as_secs()
}

/// A schedule whose backups mostly go with the next sweeps: no rule counts as finely as they come.
fn finer_than_kept(policy: &Policy, from: jiff::Timestamp) -> Option<Advice> {
    let retain = &policy.retain;
    let until = from + DAY;
    let slots = policy.slots_between(from, until).len();
    let kept_of_a_day = match retain {
        _ if retain.within.is_some() => return None,
        _ if retain.hourly > 0 => usize::max(retain.last as usize, 24),
        _ => usize::max(retain.last as usize, 1),
    };
    if policy.group != GroupBy::Source || slots <= kept_of_a_day {
        return None;
    }
    let text = format!(
        "{} makes {slots} backups a day of each source and its rules keep at most {kept_of_a_day} of \
         them: the others are made to be retired",
        policy.name
    );
    Some(of(policy, Level::Note, AdviceCode::FinerThanKept, text))
}

/// Backups that triggers make count for `last`, too: a machine that stops and starts all day uses
/// it up. Where there is no schedule there is none that could be lost to them.
fn triggers(policy: &Policy) -> Option<Advice> {
    let retain = &policy.retain;
    let only_last = retain.last > 0
        && retain.within.is_none()
        && [
            retain.hourly,
            retain.daily,
            retain.weekly,
            retain.monthly,
            retain.yearly,
        ] == [0; 5];
    if policy.triggers.is_empty() || policy.schedules.is_empty() || !only_last {
        return None;
    }
    let text = format!(
        "{} keeps the last {} whenever they were made, and triggers make some, too: {} state changes \
         of a source leave none of the scheduled ones; add daily or within",
        policy.name, retain.last, retain.last
    );
    Some(of(
        policy,
        Level::Warning,
        AdviceCode::TriggersUseUpLast,
        text,
    ))
}

fn late(policy: &Policy, figures: &Figures, place: usize) -> Option<Advice> {
    let late = &figures.course(place).late;
    let worst = late.iter().max_by_key(|late| late.seconds)?;
    let begin_by = policy.start_within.after(worst.worst, &policy.timezone);
    let too_late = begin_by < worst.worst + SignedDuration::from_secs(worst.seconds);
    let text = format!(
        "{}: {} slots begin so many {} calls at once (up to {}) that EC2's limits make the last one {} \
         late{}",
        policy.name,
        worst.slots,
        worst.call,
        worst.calls,
        minutes(worst.seconds),
        if too_late {
            ", beyond start_within"
        } else {
            ""
        }
    );
    let level = if too_late {
        Level::Warning
    } else {
        Level::Note
    };
    Some(of(policy, level, AdviceCode::Late, text))
}

fn minutes(seconds: i64) -> String {
    match seconds {
        under if under < 120 => format!("{under} s"),
        more => format!("{} min", more / 60),
    }
}

/// Volumes that no active policy makes backups of, by themselves or in an AMI of their instance.
fn unpicked(question: &Question<'_>, course: &Course<'_>) -> Option<Advice> {
    let mut picked: BTreeSet<String> = BTreeSet::new();
    for (place, policy) in question.policies.policies.iter().enumerate() {
        let of_policy = course.picked(place);
        if policy.protect == Protect::Instances {
            let instances = question.fleet.instances.iter().map(|one| &one.what);
            let whole = instances.filter(|one| of_policy.contains(one.id.as_str()));
            let devices = whole.flat_map(|one| &one.devices);
            picked.extend(
                devices
                    .filter_map(|d| d.volume.as_ref())
                    .map(ToString::to_string),
            );
        }
        picked.extend(of_policy);
    }
    let volumes = question
        .fleet
        .volumes
        .iter()
        .map(|one| one.what.id.as_str());
    let left: BTreeSet<&str> = volumes.filter(|id| !picked.contains(*id)).collect();
    if left.is_empty() {
        return None;
    }
    let named: Vec<&str> = left.iter().take(NAMED).copied().collect();
    let more = left.len() - named.len();
    let text = format!(
        "no policy picks {}{}",
        named.join(", "),
        if more > 0 {
            format!(" and {more} more volumes")
        } else {
            String::new()
        }
    );
    Some(about_all(Level::Warning, AdviceCode::NotPicked, text))
}

fn ungoverned(question: &Question<'_>, standing: &[Standing]) -> Option<Advice> {
    let unknown = |one: &&Standing| governing(question.policies, &one.policy).is_none();
    let left: Vec<&Standing> = standing.iter().filter(unknown).collect();
    if left.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = left.iter().map(|one| one.policy.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let text = format!(
        "{} of policies that the file lacks ({}) would be kept for ever; write `formerly` into the \
         policy that takes them over, or keep theirs with `state: retired`",
        backups(left.len() as u64),
        names.join(", ")
    );
    Some(about_all(Level::Warning, AdviceCode::PolicyUnknown, text))
}
