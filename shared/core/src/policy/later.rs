//! Keys that have their place and values in the format already, and no effect yet.
//!
//! Their values are checked as they will be, so that a file written today is right tomorrow;
//! then they are refused, never accepted and ignored.

use super::field::{At, Fields, Findings};
use super::node::Value;
use super::period::Period;

/// Such keys of the file.
pub(super) const FILE_KEYS: [&str; 1] = ["prices"];

/// Such keys of a policy.
pub(super) const POLICY_KEYS: [&str; 4] =
    ["consistency", "application", "start_within", "cooldown"];

/// Refuses those of the file.
pub(super) fn refuse_file_keys(fields: &Fields<'_>, found: &mut Findings) {
    refuse(fields, &FILE_KEYS, found, |_, at, found| prices(at, found));
}

/// Refuses those of a policy.
pub(super) fn refuse_policy_keys(fields: &Fields<'_>, found: &mut Findings) {
    refuse(fields, &POLICY_KEYS, found, |key, at, found| match key {
        "consistency" => {
            let values = [("crash", ()), ("application", ()), ("stopped", ())];
            at.choice(found, &values);
        }
        "application" => application(at, found),
        "cooldown" => {
            at.period(found);
            if fields.get("triggers").is_none() {
                at.error(found, "belongs to `triggers`, which this policy has not");
            }
        }
        _ => {
            at.period(found);
        }
    });
}

fn refuse(
    fields: &Fields<'_>,
    keys: &[&str],
    found: &mut Findings,
    check: impl Fn(&str, &At<'_>, &mut Findings),
) {
    for key in keys {
        let Some(at) = fields.get(key) else {
            continue;
        };
        let before = found.count();
        check(key, at, found);
        if found.count() == before {
            at.error(
                found,
                format!("`{key}` is not supported yet; leave it out of the file"),
            );
        }
    }
}

fn application(at: &At<'_>, found: &mut Findings) {
    let expected = "{ document: NAME, timeout: 60s, on_failure: skip }";
    let known = ["document", "timeout", "on_failure"];
    let Some(fields) = at.fields(found, &known, expected) else {
        return;
    };
    if let Some(document) = fields.require(found, "document", "the name of an SSM document")
        && document.text(found, "the name of an SSM document") == Some("")
    {
        document.error(found, "is empty; write the name of an SSM document");
    }
    if let Some(timeout) = fields.get("timeout")
        && let Some(text) = timeout.text(found, "a time-out such as 60s")
        && !is_timeout(text)
    {
        timeout.error(found, "is no time-out; write one such as 60s or 5m");
    }
    if let Some(at) = fields.get("on_failure") {
        at.choice(found, &[("skip", ()), ("crash", ())]);
    }
}

/// Whether `text` is positive seconds, which only a time-out has, or another duration.
fn is_timeout(text: &str) -> bool {
    match text.strip_suffix('s') {
        Some(seconds) => {
            seconds.bytes().all(|b| b.is_ascii_digit())
                && seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)
        }
        None => Period::parse(text).is_ok(),
    }
}

fn prices(at: &At<'_>, found: &mut Findings) {
    let expected = "prices per GB-month such as { standard: 0.05 }";
    for (_, price) in at.entries(found, expected).unwrap_or_default() {
        match price.node.value {
            Value::Integer(number) if number >= 0 => {}
            Value::Float(number) if number >= 0.0 => {}
            Value::Integer(_) | Value::Float(_) => {
                price.error(found, "is negative; write a price of 0 or more");
            }
            _ => price.wrong(found, "a number such as 0.05, without quotes"),
        }
    }
}
