//! Faults drawn from a seed, one draw a call.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;

use crate::account::Account;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::page;
use crate::random::{Numbers, at};
use crate::request::Request;

/// Calls in which [`Chaos`] counts its rates.
const CALLS: u64 = 1000;

/// Random faults of an account. Rates are calls in a thousand; a call meets one fault at most.
///
/// What a call meets depends on the seed and on the call's number since the chaos began, so that
/// the same calls in the same order meet the same faults. [`Chaos::drawn`] derives everything from
/// one number: a failing test prints the chaos, and that number replays it. Callers that call
/// concurrently are replayed as far as their calls come in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// What every draw comes from.
    pub seed: u64,
    /// Refused for the rate of requests, nothing done.
    pub throttled: u32,
    /// Refused with a server error, nothing done.
    pub server_error: u32,
    /// Carried out, and the response lost.
    pub response_lost: u32,
    /// The list, at this page or the next, fails for the next [`Self::outage`] calls of the
    /// operation.
    pub page_failure: u32,
    /// The list gives an empty page with a token.
    pub empty_page: u32,
    /// The list shows the account as it was [`Self::lag`] ago: it misses what was made since, and
    /// shows what was deleted or changed since. What was seeded it never misses.
    pub lagging_list: u32,
    /// The operation is denied, for the next [`Self::outage`] calls of it.
    pub denied: u32,
    /// Calls of one operation that a failing page or a denial lasts, this one included.
    pub outage: u32,
    /// How far back a lagging list is; at most a day.
    pub lag: SignedDuration,
}

impl Chaos {
    /// No faults yet, for a caller that sets its own rates.
    #[must_use]
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            throttled: 0,
            server_error: 0,
            response_lost: 0,
            page_failure: 0,
            empty_page: 0,
            lagging_list: 0,
            denied: 0,
            outage: 4,
            lag: SignedDuration::from_mins(5),
        }
    }

    /// Rates drawn from the seed: each kind of fault is absent under about half of the seeds, and
    /// meets up to 40 calls in a thousand under the others.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        // Another sequence than that of the calls.
        let mut numbers = Numbers::new(!seed);
        let mut rate = || {
            let present = numbers.below(2) == 1;
            let rate = u32::try_from(numbers.below(40)).unwrap_or(0) + 1;
            if present { rate } else { 0 }
        };
        Self {
            throttled: rate(),
            server_error: rate(),
            response_lost: rate(),
            page_failure: rate(),
            empty_page: rate(),
            lagging_list: rate(),
            denied: rate(),
            outage: u32::try_from(numbers.below(8)).unwrap_or(0) + 1,
            lag: SignedDuration::from_secs(
                1 + i64::try_from(numbers.below(900)).unwrap_or_default(),
            ),
            seed,
        }
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chaos of seed {}", self.seed)
    }
}

/// A fault that [`Chaos`] drew for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChaosFault {
    /// Throttled.
    Throttled,
    /// A server error without effect.
    ServerError,
    /// Carried out, and the response lost.
    ResponseLost,
    /// A page of a list fails, also when it is asked for again.
    PageFailure,
    /// An empty page with a token.
    EmptyPage,
    /// A list of the account as it was a while ago.
    LaggingList,
    /// Denied, also when it is tried again.
    Denied,
}

#[derive(Clone, Copy, Debug)]
enum Outage {
    Page(u32),
    Denied,
}

/// How far the chaos has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unrest {
    calls: u64,
    outages: BTreeMap<&'static str, (Outage, u32)>,
}

impl Unrest {
    /// What this call meets, if anything. `page` is the page's number for a list.
    fn strike(
        &mut self,
        chaos: &Chaos,
        operation: &'static str,
        page: Option<u32>,
    ) -> Option<(ChaosFault, Numbers)> {
        self.calls += 1;
        let mut numbers = Numbers::new(at(chaos.seed, self.calls));
        if let Some(fault) = self.outage(operation, page) {
            return Some((fault, numbers));
        }
        let fault = drawn(chaos, &mut numbers)?;
        let list = page.is_some();
        match fault {
            ChaosFault::EmptyPage | ChaosFault::LaggingList if !list => return None,
            ChaosFault::PageFailure => {
                let failing = page?.saturating_add(u32::try_from(numbers.below(2)).unwrap_or(0));
                self.begin(operation, Outage::Page(failing), chaos.outage);
                return Some((self.outage(operation, page)?, numbers));
            }
            ChaosFault::Denied => {
                self.begin(operation, Outage::Denied, chaos.outage);
                return Some((self.outage(operation, page)?, numbers));
            }
            _ => {}
        }
        Some((fault, numbers))
    }

