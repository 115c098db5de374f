//! Reading typed values out of the YAML tree, noting every error with its line and key.

use super::error::PolicyError;
use super::node::{Node, Value};
use super::period::Period;

/// The errors found so far in one file.
pub(crate) struct Findings {
    file: String,
    errors: Vec<PolicyError>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, line: u64, key: &str, message: impl Into<String>) {
        self.errors.push(PolicyError {
            file: self.file.clone(),
            line,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn count(&self) -> usize {
        self.errors.len()
    }

    /// The errors in the order of their lines.
    pub(crate) fn into_errors(mut self) -> Vec<PolicyError> {
        self.errors.sort_by_key(|error| error.line);
        self.errors
    }
}

/// A value, its path and the line to name for it.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub path: String,
    pub line: u64,
    pub node: &'a Node,
}

/// The keys of a mapping whose unknown keys have been noted.
pub(crate) struct Fields<'a> {
    pub path: String,
    pub line: u64,
    fields: Vec<(&'a str, At<'a>)>,
}

impl<'a> At<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self {
            path: String::new(),
            line: node.line.max(1),
            node,
        }
    }

    pub(crate) fn error(&self, found: &mut Findings, message: impl Into<String>) {
        found.add(self.line, &self.path, message);
    }

    /// Notes that something of another kind stands here.
    pub(crate) fn wrong(&self, found: &mut Findings, expected: &str) {
        let what = match &self.node.value {
            Value::Null => "is empty".to_owned(),
            other => format!("is {}", other.kind()),
        };
        self.error(found, format!("{what}; write {expected}"));
    }

    /// The entries of a mapping with any keys.
    pub(crate) fn entries(
        &self,
        found: &mut Findings,
        expected: &str,
    ) -> Option<Vec<(&'a str, At<'a>)>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong(found, expected);
            return None;
        };
        Some(
            entries
                .iter()
                .map(|entry| {
                    let scalar = !matches!(entry.node.value, Value::Map(_) | Value::List(_));
                    let path = if self.path.is_empty() {
                        entry.key.clone()
                    } else {
                        format!("{}.{}", self.path, entry.key)
                    };
                    // An empty value stands nowhere, and a block starts below its key.
                    let own = scalar && !matches!(entry.node.value, Value::Null);
                    let at = At {
                        path,
                        line: if own { entry.node.line } else { entry.line },
                        node: &entry.node,
                    };
                    (entry.key.as_str(), at)
                })
                .collect(),
        )
    }

    /// The entries of a mapping that may have only the `known` keys.
    pub(crate) fn fields(
        &self,
        found: &mut Findings,
        known: &[&str],
        expected: &str,
    ) -> Option<Fields<'a>> {
        let entries = self.entries(found, expected)?;
        let mut fields = Vec::new();
        for (key, at) in entries {
            if known.contains(&key) {
                fields.push((key, at));
            } else {
                found.add(at.line, &at.path, unknown("key", key, known));
            }
        }
        Some(Fields {
            path: self.path.clone(),
            line: self.line,
            fields,
        })
    }

    pub(crate) fn list(&self, found: &mut Findings, expected: &str) -> Option<Vec<At<'a>>> {
        let Value::List(nodes) = &self.node.value else {
            self.wrong(found, expected);
            return None;
        };
        Some(self.items(nodes))
    }

    pub(crate) fn items(&self, nodes: &'a [Node]) -> Vec<At<'a>> {
        nodes
            .iter()
            .enumerate()
            .map(|(place, node)| At {
                path: format!("{}[{place}]", self.path),
                line: node.line.max(1),
                node,
            })
            .collect()
    }

    pub(crate) fn text(&self, found: &mut Findings, expected: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                self.wrong(found, &format!("{expected}, in quotes if it is meant so"));
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong(found, expected);
                None
            }
        }
    }

    pub(crate) fn boolean(&self, found: &mut Findings) -> Option<bool> {
        if let Value::Bool(value) = self.node.value {
            return Some(value);
        }
        self.wrong(found, "true or false without quotes");
        None
    }

    pub(crate) fn integer(&self, found: &mut Findings, min: u32, max: u32) -> Option<u32> {
        let expected = format!("a whole number from {min} to {max} without quotes");
        match self.node.value {
            Value::Integer(number) => match u32::try_from(number) {
                Ok(number) if (min..=max).contains(&number) => Some(number),
                _ => {
                    self.error(found, format!("{number} is out of range; write {expected}"));
                    None
                }
            },
            Value::Float(number) => {
                self.error(found, format!("{number} is not whole; write {expected}"));
                None
            }
            _ => {
                self.wrong(found, &expected);
                None
            }
        }
    }

    /// A positive duration.
    pub(crate) fn period(&self, found: &mut Findings) -> Option<Period> {
        let period = self.period_or_zero(found)?;
        if period.is_zero() {
            self.error(found, "is zero; write a positive duration such as 30d");
            return None;
        }
        Some(period)
    }

    /// A duration that may be zero.
    pub(crate) fn period_or_zero(&self, found: &mut Findings) -> Option<Period> {
        let text = self.text(found, "a duration such as 90m, 36h, 30d, 8w, 6mo or 2y")?;
        Period::parse_or_zero(text)
            .map_err(|error| self.error(found, error.to_string()))
            .ok()
    }

    /// One of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&self, found: &mut Findings, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let text = self.text(found, &one_of(&words))?;
        let choice = choices.iter().find(|(word, _)| *word == text);
        if choice.is_none() {
            self.error(found, unknown("value", text, &words));
        }
        choice.map(|(_, value)| *value)
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&At<'a>> {
        self.fields
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, at)| at)
    }

    /// The value of `key`, whose absence is noted.
    pub(crate) fn require(
        &self,
        found: &mut Findings,
        key: &str,
        expected: &str,
    ) -> Option<&At<'a>> {
        let at = self.get(key);
        if at.is_none() {
            let path = if self.path.is_empty() {
                "file"
            } else {
                &self.path
            };
            found.add(
                self.line,
                path,
                format!("the key `{key}` is missing; write {expected}"),
            );
        }
        at
    }
}

/// `a`, or `a or b`, or `a, b or c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn unknown(what: &str, text: &str, known: &[&str]) -> String {
    let shown: String = text.chars().take(60).collect();
    let hint = nearest(text, known)
        .map(|near| format!("did you mean `{near}`? "))
        .unwrap_or_default();
    format!(
        "unknown {what} `{shown}`; {hint}known are {}",
        known.join(", ")
    )
}

/// The known word that `text` is most likely a misspelling of.
fn nearest<'w>(text: &str, known: &[&'w str]) -> Option<&'w str> {
    if text.len() > 60 {
        return None;
    }
    let lower = text.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|word| (distance(&lower, &word.replace('-', "_")), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let above = row.get(j + 1).map_or(usize::MAX, |d| d + 1);
            let left = next.get(j).map_or(usize::MAX, |d| d + 1);
            let swap = row
                .get(j)
                .map_or(usize::MAX, |d| d + usize::from(from != *to));
            next.push(above.min(left).min(swap));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
