//! Reading a paged list to its end, and what becomes of an item that nobody can read.

use std::collections::BTreeSet;

use holdfast_core::inventory::{List, Source};
use holdfast_core::ports::{CallError, ErrorClass};
use jiff::Timestamp;

/// An item of an answer that cannot be turned into a strict type: nobody knows what it protects,
/// so the list that holds it is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// What it is about, as far as the answer tells.
    pub(super) resource: Option<String>,
    /// What is wrong with it.
    pub(super) why: &'static str,
}

impl Unreadable {
    /// It lacks its identifier.
    pub(super) const NAMELESS: Self = Self {
        resource: None,
        why: "an answer lacks the identifier of what it describes",
    };

    /// An answer that says nothing is no proof that there is nothing: an empty list is there, and
    /// empty.
    pub(super) const SILENT: Self = Self {
        resource: None,
        why: "an answer lacks the list that was asked for",
    };

    /// Its list would go on for ever.
    pub(super) const CIRCLE: Self = Self {
        resource: None,
        why: "an answer leads to a page that was read before",
    };

    /// `resource` has a shape that Holdfast does not know.
    pub(super) fn of(resource: impl Into<String>, why: &'static str) -> Self {
        Self {
            resource: Some(resource.into()),
            why,
        }
    }

    pub(super) fn error(self, operation: &'static str) -> CallError {
        CallError {
            operation,
            resource: self.resource.unwrap_or_else(|| "*".to_owned()),
            code: None,
            class: ErrorClass::Permanent,
            message: self.why.to_owned(),
        }
    }
}

/// The text, unless it is empty: the SDK puts an empty text where an answer lacks a field that its
/// model says is always there.
pub(super) fn told(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The identifier of an item.
pub(super) fn identifier(text: Option<String>) -> Result<String, Unreadable> {
    told(text).ok_or(Unreadable::NAMELESS)
}

/// The tokens of the pages that answers have led to.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeSet<String>);

impl Tokens {
    /// Whether an answer leads to a page that another one has led to.
    ///
    /// The SDK's own paginators take a token that comes twice for the end of the list, without a
    /// word (`stop_on_duplicate_token`): then what was not read would look as if it were not there.
    pub(super) fn lead_back(&mut self, next: Option<&str>) -> bool {
        let next = next.filter(|token| !token.is_empty());
        next.is_some_and(|token| !self.0.insert(token.to_owned()))
    }
}

/// What became of an item: read, or not.
pub(super) trait Converted<T> {
    /// It, or why it could not be read.
    fn converted(self) -> Result<T, Unreadable>;
}

impl<T> Converted<T> for Option<T> {
    /// Nothing lacks anything but its identifier.
    fn converted(self) -> Result<T, Unreadable> {
        self.ok_or(Unreadable::NAMELESS)
    }
}

impl<T> Converted<T> for Result<T, Unreadable> {
    fn converted(self) -> Self {
        self
    }
}

/// A list that is about to be read.
pub(super) fn begun<I: Default>(source: Source) -> List<I> {
    List {
        items: I::default(),
        source,
        pages: 0,
        read_at: Timestamp::now(),
        error: None,
    }
}

/// Adds an item to a list, or the reason why the list is not complete.
pub(super) fn take<T, I: Extend<T>>(
    list: &mut List<I>,
    operation: &'static str,
    item: impl Converted<T>,
) {
    match item.converted() {
        Ok(item) => list.items.extend([item]),
        Err(unreadable) => list.error = Some(unreadable.error(operation)),
    }
}

/// Reads all pages of a paginator into a listing, converting item by item. The items of a page are
/// `None` where an answer that has none of them is of a shape that nobody knows. The oldest lists
/// are documented with an empty element then; of the others it is not known, and their absence is
/// taken for none.
macro_rules! collect {
    ($list:expr, $operation:literal, $request:expr, $page:ident => $items:expr, $convert:expr) => {{
        let paginator = $request.into_paginator().stop_on_duplicate_token(false);
        let mut pages = paginator.send();
        let mut tokens = $crate::aws::listing::Tokens::default();
        while let Some(page) = pages.next().await {
            match page {
                Ok($page) => {
                    $list.pages += 1;
                    let leads_back = tokens.lead_back($page.next_token.as_deref());
                    match $items {
                        Some(items) => {
                            for item in items {
                                $crate::aws::listing::take(&mut $list, $operation, $convert(item));
                            }
                        }
                        None => {
                            let silent = $crate::aws::listing::Unreadable::SILENT;
                            $list.error = Some(silent.error($operation));
                        }
                    }
                    if leads_back {
                        let circle = $crate::aws::listing::Unreadable::CIRCLE;
                        $list.error = Some(circle.error($operation));
                        break;
                    }
                }
                Err(error) => {
                    let error = $crate::aws::error::call_error($operation, "*", &error);
                    $list.error = Some(error);
                    break;
                }
            }
        }
    }};
}

pub(super) use collect;
