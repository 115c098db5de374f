//! Filters of the `Describe` calls: AND between filters, OR within one, wildcards.

use std::borrow::Cow;
use std::collections::BTreeSet;

use holdfast_core::inventory::Tags;

use crate::error::ApiError;

/// One filter of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its name, such as `status` or `tag:KEY`.
    pub name: String,
    /// Any of these values; `*` and `?` are wildcards, `\` takes their meaning away.
    pub values: Vec<String>,
}

impl Filter {
    /// A filter with these values.
    pub fn new<V: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self {
            name: name.into(),
            values: values.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a listed resource offers to filters.
pub(crate) trait Filterable {
    /// Filter names it knows, `tag:KEY` and `tag-key` aside.
    const NAMES: &'static [&'static str];

    /// Its values under one of [`Self::NAMES`]; none where it has no such property.
    fn values(&self, name: &str) -> Vec<Cow<'_, str>>;

    /// Its tags; `None` where the resource has no tag filters.
    fn filter_tags(&self) -> Option<&Tags>;
}

/// At most 50 filters a request and 200 values a filter, else `FilterLimitExceeded`
/// (EC2 User Guide, "Filter your resources"; `[E]`).
const MAX_FILTERS: usize = 50;
const MAX_VALUES: usize = 200;

/// Refuses filters that `T` does not know, and too many of them.
pub(crate) fn check<T: Filterable>(filters: &[Filter], tagged: bool) -> Result<(), ApiError> {
    if filters.len() > MAX_FILTERS || filters.iter().any(|f| f.values.len() > MAX_VALUES) {
        return Err(ApiError::new(
            "FilterLimitExceeded",
            "The maximum number of filters or of values in a filter was exceeded.",
        ));
    }
    for filter in filters {
        let known = T::NAMES.contains(&filter.name.as_str())
            || (tagged && (filter.name == "tag-key" || filter.name.starts_with("tag:")));
        if !known {
            return Err(ApiError::invalid_value(format!(
                "The filter '{}' is invalid",
                filter.name
            )));
        }
    }
    Ok(())
}

/// Whether a resource passes every filter. A filter without values passes nothing.
pub(crate) fn passes<T: Filterable>(filters: &[Filter], item: &T) -> bool {
    filters.iter().all(|filter| {
        let any = |text: &str| any_matches(filter, text);
        if let Some(key) = filter.name.strip_prefix("tag:") {
            item.filter_tags()
                .and_then(|t| t.get(key))
                .is_some_and(|v| any(v))
        } else if filter.name == "tag-key" {
            item.filter_tags().is_some_and(|t| t.keys().any(|k| any(k)))
        } else {
            item.values(&filter.name).iter().any(|v| any(v))
        }
    })
}

/// Whether any value of a filter matches `text`.
pub(crate) fn any_matches(filter: &Filter, text: &str) -> bool {
    filter.values.iter().any(|p| wildcard(p, text))
}

/// The exact values asked of `name`, when every one is without wildcards: then a list need not be
/// scanned.
pub(crate) fn exact(filters: &[Filter], name: &str) -> Option<BTreeSet<String>> {
    let filter = filters.iter().find(|f| f.name == name)?;
    let plain = filter.values.iter().all(|v| !v.contains(['*', '?', '\\']));
    plain.then(|| filter.values.iter().cloned().collect())
}

/// Whether `text` matches `pattern` as a whole; case counts.
fn wildcard(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Piece {
        Many,
        One,
        Plain(char),
    }
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            '\\' => Piece::Plain(chars.next().unwrap_or('\\')),
            other => Piece::Plain(other),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Greedy match with one point of return: the last `*`.
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pieces.get(p) {
            Some(Piece::Many) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Piece::One) => {
                p += 1;
                t += 1;
            }
            Some(Piece::Plain(c)) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pieces[p..].iter().all(|piece| *piece == Piece::Many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_ec2_documents_them() {
        for (pattern, text, expected) in [
            ("nightly", "nightly", true),
            ("nightly", "Nightly", false),
            ("night*", "nightly", true),
            ("*", "", true),
            ("?", "", false),
            ("n?ghtly", "nightly", true),
            ("*db*2", "old-db-1-db-2", true),
            ("*db*3", "old-db-1-db-2", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            ("holdfast/*/20??*", "holdfast/p/2026", true),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
