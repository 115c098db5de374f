//! A simulation for people.

use std::fmt::Write as _;

use holdfast::report::{Item, ReasonCode};
use holdfast::simulation::{
    Against, Gap, Level, Point, PolicyCourse, RestorePoint, RestorePoints, Simulation,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::output::age::relative;
use crate::output::items::{reasons, seconds};
use crate::output::table::{Look, Tone};
use crate::output::visible;

/// Restore points of one source that are shown, unless it is asked for by name.
const SHOWN: usize = 40;
/// Backups that a change retires which are shown.
const RETIRED: usize = 5;
/// Heights of a curve.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The whole of it.
pub(super) fn people(
    simulation: &Simulation,
    unread: &[Item],
    source: Option<&str>,
    look: Look,
) -> String {
    let mut text = format!(
        "from {} to {}\n\n",
        seconds(simulation.from),
        seconds(simulation.to)
    );
    text.push_str(&not_read(unread));
    text.push_str(&summary(simulation, look));
    text.push('\n');
    text.push_str(&months(simulation, look));
    text.push_str(&restore_points(simulation, source, look));
    text.push_str(&gaps(simulation, look));
    text.push_str(&late(simulation, look));
    if let Some(against) = &simulation.against {
        text.push_str(&differences(against, look));
    }
    text.push_str("\nTaken for granted:\n");
    for assumption in &simulation.assumptions {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {assumption}");
    }
    if !simulation.advice.is_empty() {
        text.push('\n');
        let rows = simulation.advice.iter().map(|one| {
            let (word, tone) = match one.level {
                Level::Warning => ("warning", Tone::Bad),
                Level::Note => ("note", Tone::Quiet),
            };
            vec![look.cell(word, tone), look.plain(&one.text)]
        });
        text.push_str(&look.lines(rows.collect()));
    }
    text
}

/// What is missing from the figures, before them. What the credentials lack is told for every command.
fn not_read(unread: &[Item]) -> String {
    if unread.is_empty() {
        return String::new();
    }
    let lines = unread.iter().map(|item| {
        let why = reasons(&item.reasons);
        format!("not read: {} ({})\n", item.resource, visible(&why))
    });
    format!(
        "{}what these lists could protect is held from the beginning to the end: what is retired below, \
         by the first sweep and later, is too little, and what stands is too much\n\n",
        lines.collect::<String>()
    )
}

fn summary(simulation: &Simulation, look: Look) -> String {
    let rows = simulation.policies.iter().map(|course| {
        let last = course.series.last();
        let most = course.series.iter().map(|point| point.backups).max();
        let cost = last.and_then(|point| point.monthly_cost);
        vec![
            look.plain(&course.policy),
            look.plain(course.sources),
            look.plain(course.created),
            look.plain(course.retired),
            look.plain(course.retired_by_first_sweep),
            look.plain(most.unwrap_or(0)),
            look.plain(last.map_or(0, |point| point.backups)),
            look.plain(last.map_or_else(|| "-".into(), gib)),
            look.plain(cost.map_or_else(|| "-".into(), |cost| format!("{cost:.2}"))),
            look.plain(curve(course)),
        ]
    });
    let header = [
        "POLICY",
        "SOURCES",
        "MADE",
        "RETIRED",
        "FIRST SWEEP",
        "MOST",
        "AT END",
        "GIB AT END",
        "COST A MONTH",
        "BACKUPS OVER TIME",
    ];
    look.table(&header, rows.collect())
}

fn gib(point: &Point) -> String {
    format!("{:.0}", point.full_gib + point.changed_gib)
}

/// The last point of each month.
fn month_ends(course: &PolicyCourse) -> Vec<&Point> {
    let month = |time: Timestamp| {
        let date = TimeZone::UTC.to_datetime(time).date();
        (date.year(), date.month())
    };
    let points = course.series.iter();
    let after = course.series.iter().skip(1).map(Some).chain([None]);
    points
        .zip(after)
        .filter(|(point, after)| after.is_none_or(|after| month(after.time) != month(point.time)))
        .map(|(point, _)| point)
        .collect()
}

/// The number of backups at each month's end, as a curve from none to the most.
fn curve(course: &PolicyCourse) -> String {
    let points = month_ends(course);
    let most = points
        .iter()
        .map(|point| point.backups)
        .max()
        .unwrap_or(0)
        .max(1);
    let height = |point: &&Point| {
        let steps = BARS.len() as u64 - 1;
        let step = (point.backups * steps).div_ceil(most);
        usize::try_from(step)
            .ok()
            .and_then(|step| BARS.get(step))
            .unwrap_or(&BARS[0])
    };
    points.iter().map(height).collect()
}

fn months(simulation: &Simulation, look: Look) -> String {
    let mut header = vec!["BACKUPS ON"];
    header.extend(
        simulation
            .policies
            .iter()
            .map(|course| course.policy.as_str()),
    );
    let ends: Vec<Vec<&Point>> = simulation.policies.iter().map(month_ends).collect();
    let count = ends.first().map_or(0, Vec::len);
    let rows = (0..count).map(|place| {
        let of_month = ends.iter().filter_map(|points| points.get(place));
        let day = ends[0].get(place).map(|point| date(point.time));
        let day = look.plain(day.unwrap_or_default());
        std::iter::once(day)
            .chain(of_month.map(|point| look.plain(point.backups)))
            .collect()
    });
    look.table(&header, rows.collect())
}

fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn restore_points(simulation: &Simulation, source: Option<&str>, look: Look) -> String {
    let mut text = String::new();
    for course in &simulation.policies {
        let lists = course.restore_points.iter();
        let of_source = |list: &&RestorePoints| {
            source.is_none_or(|source| list.sources.iter().any(|one| one == source))
        };
        let lists: Vec<&RestorePoints> = lists.filter(of_source).collect();
        let Some(list) = lists.first() else {
            continue;
        };
        let named = source.or(list.sources.first().map(String::as_str));
        let same = list.sources.len().saturating_sub(1);
        let _ = writeln!(
            text,
            "\n{}: restore points of {} at {}{}",
            course.policy,
            visible(named.unwrap_or_default()),
            seconds(simulation.at),
            if same > 0 {
                format!(" ({same} more sources have the same)")
            } else {
                String::new()
            }
        );
        let shown = if source.is_some() { usize::MAX } else { SHOWN };
        let rows = list.points.iter().take(shown).map(|point| {
            vec![
                look.plain(seconds(point.time)),
                look.plain(relative(point.time, simulation.at)),
                look.plain(kept_by(point)),
            ]
        });
        text.push_str(&look.table(&["TIME", "AGE", "KEPT BY"], rows.collect()));
        let more = list.points.len().saturating_sub(shown);
        if more > 0 {
            let _ = writeln!(text, "and {more} older ones; --source shows all");
        }
        if source.is_none() && lists.len() > 1 {
            let others = lists.len() - 1;
            let _ = writeln!(
                text,
                "other sources have {others} other lists; --source shows one"
            );
        }
    }
    text
}

fn kept_by(point: &RestorePoint) -> String {
    let codes: Vec<String> = point.kept_by.iter().map(ToString::to_string).collect();
    let codes = codes.join(", ");
    let goes = |code: &ReasonCode| matches!(code, ReasonCode::Expired | ReasonCode::SourceGone);
    match point.kept_by.iter().any(goes) {
        true => format!("nothing: the next sweep retires it ({codes})"),
        false => codes,
    }
}

/// The worst gaps of all days, and those of the moment beside them.
fn gaps(simulation: &Simulation, look: Look) -> String {
    let rows: Vec<_> = simulation
        .policies
        .iter()
        .flat_map(|course| course.worst_gaps.iter().map(move |gap| (course, gap)))
        .map(|(course, worst)| {
            let mut then = course.gaps.iter();
            let then = then.find(|gap| gap.from_days == worst.from_days);
            vec![
                look.plain(&course.policy),
                look.plain(band(worst)),
                look.plain(length(worst.seconds)),
                look.plain(seconds(worst.at)),
                look.plain(seconds(worst.older)),
                look.plain(seconds(worst.newer)),
                look.plain(&worst.source),
                look.plain(then.map_or_else(|| "-".into(), |gap| length(gap.seconds))),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let at = format!("AT {}", seconds(simulation.at));
    let header = [
        "POLICY",
        "AGE",
        "WORST GAP",
        "FIRST SO AT",
        "FROM",
        "TO",
        "SOURCE",
        &at,
    ];
    format!(
        "\nThe longest time between neighbouring restore points, by the age of the newer one: the worst \
         of all days, and in the last column that of one moment\n{}",
        look.table(&header, rows)
    )
}

fn band(gap: &Gap) -> String {
    match gap.to_days {
        Some(to) => format!("{} to {to} days", gap.from_days),
        None => format!("over {} days", gap.from_days),
    }
}

/// A length of time in its two largest units.
fn length(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

fn late(simulation: &Simulation, look: Look) -> String {
    let rows: Vec<_> = simulation
        .policies
        .iter()
        .flat_map(|course| course.late.iter().map(move |late| (course, late)))
        .map(|(course, late)| {
            vec![
                look.plain(&course.policy),
                look.plain(&late.call),
                look.plain(late.slots),
                look.plain(late.calls),
                look.plain(length(late.seconds)),
                look.plain(seconds(late.worst)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        "POLICY",
        "CALL",
        "LATE SLOTS",
        "CALLS AT ONCE",
        "LAST ONE LATE BY",
        "FIRST ON",
    ];
    format!("\n{}", look.table(&header, rows))
}

fn differences(against: &Against, look: Look) -> String {
    let named = |names: &[String]| match names {
        [] => "-".to_owned(),
        names => names.join(", "),
    };
    let rows = against.policies.iter().map(|(name, one)| {
        vec![
            look.plain(name),
            look.plain(one.standing),
            look.plain(one.old_first_sweep),
            look.plain(one.new_first_sweep),
            look.plain(one.only_old_retires),
            look.plain(one.only_new_retires),
            look.plain(named(&one.no_longer_picked)),
            look.plain(named(&one.newly_picked)),
        ]
    });
    let header = [
        "POLICY",
        "STANDING",
        "OLD FIRST SWEEP",
        "NEW FIRST SWEEP",
        "ONLY OLD RETIRES",
        "ONLY NEW RETIRES",
        "NO LONGER PICKED",
        "NEWLY PICKED",
    ];
    let backups = |count: u64| match count {
        1 => "1 backup".to_owned(),
        count => format!("{count} backups"),
    };
    let mut text = format!(
        "\n{}\n{}this change retires {} on the first sweep that the old file would keep, and keeps {} that \
         the old file would retire\n",
        look.table(&header, rows.collect()),
        totals(against, look),
        backups(against.retires_on_first_sweep),
        backups(against.keeps_on_first_sweep)
    );
    text.push_str(&retired(against, look));
    text
}

/// What each policy comes to with either file.
fn totals(against: &Against, look: Look) -> String {
    let none = || "-".to_owned();
    let rows = against.policies.iter().flat_map(|(name, one)| {
        let files = [
            ("old", &one.old, one.old_at_end),
            ("new", &one.new, one.new_at_end),
        ];
        files.into_iter().filter_map(move |(file, total, at_end)| {
            let total = total.as_ref()?;
            let gib = total.full_gib + total.changed_gib;
            let cost = total.monthly_cost.map(|cost| format!("{cost:.2}"));
            Some(vec![
                look.plain(name),
                look.plain(file),
                look.plain(total.created),
                look.plain(total.retired),
                look.plain(at_end.unwrap_or(0)),
                look.plain(format!("{gib:.0}")),
                look.plain(cost.unwrap_or_else(none)),
                look.plain(total.worst_gap_seconds.map_or_else(none, length)),
                look.plain(total.late_slots),
            ])
        })
    });
    let header = [
        "POLICY",
        "FILE",
        "MADE",
        "RETIRED",
        "AT END",
        "GIB AT END",
        "COST A MONTH",
        "WORST GAP",
        "LATE SLOTS",
    ];
    look.table(&header, rows.collect())
}

/// The first of those that a change retires.
fn retired(against: &Against, look: Look) -> String {
    let shown = against.retired.iter().take(RETIRED);
    let rows = shown.map(|one| {
        vec![
            look.plain(one.resource.as_deref().unwrap_or("-")),
            look.plain(&one.policy),
            look.plain(&one.source),
            look.plain(seconds(one.time)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let more = against.retires_on_first_sweep - rows.len() as u64;
    let mut text = look.table(
        &["RETIRED BY THE NEW FILE", "POLICY", "SOURCE", "TIME"],
        rows,
    );
    if more > 0 {
        let named = against.retired.len();
        let _ = writeln!(text, "and {more} more; --json names the oldest {named}");
    }
    text
}
