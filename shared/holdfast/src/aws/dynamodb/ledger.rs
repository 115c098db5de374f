//! The run ledger: heads, slots and on-demand runs.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use holdfast_core::event::MAX_FUTURE;
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::policy::Trigger;
use holdfast_core::ports::records::{
    Begun, Head, Lease, OpenSource, Readable, RunRecord, TableError, TableErrorKind,
};
use jiff::{SignedDuration, Timestamp};

use super::attribute::{Item, key, standing_delete, standing_put, standing_update};
use super::{SCHEMA, THIS_SCHEMA, Table, bakes};

/// How long ledger records stay; the lineage graph has no end.
const LEDGER_TIME: SignedDuration = SignedDuration::from_hours(400 * 24);
/// By how much the clocks of two runs may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long the record of a bake stays. It answers for an event that an instance shows as its last
/// change of state for as long as it runs, or stands stopped: without it, the event would be taken for
/// lost. Ten years are longer than any does.
const BAKE_TIME: SignedDuration = SignedDuration::from_hours(3660 * 24);
const HEAD: &str = "head";
pub(super) const RUN: &str = "run";
/// Prefix of the attributes of a head record that hold a policy's newest slot.
const POLICY: &str = "policy:";

fn head_pk(function: &str) -> String {
    format!("head#{function}")
}

pub(super) fn slot_pk(policy: &str, source: &str) -> String {
    format!("slot#{policy}#{source}")
}

fn expires(slot: Timestamp, trigger: Option<Trigger>) -> i64 {
    let time = if trigger.is_some() {
        BAKE_TIME
    } else {
        LEDGER_TIME
    };
    (slot + time).as_second()
}

/// The latest time that an honest record can hold: an event of more than [`MAX_FUTURE`] ahead of the
/// clock is refused.
fn latest(wall: Timestamp) -> Timestamp {
    wall + MAX_FUTURE + SKEW
}

/// What a head record says. Times that lie in the future, because the record was damaged or some
/// clock was wrong, are doubts and not knowledge: believed, they would end all creation in silence.
fn heads(item: &Item, wall: Timestamp) -> Begun {
    let latest = latest(wall);
    let mut begun = Begun {
        highest: item.timestamp("highest_now"),
        ..Begun::default()
    };
    if let Some(highest) = begun.highest.take_if(|highest| *highest > latest) {
        begun.doubts.push(format!("a run for {highest}"));
    }
    for (name, value) in &item.0 {
        let Some(policy) = name.strip_prefix(POLICY) else {
            continue;
        };
        let Ok(map) = value.as_m() else { continue };
        let map = Item(map.clone());
        if let Some(slot) = map.timestamp("slot").filter(|slot| *slot > latest) {
            begun.doubts.push(format!("slot {slot} of {policy}"));
        } else if let Some(slot) = map.timestamp("slot") {
            let head = Head {
                slot,
                complete: map.flag("complete").unwrap_or(false),
                first: map.flag("first").unwrap_or(false),
            };
            begun.heads.insert(policy.to_owned(), head);
        }
    }
    begun
}

/// One request: raises the highest `now` and answers with all that was known before.
pub(super) async fn begin(
    table: &Table,
    function: &str,
    now: Timestamp,
) -> Result<Begun, TableError> {
    let pk = head_pk(function);
    let wall = Timestamp::now();
    let values = Item::new()
        .time(":now", now)
        .number_set(":second", now.as_second())
        .number_set(":latest", latest(wall).as_second())
        .number_set(":schema", SCHEMA);
    let result = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key(&pk, HEAD)))
        .update_expression("SET highest_now = :now, highest_second = :second, #schema = :schema")
        .condition_expression(
            "attribute_not_exists(pk) OR (#schema = :schema AND \
             (attribute_not_exists(highest_second) OR highest_second <= :second OR \
             highest_second > :latest))",
        )
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.0))
        .return_values(ReturnValue::AllOld)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match result {
        Ok(output) => Ok(heads(&Item(output.attributes.unwrap_or_default()), wall)),
        Err(error) => {
            let Some(stands) = standing_update(&error) else {
                return Err(table.error("UpdateItem", &pk, &error));
            };
            table.readable("UpdateItem", &pk, &stands)?;
            Ok(heads(&stands, wall))
        }
    }
}

