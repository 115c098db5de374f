//! The `select` key of a policy, and tags as policy files write them.

use std::collections::BTreeMap;

use super::exclude::exclude;
use super::field::{At, Findings};
use super::node::Value;
use super::{Protect, Select, TagPattern, TagPatterns};

/// Longest tag key that EC2 takes, in characters.
const MAX_KEY: usize = 128;
/// Longest tag value that EC2 takes, in characters.
const MAX_VALUE: usize = 256;

/// Reads `select`.
pub(super) fn select(
    at: &At<'_>,
    protect: Option<Protect>,
    found: &mut Findings,
) -> Option<Select> {
    let before = found.count();
    let expected = "a selection such as { instances: { tags: { Backup: nightly } } }";
    let fields = at.fields(found, &["instances", "volumes", "exclude"], expected)?;
    let mut select = Select::default();
    if let Some(at) = fields.get("instances") {
        select.instances = entry(at, found);
    }
    if let Some(at) = fields.get("volumes") {
        if protect == Some(Protect::Instances) {
            let message =
                "selects volumes under protect: instances; select instances by their tags";
            at.error(found, message);
        }
        select.volumes = entry(at, found);
    }
    if fields.get("instances").is_none() && fields.get("volumes").is_none() {
        let what = match protect {
            Some(Protect::Instances) => "`instances`",
            Some(Protect::Volumes) | None => "`instances`, `volumes` or both",
        };
        at.error(
            found,
            format!("selects nothing; write {what} with tags that must match"),
        );
    }
    if let Some(at) = fields.get("exclude") {
        let volumes = fields.get("volumes").is_some();
        select.exclude = exclude(at, protect, volumes, found);
    }
    (found.count() == before).then_some(select)
}

/// One entry of the selection; tags are needed, because none would match everything.
fn entry(at: &At<'_>, found: &mut Findings) -> Option<TagPatterns> {
    let fields = at.fields(
        found,
        &["tags"],
        "tags such as { tags: { Backup: nightly } }",
    )?;
    let at = fields.require(found, "tags", "tags such as { tags: { Backup: nightly } }")?;
    let patterns = tags(at, found)?;
    if patterns.is_empty() {
        at.error(
            found,
            "names no tag and would match everything; write at least one, \
             or a tag that all carry with the value \"*\"",
        );
        return None;
    }
    Some(patterns)
}

/// Reads tags and their patterns; none when any is wrong.
pub(super) fn tags(at: &At<'_>, found: &mut Findings) -> Option<TagPatterns> {
    let before = found.count();
    let mut patterns = BTreeMap::new();
    for (key, value) in at.entries(found, "tags such as { Backup: nightly }")? {
        check_key(&value, key, found);
        if let Some(pattern) = pattern(&value, found) {
            patterns.insert(key.to_owned(), pattern);
        }
    }
    (found.count() == before).then_some(patterns)
}

fn pattern(at: &At<'_>, found: &mut Findings) -> Option<TagPattern> {
    let nodes = match &at.node.value {
        Value::Text(text) if text == "*" => return Some(TagPattern::Any),
        Value::List(nodes) => nodes,
        _ => return value(at, found).map(|text| TagPattern::OneOf(vec![text])),
    };
    if nodes.is_empty() {
        at.error(found, "an empty list matches no value; write at least one");
        return None;
    }
    let mut values = Vec::new();
    for item in at.items(nodes) {
        if matches!(&item.node.value, Value::Text(text) if text == "*") {
            let message = "\"*\" in a list; for any value write \"*\" alone, without a list";
            item.error(found, message);
        } else if let Some(text) = value(&item, found) {
            values.push(text);
        }
    }
    (values.len() == nodes.len()).then_some(TagPattern::OneOf(values))
}

fn value(at: &At<'_>, found: &mut Findings) -> Option<String> {
    let Value::Text(text) = &at.node.value else {
        let message = match &at.node.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => format!(
                "is {}, and tag values are text; quote it, such as \"true\" or \"1\"",
                at.node.value.kind()
            ),
            Value::Null => "is YAML's null; quote the value, such as \"null\" or \"\"".to_owned(),
            Value::Text(_) | Value::List(_) | Value::Map(_) => format!(
                "is {}; write a string, a list of strings or \"*\"",
                at.node.value.kind()
            ),
        };
        at.error(found, message);
        return None;
    };
    if text.chars().count() > MAX_VALUE {
        let message = format!("is longer than the {MAX_VALUE} characters that EC2 allows");
        at.error(found, message);
        return None;
    }
    Some(text.clone())
}

/// Whether `key` can be the key of a tag; notes it when not.
pub(super) fn check_key(at: &At<'_>, key: &str, found: &mut Findings) -> bool {
    if key.is_empty() {
        at.error(found, "the key of a tag is empty; write the tag's key");
        return false;
    }
    if key.chars().count() > MAX_KEY {
        let message = format!("the key is longer than the {MAX_KEY} characters that EC2 allows");
        at.error(found, message);
        return false;
    }
    true
}
