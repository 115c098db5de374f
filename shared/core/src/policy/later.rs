//! Keys that have their place and values in the format already, and no effect yet.
//!
//! Their values are checked as they will be, so that a file written today is right tomorrow;
//! then they are refused, never accepted and ignored.

use super::field::{At, Fields, Findings};
use super::node::Value;

/// Such keys of the file.
pub(super) const FILE_KEYS: [&str; 1] = ["prices"];

/// Refuses those of the file.
pub(super) fn refuse_file_keys(fields: &Fields<'_>, found: &mut Findings) {
    refuse(fields, &FILE_KEYS, found, |_, at, found| prices(at, found));
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
