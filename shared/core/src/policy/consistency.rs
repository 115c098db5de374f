//! How consistent a policy's backups are to be: the keys `consistency` and `application`.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::field::{At, Fields, Findings};
use super::period::{Period, PeriodUnit};
use super::{Protect, Trigger};

/// Shortest and longest time-out of a command in the guest, in seconds.
///
/// AWS's own pre- and post-scripts have 10 to 120 (Amazon DLM API Reference, `Script`). Twice the
/// longest here and one call to EC2 fit well into one invocation of the function.
const TIMEOUT_SECONDS: (u32, u32) = (10, 300);

/// Time-out where the file gives none.
const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);

/// The level that a policy asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RequestedConsistency {
    /// One point in time of all disks, as after a loss of power.
    #[default]
    Crash,
    /// Writes are held inside the guest while EC2 takes the point in time.
    Application(Application),
    /// Only of an instance that is stopped.
    Stopped,
}

impl RequestedConsistency {
    /// Its spelling in policy files and in the tag `holdfast:consistency`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Application(_) => "application",
            Self::Stopped => "stopped",
        }
    }

    /// The commands in the guest, where it takes any.
    #[must_use]
    pub fn application(&self) -> Option<&Application> {
        match self {
            Self::Application(application) => Some(application),
            Self::Crash | Self::Stopped => None,
        }
    }
}

/// How writes are held inside the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Name or ARN of the SSM document with the pre- and the post-script.
    pub document: String,
    /// How long each of the two may take, from sending it to hearing that it is done.
    pub timeout: SignedDuration,
    /// What becomes of a source that cannot be frozen.
    pub on_failure: OnFailure,
}

/// What becomes of a source that cannot be frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It gets no backup, and the report a failed item.
    #[default]
    Skip,
    /// It gets a crash-consistent backup, which says so.
    Crash,
}

/// What the rest of the policy says that decides whether the level can be reached.
pub(super) struct Beside<'a> {
    pub protect: Option<Protect>,
    pub reboot: Option<bool>,
    pub triggers: Option<&'a BTreeSet<Trigger>>,
}

/// Reads both keys, or notes what is wrong with them.
pub(super) fn consistency(
    fields: &Fields<'_>,
    beside: &Beside<'_>,
    found: &mut Findings,
) -> Option<RequestedConsistency> {
    let application = fields.get("application");
    let application = application.map(|at| (at, self::application(at, found)));
    let Some(at) = fields.get("consistency") else {
        if let Some((at, _)) = application {
            at.error(
                found,
                "belongs to `consistency: application`; write that too",
            );
            return None;
        }
        return Some(RequestedConsistency::Crash);
    };
    let words = [("crash", 0), ("application", 1), ("stopped", 2)];
    let choice = at.choice(found, &words)?;
    if let (Some((at, _)), 0 | 2) = (&application, choice) {
        at.error(
            found,
            "belongs to `consistency: application`, and this policy has another",
        );
        return None;
    }
    match choice {
        1 => {
            let fits = application_fits(at, beside, found);
            let Some((_, read)) = application else {
                let message = "needs `application: { document: NAME }`, the SSM document whose \
                               pre- and post-script hold the writes";
                at.error(found, message);
                return None;
            };
            read.filter(|_| fits).map(RequestedConsistency::Application)
        }
        2 => stopped_fits(at, beside, found).then_some(RequestedConsistency::Stopped),
        _ => Some(RequestedConsistency::Crash),
    }
}

/// Whether application consistency can be had at all.
fn application_fits(at: &At<'_>, beside: &Beside<'_>, found: &mut Findings) -> bool {
    if beside.protect == Some(Protect::Instances) {
        let message = "an AMI is made by CreateImage, during which nothing tells when EC2 takes \
                       its point in time, so that no freeze could be held over it; write \
                       `protect: volumes`, or `consistency: stopped` or `reboot: true`";
        at.error(found, message);
        return false;
    }
    no_trigger(at, beside, found, &[Trigger::Stopped], "runs no command")
}

