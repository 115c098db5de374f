//! A YAML document as a tree that knows the line of everything in it.
//!
//! A tree rather than structs with derived deserialization: so every error of a file is found
//! at once, each with its key and line, and an unquoted `yes` or `01` can be told from text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Largest policy file that is read; a policy takes about 500 bytes.
const MAX_BYTES: usize = 1 << 20;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Line, from 1; with an alias the line of what it stands for.
    pub line: u64,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    /// Line of the key.
    pub line: u64,
    pub node: Node,
}

impl Value {
    /// The value's kind for an error message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "an unquoted YAML boolean",
            Self::Integer(_) | Self::Float(_) => "an unquoted number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Why a text is no YAML document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShapeError {
    pub line: u64,
    pub message: String,
}

/// Reads the one YAML document in `text`.
pub(crate) fn load(text: &str) -> Result<Node, ShapeError> {
    if text.len() > MAX_BYTES {
        return Err(ShapeError {
            line: 1,
            message: format!(
                "the file has {} bytes; a policy file may have at most {MAX_BYTES}",
                text.len()
            ),
        });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            flow_nesting_limit: 32,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 2_000,
            max_anchors: 2_000,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line().max(1));
        ShapeError {
            line,
            message: describe(&error),
        }
    })
}

fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands twice in one mapping; write it once")
        }
        Error::MultipleDocuments { .. } => {
            "more than one YAML document; a policy file is one document without a second `---`"
                .to_owned()
        }
        Error::Budget { breach, .. } => {
            format!("too large or too deeply nested for a policy file ({breach:?})")
        }
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or_default();
            format!("not valid YAML: {first}")
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.defined.line(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let line = key.defined.line();
            let node: Node = map.next_value()?;
            entries.push(Entry {
                key: key.value,
                line,
                node,
            });
        }
        Ok(Value::Map(entries))
    }
}
