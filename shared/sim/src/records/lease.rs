//! Leases: one run of a policy, and one sweep, at a time.

use holdfast_core::ports::records::{Acquired, LEASE_TIME, Lease, TableError};
use jiff::{SignedDuration, Timestamp};

use super::contents::{Contents, LeaseRecord};
use super::fenced;

/// By how much another holder's clock may be ahead: an end beyond [`LEASE_TIME`] and this is a
/// damaged record.
const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// Holder of a lease that was given back.
const NOBODY: &str = "-";

/// The records keep a lease's end to the millisecond.
fn to_the_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

pub(super) fn acquire(
    contents: &mut Contents,
    name: &str,
    holder: &str,
    wall: Timestamp,
) -> Acquired {
    let mut fence = 1;
    if let Some(stands) = contents.leases.get(name) {
        let over = stands.expires <= to_the_millisecond(wall);
        let damaged = stands.expires > to_the_millisecond(wall + LEASE_TIME + SKEW);
        if stands.holder != holder && !over && !damaged {
            return Acquired::Busy {
                until: stands.expires,
            };
        }
        fence = stands.fence + 1;
    }
    let expires = wall + LEASE_TIME;
    let taken = LeaseRecord {
        holder: holder.to_owned(),
        fence,
        expires: to_the_millisecond(expires),
    };
    contents.leases.insert(name.to_owned(), taken);
    Acquired::Held(Lease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        fence,
        expires,
    })
}

pub(super) fn renew(
    contents: &mut Contents,
    lease: &Lease,
    wall: Timestamp,
) -> Result<Lease, TableError> {
    let expires = wall + LEASE_TIME;
    let Some(stands) = held(contents, lease) else {
        return Err(fenced("UpdateItem", &lease.name));
    };
    stands.expires = to_the_millisecond(expires);
    Ok(Lease {
        expires,
        ..lease.clone()
    })
}

/// One that has passed to another is left alone.
pub(super) fn release(contents: &mut Contents, lease: &Lease) {
    if let Some(stands) = held(contents, lease) {
        stands.holder = NOBODY.to_owned();
        stands.expires = Timestamp::UNIX_EPOCH;
    }
}

fn held<'c>(contents: &'c mut Contents, lease: &Lease) -> Option<&'c mut LeaseRecord> {
    let stands = contents.leases.get_mut(&lease.name)?;
    (stands.holder == lease.holder && stands.fence == lease.fence).then_some(stands)
}