pub(super) async fn begun(table: &Table, function: &str) -> Result<Begun, TableError> {
    let item = table.get(&head_pk(function), HEAD).await?;
    Ok(item
        .map(|item| heads(&item, Timestamp::now()))
        .unwrap_or_default())
}

pub(super) async fn set_head(
    table: &Table,
    function: &str,
    policy: &str,
    head: &Head,
    lease: &Lease,
) -> Result<(), TableError> {
    let pk = head_pk(function);
    let map = Item::new()
        .time("slot", head.slot)
        .number_set("second", head.slot.as_second())
        .flag_set("complete", head.complete)
        .flag_set("first", head.first)
        .fence("fence", lease.fence);
    let mut values = Item::new()
        .number_set(":latest", latest(Timestamp::now()).as_second())
        .number_set(":second", head.slot.as_second())
        .fence(":fence", lease.fence)
        .number_set(":schema", SCHEMA);
    values.0.insert(":head".into(), AttributeValue::M(map.0));
    let result = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key(&pk, HEAD)))
        .update_expression("SET #policy = :head, #schema = :schema")
        .condition_expression(format!(
            "{THIS_SCHEMA} AND (attribute_not_exists(#policy) OR (#policy.fence <= :fence AND \
                 (#policy.#second <= :second OR #policy.#second > :latest)))"
        ))
        .expression_attribute_names("#policy", format!("{POLICY}{policy}"))
        .expression_attribute_names("#second", "second")
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.0))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    result.map(|_| ()).map_err(|e| table.update_error(&pk, &e))
}

fn open_pk(function: &str) -> String {
    format!("open#{function}")
}

pub(super) async fn open_sources(
    table: &Table,
    function: &str,
) -> Result<Readable<Vec<OpenSource>>, TableError> {
    let pk = open_pk(function);
    let read = |item: &Item| {
        Some(OpenSource {
            policy: item.owned("policy")?,
            slot: item.timestamp("slot")?,
            source: item.owned("source")?,
            request: item.owned("request"),
            trigger: item.get("trigger").and_then(Trigger::parse),
            failures: u32::try_from(item.number("failures")?).ok()?,
        })
    };
    let mut open = Readable {
        read: Vec::new(),
        unreadable: Vec::new(),
    };
    for (sk, item) in table.query_each(&pk).await? {
        let item = item.and_then(|item| {
            let damaged = || table.damaged("Query", &format!("{pk} {sk}"));
            read(&item).ok_or_else(damaged)
        });
        match item {
            Ok(source) => open.read.push(source),
            Err(error) => open.unreadable.push((sk, error)),
        }
    }
    Ok(open)
}

fn open_sk(source: &OpenSource) -> String {
    let slot = slot_sk(source.slot, source.request.as_deref());
    format!("{}#{}#{slot}", source.policy, source.source)
}

/// An opening for a later failure of EC2's stands.
const NOT_OLDER: &str = "attribute_not_exists(pk) OR failures <= :failures";

pub(super) async fn open(
    table: &Table,
    function: &str,
    source: &OpenSource,
) -> Result<(), TableError> {
    let item = Item::keyed(&open_pk(function), &open_sk(source))
        .text("policy", &source.policy)
        .time("slot", source.slot)
        .text("source", &source.source)
        .text_if("request", source.request.as_deref())
        .text_if("trigger", source.trigger.map(Trigger::as_str))
        .number_set("failures", source.failures.into())
        // It is tried until the policy's next slot, and that may be a year away.
        .number_set("expires_at", expires(source.slot, None));
    let values = Item::new().number_set(":failures", source.failures.into());
    match table.put(item, NOT_OLDER, values).await {
        Err(error) if error.kind == TableErrorKind::Fenced => Ok(()),
        other => other,
    }
}