/// Whether a stopped instance can ever be met.
fn stopped_fits(at: &At<'_>, beside: &Beside<'_>, found: &mut Findings) -> bool {
    if beside.reboot == Some(true) {
        let message = "takes only instances that are stopped, and `reboot: true` reboots running \
                       ones; write one of the two";
        at.error(found, message);
        return false;
    }
    let running = [Trigger::Running, Trigger::SpotInterruption];
    no_trigger(at, beside, found, &running, "is not stopped")
}

fn no_trigger(
    at: &At<'_>,
    beside: &Beside<'_>,
    found: &mut Findings,
    never: &[Trigger],
    why: &str,
) -> bool {
    let triggers = beside.triggers.into_iter().flatten();
    let mut fits = true;
    for trigger in triggers.filter(|trigger| never.contains(trigger)) {
        let name = trigger.as_str();
        let message = format!(
            "an instance of the trigger `{name}` {why}, so that no backup would ever answer it; \
             write that trigger in a policy of its own"
        );
        at.error(found, message);
        fits = false;
    }
    fits
}

fn application(at: &At<'_>, found: &mut Findings) -> Option<Application> {
    let expected = "{ document: NAME, timeout: 60s, on_failure: skip }";
    let known = ["document", "timeout", "on_failure"];
    let fields = at.fields(found, &known, expected)?;
    let document = fields
        .require(found, "document", "the name of an SSM document")
        .and_then(|at| document(at, found));
    let timeout = fields
        .get("timeout")
        .map_or(Some(DEFAULT_TIMEOUT), |at| timeout(at, found));
    let on_failure = fields
        .get("on_failure")
        .map_or(Some(OnFailure::Skip), |at| {
            at.choice(
                found,
                &[("skip", OnFailure::Skip), ("crash", OnFailure::Crash)],
            )
        });
    Some(Application {
        document: document?,
        timeout: timeout?,
        on_failure: on_failure?,
    })
}

/// A document's name or ARN (`SendCommand`, Systems Manager API Reference: `^[a-zA-Z0-9_\-.:/]{3,128}$`).
fn document(at: &At<'_>, found: &mut Findings) -> Option<String> {
    let text = at.text(found, "the name of an SSM document")?;
    if text.is_empty() {
        at.error(found, "is empty; write the name of an SSM document");
        return None;
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if !(3..=128).contains(&text.len()) || !text.bytes().all(plain) {
        let message = "is no name of an SSM document; write its name or ARN, 3 to 128 letters, \
                       digits and _ - . : /";
        at.error(found, message);
        return None;
    }
    Some(text.to_owned())
}

/// Seconds, which only a time-out has, or minutes.
fn timeout(at: &At<'_>, found: &mut Findings) -> Option<SignedDuration> {
    let text = at.text(found, "a time-out such as 60s")?;
    let (least, most) = TIMEOUT_SECONDS;
    let seconds = match text.strip_suffix('s') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u32>().ok(),
        Some(_) => None,
        None => Period::parse(text).ok().and_then(in_seconds),
    };
    let Some(seconds) = seconds else {
        at.error(found, "is no time-out; write one such as 60s or 5m");
        return None;
    };
    if !(least..=most).contains(&seconds) {
        at.error(found, format!("is out of range; write {least}s to {most}s"));
        return None;
    }
    Some(SignedDuration::from_secs(i64::from(seconds)))
}

/// A time-out in minutes as seconds; none for what is counted in longer units.
fn in_seconds(period: Period) -> Option<u32> {
    match period.unit() {
        PeriodUnit::Minutes => period.count().checked_mul(60),
        PeriodUnit::Hours
        | PeriodUnit::Days
        | PeriodUnit::Weeks
        | PeriodUnit::Months
        | PeriodUnit::Years => None,
    }
}
