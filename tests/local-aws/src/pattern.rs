//! Matching of EventBridge event patterns against event envelopes.
//!
//! Supported are exact values and the operators `prefix`, `suffix`, `equals-ignore-case`,
//! `anything-but` and `exists` [EventBridge User Guide, "Comparison operators for use in event
//! patterns"]. Any other operator is an error: a pattern that is half understood would route
//! events to the wrong function in silence.

use std::collections::BTreeMap;

use serde_json::Value;

/// An event pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Fields);

type Fields = BTreeMap<String, Node>;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Fields(Fields),
    AnyOf(Vec<Matcher>),
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    Exact(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    AnythingBut(Vec<Matcher>),
    Exists(bool),
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern, or a part of it, has a shape that EventBridge refuses.
    #[error("event pattern at {path}: expected {expected}")]
    Shape {
        /// Dotted path into the pattern; empty for the pattern itself.
        path: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// An operator that this implementation does not know.
    #[error("event pattern at {path}: operator {operator:?} is not supported")]
    Operator {
        /// Dotted path into the pattern.
        path: String,
        /// The operator's name.
        operator: String,
    },
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A shape that EventBridge refuses (a field whose value is neither an object nor a list, an
    /// empty list), or an operator that is not supported here.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        parse_fields(pattern, "").map(Self)
    }

    /// Whether the event matches: every field of the pattern must, each by any of its values.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        fields_match(&self.0, event)
    }
}

fn parse_fields(value: &Value, path: &str) -> Result<Fields, PatternError> {
    let shape = |expected| PatternError::Shape {
        path: path.to_owned(),
        expected,
    };
    let object = value.as_object().ok_or_else(|| shape("an object"))?;
    if object.is_empty() {
        return Err(shape("at least one field"));
    }
    object
        .iter()
        .map(|(name, value)| {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            if name.starts_with('$') {
                return Err(PatternError::Operator {
                    path,
                    operator: name.clone(),
                });
            }
            let node = match value {
                Value::Object(_) => Node::Fields(parse_fields(value, &path)?),
                Value::Array(values) if !values.is_empty() => Node::AnyOf(
                    values
                        .iter()
                        .map(|v| parse_matcher(v, &path))
                        .collect::<Result<_, _>>()?,
                ),
                _ => {
                    return Err(PatternError::Shape {
                        path,
                        expected: "an object or a list of at least one value",
                    });
                }
            };
            Ok((name.clone(), node))
        })
        .collect()
}

fn parse_matcher(value: &Value, path: &str) -> Result<Matcher, PatternError> {
    let shape = |expected| PatternError::Shape {
        path: path.to_owned(),
        expected,
    };
    let object = match value {
        Value::Array(_) => return Err(shape("a value or an operator, not a list")),
        Value::Object(object) => object,
        plain => return Ok(Matcher::Exact(plain.clone())),
    };
    let mut entries = object.iter();
    let (Some((operator, operand)), None) = (entries.next(), entries.next()) else {
        return Err(shape("exactly one operator"));
    };
    let text = || {
        operand
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| shape("text behind the operator"))
    };
    match operator.as_str() {
        "prefix" => Ok(Matcher::Prefix(text()?)),
        "suffix" => Ok(Matcher::Suffix(text()?)),
        "equals-ignore-case" => Ok(Matcher::EqualsIgnoreCase(text()?)),
        "exists" => operand
            .as_bool()
            .map(Matcher::Exists)
            .ok_or_else(|| shape("true or false behind exists")),
        "anything-but" => {
            let operands = match operand {
                Value::Array(values) if !values.is_empty() => values.as_slice(),
                Value::Array(_) => return Err(shape("at least one value behind anything-but")),
                one => std::slice::from_ref(one),
            };
            operands
                .iter()
                .map(|v| match parse_matcher(v, path)? {
                    Matcher::AnythingBut(_) | Matcher::Exists(_) => {
                        Err(shape("values, prefix or suffix behind anything-but"))
                    }
                    matcher => Ok(matcher),
                })
                .collect::<Result<_, _>>()
                .map(Matcher::AnythingBut)
        }
        unknown => Err(PatternError::Operator {
            path: path.to_owned(),
            operator: unknown.to_owned(),
        }),
    }
}

fn fields_match(fields: &Fields, event: &Value) -> bool {
    match event {
        // A list of objects matches when one of them does.
        Value::Array(items) => items.iter().any(|item| fields_match(fields, item)),
        _ => fields
            .iter()
            .all(|(name, node)| node_matches(node, event.get(name))),
    }
}

fn node_matches(node: &Node, value: Option<&Value>) -> bool {
    match node {
        Node::Fields(fields) => fields_match(fields, value.unwrap_or(&Value::Null)),
        Node::AnyOf(matchers) => matchers.iter().any(|m| matches_field(m, value)),
    }
}

fn matches_field(matcher: &Matcher, value: Option<&Value>) -> bool {
    match (matcher, value) {
        // `exists` looks at leaves only: an object is not a value of its own. Whether an empty
        // list exists is not documented; it is taken to hold nothing.
        (Matcher::Exists(wanted), None | Some(Value::Object(_))) => !wanted,
        (Matcher::Exists(wanted), Some(Value::Array(items))) => *wanted != items.is_empty(),
        (Matcher::Exists(wanted), Some(_)) => *wanted,
        (_, None | Some(Value::Object(_))) => false,
        (_, Some(Value::Array(items))) => items.iter().any(|item| matches_value(matcher, item)),
        (_, Some(item)) => matches_value(matcher, item),
    }
}

fn matches_value(matcher: &Matcher, value: &Value) -> bool {
    let text = value.as_str();
    match matcher {
        Matcher::Exact(wanted) => wanted == value,
        Matcher::Prefix(prefix) => text.is_some_and(|t| t.starts_with(prefix.as_str())),
        Matcher::Suffix(suffix) => text.is_some_and(|t| t.ends_with(suffix.as_str())),
        Matcher::EqualsIgnoreCase(wanted) => {
            text.is_some_and(|t| t.to_lowercase() == wanted.to_lowercase())
        }
        Matcher::AnythingBut(refused) => !refused.iter().any(|m| matches_value(m, value)),
        Matcher::Exists(wanted) => *wanted,
    }
}