pub(super) async fn close(
    table: &Table,
    function: &str,
    source: &OpenSource,
) -> Result<(), TableError> {
    let pk = open_pk(function);
    let result = table
        .client
        .delete_item()
        .table_name(&table.name)
        .set_key(Some(key(&pk, &open_sk(source))))
        .condition_expression(format!("{THIS_SCHEMA} AND ({NOT_OLDER})"))
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(
            Item::new()
                .number_set(":failures", source.failures.into())
                .number_set(":schema", SCHEMA)
                .0,
        ))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match result {
        Ok(_) => Ok(()),
        Err(error) => match standing_delete(&error) {
            // A later failure's opening stands.
            Some(stands) => table.readable("DeleteItem", &pk, &stands),
            None => Err(table.error("DeleteItem", &pk, &error)),
        },
    }
}

/// Sort key of a creation: an on-demand request has records of its own.
pub(super) fn slot_sk(slot: Timestamp, request: Option<&str>) -> String {
    match request {
        Some(id) => format!("{slot}#{id}"),
        None => slot.to_string(),
    }
}

pub(super) async fn slots(
    table: &Table,
    policy: &str,
    slot: Timestamp,
    request: Option<&str>,
    sources: &[String],
) -> Result<BTreeMap<String, SlotRecord>, TableError> {
    let keys: Vec<(String, String)> = sources
        .iter()
        .map(|source| (slot_pk(policy, source), slot_sk(slot, request)))
        .collect();
    let mut records = BTreeMap::new();
    for item in table.batch(&keys).await? {
        let record = slot_record(&item).ok_or_else(|| {
            let pk = item.get("pk").unwrap_or("slot");
            table.failure(
                "BatchGetItem",
                pk,
                TableErrorKind::Unreadable,
                "its fields are damaged",
            )
        })?;
        records.insert(record.source.clone(), record);
    }
    Ok(records)
}

pub(super) fn slot_record(item: &Item) -> Option<SlotRecord> {
    let (request, trigger) = (item.owned("request"), item.get("trigger"));
    // Records from before it was noted were never of both.
    let alone = request.is_none() && trigger.is_none();
    Some(SlotRecord {
        policy: item.owned("policy")?,
        slot: item.timestamp("slot")?,
        source: item.owned("source")?,
        request,
        trigger: trigger.and_then(Trigger::parse),
        scheduled: item.flag("scheduled").unwrap_or(alone),
        state: SlotState::parse(item.get("state")?)?,
        run: item.owned("run")?,
        attempt: u32::try_from(item.number("attempt")?).ok()?,
        requested_at: item.timestamp("requested_at"),
        rebooted: item.flag("rebooted").unwrap_or(false),
        artifacts: item.list("artifacts"),
        lost: item.list("lost"),
        failures: u32::try_from(item.number("failures").unwrap_or(0)).ok()?,
        failed_at: item.timestamp("failed_at"),
        error: item.owned("error"),
        permanent: item.flag("permanent").unwrap_or(false),
        event_over: item.flag("event_over").unwrap_or(false),
        fence: item.fence_of("fence")?,
    })
}

