//! One policy of a policy file: its keys, their values, and whether they fit together.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::field::{At, Fields, Findings, one_of};
use super::node::Value;
use super::period::Period;
use super::schedule::{MIN_SPACING_MINUTES, Schedule};
use super::spacing::too_close;
use super::{
    EvidenceSource, GroupBy, Limits, Policy, PolicyState, Protect, Retain, consistency, holding,
    selector, triggers,
};

/// The largest count that a keep rule, `min_copies` or `limits.free` may have.
const MAX_COUNT: u32 = 100_000;

/// `start_within` where a policy does not say.
const START_WITHIN: &str = "1h";

/// The most schedules that one policy may have.
const MAX_SCHEDULES: usize = 32;

const KEYS: [&str; 25] = [
    "name",
    "protect",
    "select",
    "schedule",
    "start_within",
    "timezone",
    "triggers",
    "cooldown",
    "reboot",
    "consistency",
    "application",
    "retain",
    "min_copies",
    "group",
    "grace",
    "limits",
    "evidence",
    "launch_template_versions",
    "stopped_instances_hold",
    "terminated_instances_hold",
    "recently_launched",
    "source_gone",
    "rpo",
    "state",
    "formerly",
];

/// A name and where it stands.
pub(super) struct NameAt {
    pub text: String,
    pub path: String,
    pub line: u64,
}

/// What could be read of a policy.
pub(super) struct Checked {
    pub name: Option<NameAt>,
    pub formerly: Vec<NameAt>,
    /// The policy; none when anything in it is wrong.
    pub policy: Option<Policy>,
}

/// Reads one policy and notes everything that is wrong with it.
pub(super) fn policy(at: &At<'_>, now: Timestamp, found: &mut Findings) -> Checked {
    let mut checked = Checked {
        name: None,
        formerly: Vec::new(),
        policy: None,
    };
    let expected = "a mapping with name, protect, select, retain and schedule or triggers";
    let Some(fields) = at.fields(found, &KEYS, expected) else {
        return checked;
    };
    checked.name = fields
        .require(found, "name", "a name such as nightly-db")
        .and_then(|at| name(at, found));
    checked.formerly = formerly(&fields, found);

    checked.policy = body(at, &fields, &checked, now, found);
    checked
}

/// Everything but the names.
fn body(
    at: &At<'_>,
    fields: &Fields<'_>,
    names: &Checked,
    now: Timestamp,
    found: &mut Findings,
) -> Option<Policy> {
    let protect = fields
        .require(found, "protect", "volumes or instances")
        .and_then(|at| {
            let choices = [
                ("volumes", Protect::Volumes),
                ("instances", Protect::Instances),
            ];
            at.choice(found, &choices)
        });
    let select = fields
        .require(found, "select", "which instances or volumes, by tags")
        .and_then(|at| selector::select(at, protect, found));
    let retain = fields
        .require(found, "retain", "what is kept, such as { daily: 7 }")
        .and_then(|at| retain(at, found));
    let timezone = fields
        .get("timezone")
        .map_or(Some(TimeZone::UTC), |at| timezone(at, found));
    let triggers = fields
        .get("triggers")
        .map_or(Some(BTreeSet::new()), |at| triggers::triggers(at, found));
    let schedules = schedules(fields, timezone.as_ref(), now, found);
    if let (Some(schedules), Some(triggers)) = (&schedules, &triggers)
        && schedules.is_empty()
        && triggers.is_empty()
    {
        let message = "has neither a schedule nor triggers; write a `schedule`, `triggers` or both";
        found.add(at.line, &at.path, message);
    }
    let cooldown = triggers::cooldown(fields, now, found);
    let start_within = fields
        .get("start_within")
        .map_or(Period::parse(START_WITHIN).ok(), |at| at.period(found));
    let reboot = reboot(fields, protect, found);
    let beside = consistency::Beside {
        protect,
        reboot,
        triggers: triggers.as_ref(),
    };
    let consistency = consistency::consistency(fields, &beside, found);
    let min_copies = fields
        .get("min_copies")
        .map_or(Some(1), |at| at.integer(found, 1, MAX_COUNT));
    let group = fields
        .get("group")
        .map_or(Some(GroupBy::Source), |at| group(at, found));
    let grace = fields.get("grace").map_or(Some(None), |at| {
        let period = at.period_or_zero(found)?;
        Some((!period.is_zero()).then_some(period))
    });
    let limits = limits(fields, found);
    let evidence = fields
        .get("evidence")
        .map_or(Some(BTreeSet::new()), |at| evidence(at, found));
    let holding = holding::holding(fields, found);
    let source_gone = fields
        .get("source_gone")
        .map_or(Some(None), |at| source_gone(at, found));
    let rpo = fields
        .get("rpo")
        .map_or(Some(None), |at| at.period(found).map(Some));
    let state = fields.get("state").map_or(Some(PolicyState::Active), |at| {
        let choices = [
            ("active", PolicyState::Active),
            ("paused", PolicyState::Paused),
            ("retired", PolicyState::Retired),
        ];
        at.choice(found, &choices)
    });
    let holding = holding?;
    Some(Policy {
        name: names.name.as_ref()?.text.clone(),
        protect: protect?,
        select: select?,
        schedules: schedules?,
        timezone: timezone?,
        triggers: triggers?,
        cooldown: cooldown?,
        start_within: start_within?,
        reboot: reboot?,
        consistency: consistency?,
        retain: retain?,
        min_copies: min_copies?,
        group: group?,
        grace: grace?,
        limits: limits?,
        evidence_not_used: evidence?,
        launch_template_versions: holding.versions,
        stopped_instances_hold: holding.stopped,
        terminated_instances_hold: holding.terminated,
        recently_launched: holding.recently_launched,
        source_gone_delete_after: source_gone?,
        rpo: rpo?,
        state: state?,
        formerly: names.formerly.iter().map(|n| n.text.clone()).collect(),
    })
}

