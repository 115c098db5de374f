//! The account behind the product's ports, without HTTP.

mod convert;
mod guests;
mod protection;
mod read;
mod referrers;
mod restore;
mod templates;
mod write;

use std::sync::{MutexGuard, PoisonError};

use holdfast_core::error_code::classify;
use holdfast_core::inventory::{Listing, Source};
use holdfast_core::ports::{CallError, ErrorClass};

use crate::account::{Account, SharedAccount};
use crate::error::CallFailure;
use crate::page::Page;
use crate::request::{PageRequest, Request};
use crate::response::Response;

/// Values that one filter may have (EC2 User Guide, "Filter your resources").
const FILTER_VALUES: usize = 200;

/// The ports over a shared account.
#[derive(Clone, Debug)]
pub struct InProcess {
    account: SharedAccount,
    page_size: i32,
}

impl InProcess {
    /// Ports that read pages of 1,000.
    #[must_use]
    pub fn new(account: SharedAccount) -> Self {
        Self {
            account,
            page_size: 1000,
        }
    }

    /// The same with pages of another size, where EC2 allows it.
    #[must_use]
    pub fn with_page_size(mut self, page_size: i32) -> Self {
        self.page_size = page_size;
        self
    }

    /// The same, in pages that a list with smaller ones allows.
    fn in_pages_of_at_most(&self, most: i32) -> Self {
        let page_size = self.page_size.min(most);
        self.clone().with_page_size(page_size)
    }

    /// The account. A test that panicked with the lock in hand leaves the account as it was then.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, request: &Request, resource: &str) -> Result<Response, CallError> {
        let operation = request.operation();
        self.account()
            .call(request)
            .map_err(|failure| call_error(operation, resource, failure))
    }

    /// Reads a list to its last page, or to the page that failed.
    fn list<T, U>(
        &self,
        source: Source,
        request: impl Fn(PageRequest) -> Request,
        page_of: impl Fn(Response) -> Option<Page<T>>,
        convert: impl Fn(T) -> U,
    ) -> Listing<U> {
        let mut listing = Listing::complete(source, Vec::new(), self.account().now());
        listing.pages = 0;
        let mut next_token = None;
        loop {
            let request = request(PageRequest {
                max_results: Some(self.page_size),
                next_token: next_token.take(),
            });
            let page = match self.make(&request, "*") {
                Ok(response) => page_of(response),
                Err(error) => {
                    listing.error = Some(error);
                    return listing;
                }
            };
            let Some(page) = page else {
                listing.error = Some(mismatch(request.operation(), "*"));
                return listing;
            };
            listing.pages += 1;
            listing.items.extend(page.items.into_iter().map(&convert));
            match page.next_token {
                Some(token) => next_token = Some(token),
                None => return listing,
            }
        }
    }

    /// One list after the other, as one; ends with the first that is incomplete.
    fn in_chunks<T>(
        &self,
        source: Source,
        ids: &[String],
        list: impl Fn(Vec<String>) -> Listing<T>,
    ) -> Listing<T> {
        let mut all = Listing::complete(source, Vec::new(), self.account().now());
        all.pages = 0;
        for chunk in ids.chunks(FILTER_VALUES) {
            let part = list(chunk.to_vec());
            all.pages += part.pages;
            all.items.extend(part.items);
            if part.error.is_some() {
                all.error = part.error;
                break;
            }
        }
        all
    }
}

fn call_error(operation: &'static str, resource: &str, failure: CallFailure) -> CallError {
    let message = failure.to_string();
    let (code, class, message) = match failure {
        CallFailure::Refused(error) => {
            // As an adapter does: a code of its own class decides, else a server error means
            // that nobody knows.
            let class = match classify(&error.code) {
                ErrorClass::Permanent if error.http_status >= 500 => ErrorClass::UnknownOutcome,
                class => class,
            };
            (Some(error.code), class, error.message)
        }
        CallFailure::ResponseLost | CallFailure::Hang => {
            (None, ErrorClass::UnknownOutcome, message)
        }
    };
    CallError {
        operation,
        resource: resource.to_owned(),
        code,
        class,
        message,
    }
}

fn mismatch(operation: &'static str, resource: &str) -> CallError {
    CallError {
        operation,
        resource: resource.to_owned(),
        code: None,
        class: ErrorClass::UnknownOutcome,
        message: "the answer is of another kind than the request".to_owned(),
    }
}
