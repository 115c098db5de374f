//! Paging: a page of a sorted list, and the opaque token that leads to the next.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::error::ApiError;
use crate::request::PageRequest;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What it holds; may be short or empty although a token follows (EC2 Developer Guide,
    /// "Pagination").
    pub items: Vec<T>,
    /// The way to the next page; none on the last.
    pub next_token: Option<String>,
}

impl<T> Page<T> {
    /// A list of one page.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_token: None,
        }
    }
}

/// Where reading goes on, and how far.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    operation: &'static str,
    fingerprint: u64,
    /// Key of the last item given.
    pub(crate) after: Option<String>,
    /// Number of this page, from 1.
    page: u32,
    limit: Option<usize>,
    /// Give an empty page with a token, as EC2 may.
    empty: bool,
}

/// FNV-1a, for the check digits of a token and the fingerprint of a request.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Opens a page.
///
/// `bounds` are the least and greatest `MaxResults`: less is refused, more is cut to the greatest
/// (older API versions say of DescribeSnapshots: between 5 and 1,000, larger values give 1,000).
/// A token must come from the same operation with the same parameters. EC2 has both
/// `InvalidPaginationToken` and `InvalidNextToken` `[E]` and does not say which call gives which;
/// here it is always the former.
pub(crate) fn open(
    operation: &'static str,
    parameters: &impl std::fmt::Debug,
    request: &PageRequest,
    bounds: (i32, i32),
    empty: bool,
) -> Result<Cursor, ApiError> {
    let limit = match request.max_results {
        Some(n) if n < bounds.0 => {
            return Err(ApiError::invalid_value(format!(
                "Value ( {n} ) for parameter maxResults is invalid. Expecting a value of at least {}.",
                bounds.0
            )));
        }
        Some(n) => usize::try_from(n.min(bounds.1)).ok(),
        None => None,
    };
    let fingerprint = hash(&format!("{parameters:?}"));
    let (after, page) = match &request.next_token {
        None => (None, 1),
        Some(token) => read_token(token)
            .filter(|t| t.operation == operation && t.fingerprint == fingerprint)
            .map(|t| (t.after, t.page))
            .ok_or_else(|| {
                ApiError::new(
                    "InvalidPaginationToken",
                    "The specified pagination token is not valid or is expired.",
                )
            })?,
    };
    Ok(Cursor {
        operation,
        fingerprint,
        after,
        page,
        limit,
        empty,
    })
}

impl Cursor {
    /// Collects one page from `sorted`, which begins after [`Cursor::after`].
    ///
    /// Only what the page holds is cloned; looking for one more decides on the token.
    pub(crate) fn collect<T: Clone, B: Borrow<T>>(
        &self,
        sorted: impl Iterator<Item = (String, B)>,
        keep: impl Fn(&T) -> bool,
    ) -> Page<T> {
        if self.empty {
            return Page {
                items: Vec::new(),
                next_token: Some(self.token(self.after.as_deref())),
            };
        }
        let mut items: Vec<T> = Vec::new();
        let mut last: Option<String> = None;
        for (key, item) in sorted.filter(|(_, item)| keep(item.borrow())) {
            if self.limit.is_some_and(|limit| items.len() >= limit) {
                return Page {
                    items,
                    next_token: Some(self.token(last.as_deref())),
                };
            }
            items.push(item.borrow().clone());
            last = Some(key);
        }
        Page::whole(items)
    }

    fn token(&self, after: Option<&str>) -> String {
        let plain = format!(
            "{}\n{:016x}\n{}\n{}",
            self.operation,
            self.fingerprint,
            self.page.saturating_add(1),
            after.map_or_else(String::new, |a| format!("={a}")),
        );
        let mut token: String = plain.bytes().map(|b| format!("{b:02x}")).collect();
        token.push_str(&format!("{:016x}", hash(&plain)));
        token
    }
}

struct Token {
    operation: String,
    fingerprint: u64,
    page: u32,
    after: Option<String>,
}

fn read_token(token: &str) -> Option<Token> {
    let (body, check) = token.split_at_checked(token.len().checked_sub(16)?)?;
    let bytes: Option<Vec<u8>> = body
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let plain = String::from_utf8(bytes?).ok()?;
    if format!("{:016x}", hash(&plain)) != check {
        return None;
    }
    let mut parts = plain.splitn(4, '\n');
    Some(Token {
        operation: parts.next()?.to_owned(),
        fingerprint: u64::from_str_radix(parts.next()?, 16).ok()?,
        page: parts.next()?.parse().ok()?,
        after: parts.next()?.strip_prefix('=').map(str::to_owned),
    })
}

/// Number of the page, from 1, that a request asks for; 1 where the token cannot be read.
pub(crate) fn number(request: &PageRequest) -> u32 {
    request
        .next_token
        .as_deref()
        .and_then(read_token)
        .map_or(1, |t| t.page)
}

/// Entries of a map after a key, or only those named.
pub(crate) fn candidates<'a, K, V>(
    map: &'a BTreeMap<K, V>,
    after: Option<&str>,
    named: Option<&BTreeSet<String>>,
    key: fn(String) -> K,
) -> Box<dyn Iterator<Item = (String, &'a V)> + 'a>
where
    K: Ord + AsRef<str>,
{
    match named {
        Some(names) => {
            let found: Vec<(String, &V)> = names
                .iter()
                .filter(|n| after.is_none_or(|a| n.as_str() > a))
                .filter_map(|n| map.get(&key(n.clone())).map(|v| (n.clone(), v)))
                .collect();
            Box::new(found.into_iter())
        }
        None => {
            let from = after.map_or(Bound::Unbounded, |a| Bound::Excluded(key(a.to_owned())));
            Box::new(
                map.range((from, Bound::Unbounded))
                    .map(|(k, v)| (k.as_ref().to_owned(), v)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(max: i32, token: Option<String>) -> PageRequest {
        PageRequest {
            max_results: Some(max),
            next_token: token,
        }
    }

    #[test]
    fn a_token_belongs_to_its_operation_and_parameters() {
        let items = [("a".to_owned(), &1), ("b".to_owned(), &2)];
        let cursor = open("List", &"x", &request(1, None), (1, 10), false).unwrap();
        let token = cursor.collect(items.into_iter(), |_: &i32| true).next_token;
        assert!(open("List", &"x", &request(1, token.clone()), (1, 10), false).is_ok());
        for (operation, parameters, token) in [
            ("Other", "x", token.clone()),
            ("List", "y", token.clone()),
            ("List", "x", token.map(|t| format!("{t}0"))),
            ("List", "x", Some("rubbish".to_owned())),
            ("List", "x", Some(String::new())),
            ("List", "x", Some("ééééééééé".to_owned())),
        ] {
            let error = open(operation, &parameters, &request(1, token), (1, 10), false)
                .expect_err("refused");
            assert_eq!(error.code, "InvalidPaginationToken");
        }
    }

    #[test]
    fn too_few_results_are_refused_and_too_many_cut() {
        assert_eq!(
            open("List", &(), &request(4, None), (5, 1000), false)
                .unwrap_err()
                .code,
            "InvalidParameterValue"
        );
        let cursor = open("List", &(), &request(5000, None), (5, 1000), false).unwrap();
        assert_eq!(cursor.limit, Some(1000));
    }
}