fn name(at: &At<'_>, found: &mut Findings) -> Option<NameAt> {
    let text = at.text(found, "a name such as nightly-db")?;
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = text.len() <= 40
        && text.as_bytes().first().is_some_and(first)
        && text.bytes().all(|b| first(&b) || b == b'-');
    if !good {
        let shown: String = text.chars().take(60).collect();
        let message = format!(
            "`{shown}` is no policy name; write 1 to 40 lower-case letters, digits and hyphens, \
             not beginning with a hyphen"
        );
        at.error(found, message);
        return None;
    }
    Some(NameAt {
        text: text.to_owned(),
        path: at.path.clone(),
        line: at.line,
    })
}

fn formerly(fields: &Fields<'_>, found: &mut Findings) -> Vec<NameAt> {
    fields
        .get("formerly")
        .and_then(|at| at.list(found, "a list of earlier names, such as [db-nightly]"))
        .unwrap_or_default()
        .iter()
        .filter_map(|item| name(item, found))
        .collect()
}

fn retain(at: &At<'_>, found: &mut Findings) -> Option<Retain> {
    let known = [
        "last", "hourly", "daily", "weekly", "monthly", "yearly", "within",
    ];
    let before = found.count();
    let fields = at.fields(found, &known, "keep rules such as { daily: 7 }")?;
    let mut count = |key: &str| {
        fields
            .get(key)
            .map_or(Some(0), |at| at.integer(found, 0, MAX_COUNT))
    };
    let (last, hourly, daily) = (count("last"), count("hourly"), count("daily"));
    let (weekly, monthly, yearly) = (count("weekly"), count("monthly"), count("yearly"));
    let within = fields.get("within").map_or(Some(None), |at| {
        let period = at.period_or_zero(found)?;
        Some((!period.is_zero()).then_some(period))
    });
    if found.count() > before {
        return None;
    }
    let retain = Retain {
        last: last?,
        hourly: hourly?,
        daily: daily?,
        weekly: weekly?,
        monthly: monthly?,
        yearly: yearly?,
        within: within?,
    };
    if retain == Retain::default() {
        let message = format!(
            "keeps nothing; give at least one of {} a positive value",
            one_of(&known)
        );
        at.error(found, message);
        return None;
    }
    Some(retain)
}

fn timezone(at: &At<'_>, found: &mut Findings) -> Option<TimeZone> {
    let expected = "an IANA time zone such as Europe/Berlin or UTC";
    let text = at.text(found, expected)?;
    let zone = TimeZone::get(text).ok().filter(|zone| !zone.is_unknown());
    if zone.is_none() {
        let shown: String = text.chars().take(60).collect();
        at.error(
            found,
            format!("`{shown}` is no known time zone; write {expected}"),
        );
    }
    zone
}

fn schedules(
    fields: &Fields<'_>,
    timezone: Option<&TimeZone>,
    now: Timestamp,
    found: &mut Findings,
) -> Option<Vec<Schedule>> {
    let Some(at) = fields.get("schedule") else {
        return Some(Vec::new());
    };
    let expected = "a schedule such as \"cron(0 3 * * ? *)\" or \"rate(1 hour)\"";
    let items = match &at.node.value {
        Value::List(nodes) => at.items(nodes),
        Value::Text(_) => vec![at.clone()],
        _ => {
            at.wrong(found, &format!("{expected}, or a list of schedules"));
            return None;
        }
    };
    if items.len() > MAX_SCHEDULES {
        let message = format!(
            "has {} schedules; write at most {MAX_SCHEDULES}",
            items.len()
        );
        at.error(found, message);
        return None;
    }
    let before = found.count();
    let mut schedules = Vec::new();
    for item in &items {
        let Some(text) = item.text(found, expected) else {
            continue;
        };
        let schedule = match Schedule::parse(text) {
            Ok(schedule) => schedule,
            Err(error) => {
                item.error(found, error.to_string());
                continue;
            }
        };
        let Some(timezone) = timezone else {
            continue;
        };
        if schedule.next_after(now, timezone).is_none() {
            item.error(
                found,
                format!("{schedule} has no slot after {now}; it would never run again"),
            );
        } else if let Some(message) = close(std::slice::from_ref(&schedule), timezone, now) {
            item.error(found, message);
        }
        schedules.push(schedule);
    }
    let timezone = timezone?;
    if found.count() > before {
        return None;
    }
    if schedules.len() > 1
        && let Some(message) = close(&schedules, timezone, now)
    {
        at.error(found, message);
        return None;
    }
    Some(schedules)
}

