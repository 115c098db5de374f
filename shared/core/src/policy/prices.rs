//! Prices of storage, from which the command line reckons costs. No decision rests on them.

use super::field::{At, Findings};
use super::node::Value;

/// Prices per GB-month, in whatever currency the reader thinks in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of the standard tier, where every snapshot begins.
    pub standard: Option<f64>,
}

const KEYS: [&str; 1] = ["standard"];

/// Reads the key `prices` of the file.
pub(super) fn prices(at: &At<'_>, found: &mut Findings) -> Prices {
    let expected = "prices per GB-month such as { standard: 0.05 }";
    let Some(fields) = at.fields(found, &KEYS, expected) else {
        return Prices::default();
    };
    Prices {
        standard: fields.get("standard").and_then(|at| price(at, found)),
    }
}

fn price(at: &At<'_>, found: &mut Findings) -> Option<f64> {
    let number = match at.node.value {
        // No price has more digits than a float.
        #[allow(clippy::cast_precision_loss)]
        Value::Integer(whole) => whole as f64,
        Value::Float(number) => number,
        _ => {
            at.wrong(found, "a number such as 0.05, without quotes");
            return None;
        }
    };
    if !number.is_finite() {
        at.wrong(found, "a number such as 0.05");
        return None;
    }
    if number < 0.0 {
        at.error(found, "is negative; write a price of 0 or more");
        return None;
    }
    Some(number)
}