    fn begin(&mut self, operation: &'static str, outage: Outage, calls: u32) {
        self.outages.insert(operation, (outage, calls));
    }

    /// The outage of an operation that meets this call; every call of it brings its end nearer.
    fn outage(&mut self, operation: &'static str, page: Option<u32>) -> Option<ChaosFault> {
        let (outage, left) = self.outages.get_mut(operation)?;
        let fault = match *outage {
            Outage::Denied => Some(ChaosFault::Denied),
            Outage::Page(failing) => (page == Some(failing)).then_some(ChaosFault::PageFailure),
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.outages.remove(operation);
        }
        fault
    }
}

/// One draw over all rates.
fn drawn(chaos: &Chaos, numbers: &mut Numbers) -> Option<ChaosFault> {
    let rates = [
        (chaos.throttled, ChaosFault::Throttled),
        (chaos.server_error, ChaosFault::ServerError),
        (chaos.response_lost, ChaosFault::ResponseLost),
        (chaos.page_failure, ChaosFault::PageFailure),
        (chaos.empty_page, ChaosFault::EmptyPage),
        (chaos.lagging_list, ChaosFault::LaggingList),
        (chaos.denied, ChaosFault::Denied),
    ];
    let dice = numbers.below(CALLS);
    let mut upper = 0;
    rates.into_iter().find_map(|(rate, fault)| {
        upper += u64::from(rate);
        (dice < upper).then_some(fault)
    })
}

impl Account {
    /// Lets chaos begin, from its first call on; it takes the place of any there was.
    pub fn unleash(&mut self, chaos: Chaos) {
        self.settings.chaos = Some(chaos);
        self.unrest = Unrest::default();
    }

    /// Ends the chaos, also what it had made to last.
    pub fn calm(&mut self) {
        self.settings.chaos = None;
        self.unrest = Unrest::default();
    }

    /// The chaos in force.
    #[must_use]
    pub fn chaos(&self) -> Option<&Chaos> {
        self.settings.chaos.as_ref()
    }

    /// What chaos does to a call: the kind, and the fault for it. A lagging list is no fault of the
    /// call itself; it is set up here.
    pub(crate) fn strike(&mut self, request: &Request) -> Option<(ChaosFault, Option<Fault>)> {
        let chaos = self.settings.chaos.as_ref()?;
        let page = request.page().map(page::number);
        let (fault, mut numbers) = self.unrest.strike(chaos, request.operation(), page)?;
        let service = request.service();
        let effect = match fault {
            ChaosFault::Throttled => Fault::Error(ApiError::throttled_by(service)),
            ChaosFault::ServerError => Fault::Error(server_error(service, &mut numbers)),
            ChaosFault::PageFailure => Fault::Error(ApiError::internal_of(service)),
            ChaosFault::Denied => Fault::Error(ApiError::denied_by(service)),
            ChaosFault::ResponseLost => Fault::AppliedButResponseLost,
            ChaosFault::EmptyPage => Fault::EmptyPage,
            ChaosFault::LaggingList => {
                self.call_lag = chaos.lag.abs().min(SignedDuration::from_hours(24));
                return Some((fault, None));
            }
        };
        Some((fault, Some(effect)))
    }