fn close(schedules: &[Schedule], tz: &TimeZone, now: Timestamp) -> Option<String> {
    let pair = too_close(schedules, tz, now)?;
    let (first, second) = (
        pair.first.to_zoned(tz.clone()),
        pair.second.to_zoned(tz.clone()),
    );
    let minutes = (pair.second.as_second() - pair.first.as_second()) / 60;
    Some(format!(
        "the slots {} and {} are {minutes} minutes apart; at least {MIN_SPACING_MINUTES} are needed",
        first.strftime("%Y-%m-%d %H:%M"),
        second.strftime("%Y-%m-%d %H:%M %Z"),
    ))
}

fn reboot(fields: &Fields<'_>, protect: Option<Protect>, found: &mut Findings) -> Option<bool> {
    let Some(at) = fields.get("reboot") else {
        return Some(false);
    };
    let reboot = at.boolean(found)?;
    if reboot && protect == Some(Protect::Volumes) {
        let message =
            "snapshots of volumes never reboot; leave it out, or write protect: instances";
        at.error(found, message);
        return None;
    }
    Some(reboot)
}

fn group(at: &At<'_>, found: &mut Findings) -> Option<GroupBy> {
    let expected = "source, policy or { tag: KEY }";
    match &at.node.value {
        Value::Text(text) if text == "source" => Some(GroupBy::Source),
        Value::Text(text) if text == "policy" => Some(GroupBy::Policy),
        Value::Text(text) => {
            let shown: String = text.chars().take(60).collect();
            at.error(found, format!("unknown value `{shown}`; write {expected}"));
            None
        }
        _ => {
            let fields = at.fields(found, &["tag"], expected)?;
            let tag = fields.require(found, "tag", "{ tag: KEY }")?;
            let key = tag.text(found, "the key of a tag")?;
            selector::check_key(tag, key, found).then(|| GroupBy::Tag(key.to_owned()))
        }
    }
}

fn limits(fields: &Fields<'_>, found: &mut Findings) -> Option<Limits> {
    let mut limits = Limits {
        max_shrink_percent: 25,
        free: 20,
    };
    let Some(at) = fields.get("limits") else {
        return Some(limits);
    };
    let before = found.count();
    let expected = "limits such as { max_shrink: 25%, free: 20 }";
    let fields = at.fields(found, &["max_shrink", "free"], expected)?;
    if let Some(at) = fields.get("max_shrink") {
        limits.max_shrink_percent = percent(at, found)?;
    }
    if let Some(at) = fields.get("free") {
        limits.free = at.integer(found, 0, MAX_COUNT)?;
    }
    (found.count() == before).then_some(limits)
}

fn percent(at: &At<'_>, found: &mut Findings) -> Option<u32> {
    let expected = "a whole percentage from 0% to 100%, such as 25%";
    let text = at.text(found, expected)?;
    let percent = text
        .strip_suffix('%')
        .filter(|digits| (1..=3).contains(&digits.len()))
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|percent| *percent <= 100);
    if percent.is_none() {
        let shown: String = text.chars().take(60).collect();
        at.error(
            found,
            format!("`{shown}` is no percentage; write {expected}"),
        );
    }
    percent
}

fn evidence(at: &At<'_>, found: &mut Findings) -> Option<BTreeSet<EvidenceSource>> {
    let names: Vec<&str> = EvidenceSource::ALL.iter().map(|s| s.as_str()).collect();
    let expected = "evidence sources that are not in use, such as { fleets: not-used }";
    let before = found.count();
    let fields = at.fields(found, &names, expected)?;
    let mut not_used = BTreeSet::new();
    for source in EvidenceSource::ALL {
        let declared = fields
            .get(source.as_str())
            .and_then(|at| at.choice(found, &[("not-used", source)]));
        not_used.extend(declared);
    }
    (found.count() == before).then_some(not_used)
}

fn source_gone(at: &At<'_>, found: &mut Findings) -> Option<Option<super::period::Period>> {
    let fields = at.fields(
        found,
        &["delete_after"],
        "{ delete_after: never } or a duration there, such as { delete_after: 90d }",
    )?;
    let Some(after) = fields.get("delete_after") else {
        return Some(None);
    };
    if matches!(&after.node.value, Value::Text(text) if text == "never") {
        return Some(None);
    }
    after.period(found).map(Some)
}
