//! JSON against the schemas under `events/schema/`.

use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

/// The schema of this file name.
#[must_use]
pub fn schema(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/schema");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What tells whether a document fits a schema, formats of times included.
#[must_use]
pub fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap()
}

/// Expects that a document fits.
pub fn fits(schema: &Value, what: &str, json: &Value) {
    let wrong: Vec<String> = validator(schema)
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{what}: {}\n{json:#}", wrong.join("\n"));
}

/// Expects that a report fits, and that each key of the head and of the items is one that the schema
/// tells of.
pub fn check(schema: &Value, what: &str, json: &Value) {
    fits(schema, what, json);
    let keys = |value: &Value| -> BTreeSet<String> {
        let object = value.as_object();
        object
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    let defined = |pointer: &str| keys(schema.pointer(pointer).unwrap());
    let known = defined("/$defs/item/properties");
    for item in json["items"].as_array().unwrap() {
        let more: Vec<_> = keys(item).difference(&known).cloned().collect();
        assert!(
            more.is_empty(),
            "{what} has {more:?}, of which the schema does not tell"
        );
        // What a command adds to an item is told of to its last key, too.
        for (name, inner) in item.as_object().unwrap() {
            let described = format!("/$defs/{name}/properties");
            if let Some(described) = schema.pointer(&described) {
                let more: Vec<_> = keys(inner).difference(&keys(described)).cloned().collect();
                assert!(
                    more.is_empty(),
                    "{what}: {name} has {more:?}, of which the schema does not tell"
                );
            }
        }
    }
    assert!(
        keys(&json["run"]).is_subset(&defined("/$defs/run/properties")),
        "{what}"
    );
    assert!(keys(json).is_subset(&defined("/properties")), "{what}");
}