    /// What chaos does to the deletion of one snapshot within `DeregisterImage`: what it would do to
    /// a call of `DeleteSnapshot`, as far as that makes a return code. Such a deletion counts as a
    /// call.
    pub(crate) fn strike_associated(&mut self) -> Option<ApiError> {
        let chaos = self.settings.chaos.as_ref()?;
        let (fault, mut numbers) = self.unrest.strike(chaos, "DeleteSnapshot", None)?;
        match fault {
            ChaosFault::Denied => Some(ApiError::unauthorized()),
            ChaosFault::Throttled | ChaosFault::ServerError => {
                Some(server_error(Request::EC2, &mut numbers))
            }
            // Nobody but EC2 waits for this response, and it is no list.
            ChaosFault::ResponseLost
            | ChaosFault::PageFailure
            | ChaosFault::EmptyPage
            | ChaosFault::LaggingList => None,
        }
    }
}

fn server_error(service: &str, numbers: &mut Numbers) -> ApiError {
    if numbers.below(2) == 0 {
        ApiError::internal_of(service)
    } else {
        ApiError::new(
            if service == Request::EC2 {
                "Unavailable"
            } else {
                "ServiceUnavailable"
            },
            "The server is overloaded and can't handle the request.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(chaos: &Chaos, calls: usize) -> Vec<Option<ChaosFault>> {
        let mut unrest = Unrest::default();
        (0..calls)
            .map(|_| {
                let struck = unrest.strike(chaos, "DescribeSnapshots", Some(1));
                struck.map(|(fault, _)| fault)
            })
            .collect()
    }

    #[test]
    fn the_same_seed_meets_the_same_calls_and_another_meets_others() {
        let chaos = |seed| Chaos {
            throttled: 100,
            response_lost: 100,
            ..Chaos::quiet(seed)
        };
        assert_eq!(faults(&chaos(7), 200), faults(&chaos(7), 200));
        assert_ne!(faults(&chaos(7), 200), faults(&chaos(8), 200));
        assert_eq!(Chaos::drawn(7), Chaos::drawn(7));
    }

    #[test]
    fn rates_are_calls_in_a_thousand() {
        let chaos = Chaos {
            throttled: 100,
            server_error: 300,
            ..Chaos::quiet(3)
        };
        let met = faults(&chaos, 10_000);
        let count = |fault| met.iter().filter(|f| **f == fault).count();
        // Six standard deviations: 1,000 ± 180 and 3,000 ± 275.
        let throttled = count(Some(ChaosFault::Throttled));
        assert!((820..1180).contains(&throttled), "{throttled}");
        let failed = count(Some(ChaosFault::ServerError));
        assert!((2725..3275).contains(&failed), "{failed}");
        assert!(faults(&Chaos::quiet(3), 1000).iter().all(Option::is_none));
    }

    #[test]
    fn a_denial_lasts_its_calls_of_the_operation_and_leaves_others_alone() {
        let denied = Chaos {
            denied: 1000,
            outage: 3,
            ..Chaos::quiet(1)
        };
        let quiet = Chaos::quiet(1);
        let mut unrest = Unrest::default();
        let fault = |struck: Option<(ChaosFault, Numbers)>| struck.map(|(fault, _)| fault);
        let first = unrest.strike(&denied, "DescribeImages", Some(1));
        assert_eq!(fault(first), Some(ChaosFault::Denied));
        assert_eq!(fault(unrest.strike(&quiet, "DescribeTags", Some(1))), None);
        for expected in [Some(ChaosFault::Denied), Some(ChaosFault::Denied), None] {
            let next = unrest.strike(&quiet, "DescribeImages", Some(2));
            assert_eq!(fault(next), expected);
        }
    }

    #[test]
    fn a_page_that_fails_keeps_failing_and_the_others_do_not() {
        let failing = Chaos {
            page_failure: 1000,
            outage: 4,
            ..Chaos::quiet(1)
        };
        let quiet = Chaos::quiet(1);
        let mut unrest = Unrest::default();
        unrest.begin("DescribeImages", Outage::Page(2), failing.outage);
        let met: Vec<bool> = [1, 2, 2, 3, 2]
            .into_iter()
            .map(|page| {
                let struck = unrest.strike(&quiet, "DescribeImages", Some(page));
                struck.is_some()
            })
            .collect();
        assert_eq!(met, [false, true, true, false, false]);
        // What is no list has no pages to fail.
        let other = unrest.strike(&failing, "DeleteSnapshot", None);
        assert!(other.is_none());
    }
}
