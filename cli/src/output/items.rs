//! The items of a report as a table.

use holdfast::report::{Action, Item, Outcome, Reason};
use jiff::Timestamp;

use super::age::relative;
use super::table::{Look, Tone};

/// What became of an item, in one word.
#[must_use]
pub fn verdict(item: &Item) -> &'static str {
    match (item.action, item.outcome) {
        (Action::Create, Outcome::Planned) => "create",
        (Action::Delete, Outcome::Planned) => "retire",
        (_, outcome) => outcome.as_str(),
    }
}

/// The tone of that word.
#[must_use]
pub fn tone(item: &Item) -> Tone {
    match item.outcome {
        Outcome::Failed | Outcome::Finding => Tone::Bad,
        Outcome::Planned | Outcome::Deleted | Outcome::Deletable => match item.action {
            Action::Delete | Action::Explain => Tone::Going,
            _ => Tone::Good,
        },
        Outcome::Created | Outcome::Recorded => Tone::Good,
        Outcome::Held | Outcome::Deferred => Tone::Held,
        Outcome::Kept | Outcome::Skipped => Tone::Quiet,
    }
}

/// Reasons in one line: `code (detail)`, the path where it says more than the detail.
#[must_use]
pub fn reasons(reasons: &[Reason]) -> String {
    let words: Vec<String> = reasons.iter().map(reason).collect();
    words.join("; ")
}

fn reason(reason: &Reason) -> String {
    let mut text = reason.code.to_string();
    if let Some(detail) = &reason.detail {
        // An AWS error may run over lines; a row is one.
        let line: Vec<&str> = detail.split_whitespace().collect();
        text.push_str(&format!(" ({})", line.join(" ")));
    }
    if reason.path.len() > 2 {
        text.push_str(&format!(" [{}]", reason.path.join(" > ")));
    }
    text
}

/// A reason's path from the backup to what needs it, with the words at its end:
/// `snap-1 <- ami-1 <- lt-1 versions 1, 3`. Without a path, the words alone.
#[must_use]
pub fn readable_path(reason: &Reason) -> String {
    let detail = reason.detail.as_deref().unwrap_or_default();
    let words: Vec<&str> = detail.split_whitespace().collect();
    let words = words.join(" ");
    let Some((last, before)) = reason.path.split_last() else {
        return words;
    };
    // The words mostly begin with what stands at the end.
    let end = match words.strip_prefix(last.as_str()) {
        Some(rest) => format!("{last}{rest}"),
        None if words.is_empty() => last.clone(),
        None => format!("{last}: {words}"),
    };
    let mut steps: Vec<&str> = before.iter().map(String::as_str).collect();
    steps.push(&end);
    steps.join(" <- ")
}

/// The items, what needs attention first and what merely stays last.
#[must_use]
pub fn table(look: Look, items: &[Item], now: Timestamp) -> String {
    let mut sorted: Vec<&Item> = items.iter().collect();
    sorted.sort_by_key(|item| rank(item));
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let rows = sorted.into_iter().map(|item| {
        let time = item.time.or(item.slot);
        vec![
            look.cell(verdict(item), tone(item)),
            look.plain(&item.resource),
            look.plain(text(&item.policy)),
            look.plain(text(&item.source)),
            look.plain(text(&time.map(|time| seconds(time).to_string()))),
            look.plain(text(&time.map(|time| relative(time, now)))),
            look.plain(reasons(&item.reasons)),
        ]
    });
    let header = [
        "VERDICT", "RESOURCE", "POLICY", "SOURCE", "TIME", "AGE", "WHY",
    ];
    look.table(&header, rows.collect())
}

/// How many items there are of each verdict, in the order of the table.
#[must_use]
pub fn counts(items: &[Item]) -> String {
    let mut counts: Vec<(u8, &str, usize)> = Vec::new();
    for item in items {
        let (rank, word) = (rank(item), verdict(item));
        match counts.iter_mut().find(|(_, known, _)| *known == word) {
            Some((_, _, count)) => *count += 1,
            None => counts.push((rank, word, 1)),
        }
    }
    counts.sort_unstable();
    let words: Vec<String> = counts
        .iter()
        .map(|(_, word, count)| match *word {
            "create" | "retire" => format!("{count} to {word}"),
            "finding" if *count != 1 => format!("{count} findings"),
            word => format!("{count} {word}"),
        })
        .collect();
    words.join(", ")
}

fn rank(item: &Item) -> u8 {
    match (item.outcome, item.action) {
        (Outcome::Failed, _) => 0,
        (Outcome::Finding, _) => 1,
        (Outcome::Planned, Action::Create) => 2,
        (Outcome::Planned, _) => 3,
        (Outcome::Created | Outcome::Deleted | Outcome::Recorded | Outcome::Deletable, _) => 4,
        (Outcome::Held, _) => 5,
        (Outcome::Deferred | Outcome::Skipped, _) => 6,
        (Outcome::Kept, _) => 7,
    }
}

/// The time to the second, which is all that people read.
#[must_use]
pub fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use holdfast::report::ReasonCode;

    use super::*;

    fn item(action: Action, resource: &str, outcome: Outcome) -> Item {
        Item::new(action, resource, outcome)
    }

    #[test]
    fn what_needs_attention_stands_first_and_what_stays_last() {
        let items = [
            item(Action::Delete, "snap-kept", Outcome::Kept),
            item(Action::Delete, "snap-old", Outcome::Planned),
            item(Action::Create, "vol-1", Outcome::Planned),
            item(Action::Create, "vol-2", Outcome::Failed),
        ];
        let look = Look {
            colour: false,
            width: None,
        };
        let text = table(look, &items, Timestamp::UNIX_EPOCH);
        let first: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| {
                line.split_whitespace()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let order = [
            "failed vol-2",
            "create vol-1",
            "retire snap-old",
            "kept snap-kept",
        ];
        assert_eq!(first, order);
        assert_eq!(counts(&items), "1 failed, 1 to create, 1 to retire, 1 kept");
    }

    #[test]
    fn a_reason_shows_its_path_when_it_is_longer_than_the_detail_says() {
        let mut reason = Reason::with(ReasonCode::UsedByInstance, "i-1 (running)\n  uses it");
        reason.path = ["snap-1", "ami-1", "i-1"].map(str::to_owned).to_vec();
        assert_eq!(
            reasons(&[reason, Reason::of(ReasonCode::Pinned)]),
            "used-by-instance (i-1 (running) uses it) [snap-1 > ami-1 > i-1]; pinned"
        );
    }
}