/// Writes a slot's record over the one it was decided on.
pub(super) async fn write_slot(
    table: &Table,
    record: &SlotRecord,
    before: Option<&SlotRecord>,
) -> Result<(), TableError> {
    let sk = slot_sk(record.slot, record.request.as_deref());
    let item = Item::keyed(&slot_pk(&record.policy, &record.source), &sk)
        .text("policy", &record.policy)
        .time("slot", record.slot)
        .text("source", &record.source)
        .text_if("request", record.request.as_deref())
        .text_if("trigger", record.trigger.map(Trigger::as_str))
        .flag_set("scheduled", record.scheduled)
        .text("state", record.state.as_str())
        .text("run", &record.run)
        .number_set("attempt", record.attempt.into())
        .time_if("requested_at", record.requested_at)
        .flag_set("rebooted", record.rebooted)
        .texts("artifacts", &record.artifacts)
        .texts("lost", &record.lost)
        .number_set("failures", record.failures.into())
        .time_if("failed_at", record.failed_at)
        .text_if("error", record.error.as_deref())
        .flag_set("permanent", record.permanent)
        .flag_set("event_over", record.event_over)
        .fence("fence", record.fence)
        .number_set("expires_at", expires(record.slot, record.trigger));
    if record.trigger.is_some() && before.is_none_or(|before| before.trigger.is_none()) {
        bakes::name(table, record).await?;
    }
    // `state` is a reserved word of DynamoDB's expressions.
    let state = ("#state", "state");
    // The SDK repeats a write whose answer was lost, and is then told that its own record stands.
    let own = |stands: &Item| slot_record(stands).as_ref() == Some(record);
    match before {
        None => {
            let condition = "attribute_not_exists(pk) AND attribute_not_exists(#state)";
            put_named(table, item, condition, state, Item::new(), own).await
        }
        Some(before) => {
            let condition = "#state = :state AND attempt = :attempt AND fence = :before \
                             AND fence <= :fence";
            let values = Item::new()
                .text(":state", before.state.as_str())
                .number_set(":attempt", before.attempt.into())
                .fence(":before", before.fence)
                .fence(":fence", record.fence);
            put_named(table, item, condition, state, values, own).await
        }
    }
}

/// Writes a whole record under a condition; a refusal by a record that `own` knows as the same is
/// success.
async fn put_named(
    table: &Table,
    item: Item,
    condition: &str,
    name: (&str, &str),
    values: Item,
    own: impl Fn(&Item) -> bool,
) -> Result<(), TableError> {
    let pk = item.get("pk").unwrap_or("*").to_owned();
    let result = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(item.number_set("schema", SCHEMA).0))
        .condition_expression(format!("{THIS_SCHEMA} AND ({condition})"))
        .expression_attribute_names(name.0, name.1)
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.number_set(":schema", SCHEMA).0))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match result {
        Ok(_) => Ok(()),
        Err(error) => match standing_put(&error) {
            Some(stands) if own(&stands) => Ok(()),
            Some(stands) => Err(table.fenced("PutItem", &pk, Some(&stands))),
            None => Err(table.error("PutItem", &pk, &error)),
        },
    }
}

pub(super) fn run_record(item: &Item) -> Option<RunRecord> {
    Some(RunRecord {
        function: item.owned("function")?,
        id: item.owned("run")?,
        policy: item.owned("policy")?,
        slot: item.timestamp("slot")?,
        started: item.timestamp("started")?,
        resources: item
            .0
            .contains_key("resources")
            .then(|| item.list("resources")),
    })
}

pub(super) async fn run(
    table: &Table,
    function: &str,
    id: &str,
) -> Result<Option<RunRecord>, TableError> {
    let item = table.get(&run_pk(function, id), RUN).await?;
    let pk = run_pk(function, id);
    item.map(|item| run_record(&item).ok_or_else(|| table.damaged("GetItem", &pk)))
        .transpose()
}

fn run_pk(function: &str, id: &str) -> String {
    format!("run#{function}#{id}")
}

pub(super) async fn start_run(table: &Table, run: &RunRecord) -> Result<RunRecord, TableError> {
    let pk = run_pk(&run.function, &run.id);
    let item = Item::keyed(&pk, RUN)
        .text("function", &run.function)
        .text("run", &run.id)
        .text("policy", &run.policy)
        .time("slot", run.slot)
        .time("started", run.started)
        .texts_if("resources", run.resources.as_deref())
        .number_set("expires_at", expires(run.started, None))
        .number_set("schema", SCHEMA);
    let result = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(item.0))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match result {
        Ok(_) => Ok(run.clone()),
        Err(error) => {
            let Some(stands) = standing_put(&error) else {
                return Err(table.error("PutItem", &pk, &error));
            };
            table.readable("PutItem", &pk, &stands)?;
            run_record(&stands).ok_or_else(|| table.damaged("PutItem", &pk))
        }
    }
}
