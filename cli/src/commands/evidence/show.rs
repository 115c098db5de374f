//! A proof as people read it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Line, Recorded};
use crate::output::age::relative;
use crate::output::items::{readable_path, seconds};
use crate::output::table::{Look, Tone};

/// Keys of the evidence that are told in a place of their own.
const TOLD: [&str; 3] = ["verdict", "tags", "not_used"];

/// One paragraph a deletion.
pub(super) fn proofs(lines: &[Line], now: Timestamp, look: Look) -> String {
    let of = |line: &Line| {
        let newest = proof(line, "", now, look);
        let earlier = line.earlier.iter();
        let earlier = earlier.map(|line| proof(line, ", before it came back", now, look));
        [vec![newest], earlier.collect()].concat()
    };
    let all: Vec<String> = lines.iter().flat_map(of).collect();
    all.join("\n")
}

fn proof(line: &Line, which: &str, now: Timestamp, look: Look) -> String {
    let item = &line.item;
    let when = |time: Timestamp| format!("{} ({})", seconds(time), relative(time, now));
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut fact = |name: &str, words: String| facts.push((name.to_owned(), words));
    let state = line.deletion.as_ref().map_or("not on record", |d| d.state);
    if let Some(policy) = &item.policy {
        fact("policy", policy.clone());
    }
    if let Some(time) = item.time {
        let source = item
            .source
            .as_deref()
            .unwrap_or("a source that is not on record");
        fact("of", format!("{source}, as it was at {}", when(time)));
    }
    if let Some(slot) = item.slot {
        fact("slot", seconds(slot).to_string());
    }
    for reason in &item.reasons {
        let words = readable_path(reason);
        let words = match words.is_empty() {
            true => reason.code.to_string(),
            false => format!("{}: {words}", reason.code),
        };
        fact("why", words);
    }
    if let Some(Recorded {
        at,
        run,
        image,
        good,
        tries,
        ..
    }) = &line.deletion
    {
        fact("intent", format!("{}, run {run}", when(*at)));
        if let Some(image) = image {
            fact("with", format!("{image}, which it backed"));
        }
        if !good && image.is_none() {
            fact("counted", "no: it was not a good backup".into());
        }
        if *tries > 0 {
            fact("tries", format!("{tries} before, without success"));
        }
    }
    let mut tables = String::new();
    match &line.evidence {
        Some(Value::Object(evidence)) => {
            if let Some(tags) = evidence.get("tags").and_then(Value::as_object) {
                for (key, value) in tags {
                    fact("tags", format!("{key}={}", inline(value)));
                }
            }
            if let Some(words) = not_used(evidence) {
                fact("not used", words);
            }
            let others = |(key, _): &(&String, &Value)| !TOLD.contains(&key.as_str());
            for (key, value) in evidence.iter().filter(others) {
                match rows(value) {
                    Some(rows) => tables.push_str(&listing(key, &rows, look)),
                    None if is_empty(value) => {}
                    None => fact(key, inline(value)),
                }
            }
        }
        Some(other) => fact("evidence", inline(other)),
        None => {}
    }
    let tone = if line.deletion.is_some() {
        Tone::Plain
    } else {
        Tone::Bad
    };
    let mut text = format!("{}: {state}{which}\n", item.resource);
    let mut before = String::new();
    let rows = facts.into_iter().map(|(name, words)| {
        // A name stands once, before the first of its words.
        let shown = if name == before {
            String::new()
        } else {
            name.clone()
        };
        before = name;
        vec![look.cell(format!("  {shown}"), tone), look.plain(words)]
    });
    text.push_str(&look.lines(rows.collect()));
    text.push_str(&tables);
    text
}

/// A value in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(time) => seconds(time).to_string(),
            Err(_) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        },
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(all) if all.iter().all(|one| !one.is_object() && !one.is_array()) => {
            all.iter().map(inline).collect::<Vec<_>>().join(", ")
        }
        Value::Object(all) if all.values().all(|one| !one.is_object()) => {
            let told = all.iter().filter(|(_, one)| !is_empty(one));
            let told = told.map(|(key, one)| format!("{key}={}", inline(one)));
            told.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The sources that were not asked because the policy declares that the account does not use them.
fn not_used(evidence: &Map<String, Value>) -> Option<String> {
    let declared = evidence.get("not_used")?;
    let sources = declared.get("sources").filter(|s| !is_empty(s))?;
    let by = declared.get("by").map(inline).unwrap_or_default();
    Some(format!("{}, as policy {by} declares", inline(sources)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

/// The objects of a list of objects.
fn rows(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let all = value.as_array().filter(|all| !all.is_empty())?;
    all.iter().map(Value::as_object).collect()
}

/// A list of objects as a table; what every reading has stands first.
fn listing(name: &str, rows: &[&Map<String, Value>], look: Look) -> String {
    let mut columns: Vec<&str> = ["source", "count", "pages", "complete", "read_at"].to_vec();
    columns.retain(|column| rows.iter().any(|row| row.contains_key(*column)));
    for key in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let header: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| indented(n, &column.replace('_', " ").to_uppercase()))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let merged = merged(rows);
    let cells = merged.iter().map(|row| {
        let cell = |column: &&str| row.get(*column).map(inline).unwrap_or_default();
        columns
            .iter()
            .enumerate()
            .map(|(n, column)| look.plain(indented(n, &cell(column))))
            .collect()
    });
    format!("  {name}:\n{}", look.table(&header, cells.collect()))
}

/// One row a source, of which several lists may have been read: snapshots with Holdfast's tags, those
/// without that its AMIs map, and copies in progress. Counts are of all, complete are all or none, and
/// the time is that of the first.
fn merged(rows: &[&Map<String, Value>]) -> Vec<Map<String, Value>> {
    let mut merged: Vec<Map<String, Value>> = Vec::new();
    for row in rows {
        let source = row.get("source");
        let same = |one: &&mut Map<String, Value>| source.is_some() && one.get("source") == source;
        let Some(one) = merged.iter_mut().find(same) else {
            merged.push((*row).clone());
            continue;
        };
        for (key, value) in *row {
            let together = match (key.as_str(), one.get(key), value) {
                ("count" | "pages", Some(before), _) => {
                    let sum = before.as_u64().zip(value.as_u64()).map(|(a, b)| a + b);
                    sum.map_or_else(|| value.clone(), Value::from)
                }
                (_, Some(Value::Bool(before)), Value::Bool(value)) => (*before && *value).into(),
                (_, Some(before), _) => before.clone(),
                (_, None, _) => value.clone(),
            };
            one.insert(key.clone(), together);
        }
    }
    merged
}

/// The first column stands below its title.
fn indented(column: usize, text: &str) -> String {
    match column {
        0 => format!("  {text}"),
        _ => text.to_owned(),
    }
}
