//! The deployed system as `infra/template.yaml` declares it: the table, and which events reach
//! which function.
//!
//! The template is written without YAML's short tags, so that `Ref: X` is plain data. Of the
//! intrinsic functions only `Ref` to a parameter is resolved, which is all that the parts read
//! here use; anything else in their place is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::pattern::{Pattern, PatternError};
use crate::rate::{Rate, RateError};

/// A template, read.
#[derive(Clone, Debug)]
pub struct Template {
    root: Value,
    parameters: BTreeMap<String, Value>,
}

/// A function as the template declares it.
#[derive(Clone, Debug)]
pub struct FunctionDeclaration {
    /// Logical identifier, such as `CreateSnapshots`.
    pub logical_id: String,
    /// Name of the binary: the last part of `CodeUri`, such as `create-snapshots`.
    pub name: String,
    /// Memory in MB.
    pub memory_mb: u32,
    /// Variables that have the same value in every deployment, its own and those of all functions.
    pub environment: Vec<(String, String)>,
    /// What invokes it, in the template's order of names.
    pub rules: Vec<Rule>,
}

/// An EventBridge rule with one function as its target.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Logical identifier that SAM gives the rule: function and event, such as
    /// `CreateSnapshotsHeartbeat`.
    pub name: String,
    /// What makes it fire.
    pub trigger: Trigger,
}

/// What makes a rule fire.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// The passing of time.
    Schedule(Rate),
    /// An event that matches.
    Pattern(Pattern),
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no YAML.
    #[error("template: {0}")]
    Yaml(String),
    /// A part is missing or has an unexpected shape.
    #[error("template: {place}: {problem}")]
    Shape {
        /// Where, as a dotted path.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// A rule's event pattern cannot be understood.
    #[error("template: rule {rule}: {source}")]
    Pattern {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A rule's schedule cannot be understood.
    #[error("template: rule {rule}: {source}")]
    Schedule {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: RateError,
    },
}

fn shape(place: impl Into<String>, problem: impl Into<String>) -> TemplateError {
    TemplateError::Shape {
        place: place.into(),
        problem: problem.into(),
    }
}

impl Template {
    /// Where the project's own template lies.
    #[must_use]
    pub fn default_path() -> PathBuf {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/template.yaml");
        // Canonical only for the eye; a file that is missing is reported by whoever reads it.
        path.canonicalize().unwrap_or(path)
    }

    /// Reads the template at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no template.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path).map_err(|source| TemplateError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads a template; its parameters take their defaults.
    ///
    /// # Errors
    ///
    /// The text is no YAML, or has no resources.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let root: Value =
            serde_saphyr::from_str(text).map_err(|e| TemplateError::Yaml(e.to_string()))?;
        if !root["Resources"].is_object() {
            return Err(shape("Resources", "missing"));
        }
        let parameters = root["Parameters"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, p)| Some((name.clone(), p.get("Default")?.clone())))
            .collect();
        Ok(Self { root, parameters })
    }

    /// Gives a parameter another value than its default.
    ///
    /// # Errors
    ///
    /// The template has no such parameter.
    pub fn set_parameter(
        &mut self,
        name: &str,
        value: impl Into<Value>,
    ) -> Result<(), TemplateError> {
        if self.root["Parameters"].get(name).is_none() {
            return Err(shape(format!("Parameters.{name}"), "missing"));
        }
        self.parameters.insert(name.to_owned(), value.into());
        Ok(())
    }

    /// The one DynamoDB table as a `CreateTable` request for a table of this name.
    ///
    /// Schema, attributes, indexes and billing mode are the template's; what only matters in a
    /// real account (encryption, backups, deletion protection) is left out.
    ///
    /// # Errors
    ///
    /// There is not exactly one table, or it has no key schema.
    pub fn create_table_request(&self, table_name: &str) -> Result<Value, TemplateError> {
        let table = self.table()?;
        let mut request = Map::new();
        request.insert("TableName".to_owned(), json!(table_name));
        for (key, required) in [
            ("KeySchema", true),
            ("AttributeDefinitions", true),
            ("BillingMode", true),
            ("GlobalSecondaryIndexes", false),
            ("LocalSecondaryIndexes", false),
        ] {
            match table.get(key) {
                Some(value) => {
                    request.insert(key.to_owned(), value.clone());
                }
                None if required => return Err(shape(format!("table.{key}"), "missing")),
                None => {}
            }
        }
        Ok(Value::Object(request))
    }

    /// The attribute by which the table's items expire, when expiry is enabled.
    ///
    /// # Errors
    ///
    /// There is not exactly one table.
    pub fn expiry_attribute(&self) -> Result<Option<String>, TemplateError> {
        let expiry = &self.table()?["TimeToLiveSpecification"];
        Ok(
            match (
                expiry["Enabled"].as_bool(),
                expiry["AttributeName"].as_str(),
            ) {
                (Some(true), Some(name)) => Some(name.to_owned()),
                _ => None,
            },
        )
    }

    /// Every function with its rules.
    ///
    /// # Errors
    ///
    /// A function without a usable `CodeUri`, an event source of a kind that the local AWS does
    /// not fire, a pattern or schedule that it does not understand.
    pub fn functions(&self) -> Result<Vec<FunctionDeclaration>, TemplateError> {
        self.resources("AWS::Serverless::Function")
            .map(|(id, properties)| self.function(id, properties))
            .collect()
    }

    /// A resource by its logical identifier.
    pub(crate) fn resource(&self, id: &str) -> Option<&Value> {
        self.root["Resources"].get(id)
    }

    /// A parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Value> {
        self.parameters.get(name)
    }

    /// One of the template's conditions.
    pub(crate) fn condition(&self, name: &str) -> Option<&Value> {
        self.root["Conditions"].get(name)
    }

    /// Resources of one type, by logical identifier.
    pub(crate) fn resources_of<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let all = self.root["Resources"].as_object().into_iter().flatten();
        all.filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }

    fn resources<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.root["Resources"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    fn table(&self) -> Result<&Value, TemplateError> {
        let mut tables = self.resources("AWS::DynamoDB::Table");
        match (tables.next(), tables.next()) {
            (Some((_, properties)), None) => Ok(properties),
            _ => Err(shape(
                "Resources",
                "expected exactly one AWS::DynamoDB::Table",
            )),
        }
    }

    /// Environment variables whose value the template itself says.
    fn written_out(&self, function: &Value) -> Vec<(String, String)> {
        let of_all = &self.root["Globals"]["Function"];
        let variables =
            [of_all, function].map(|owner| owner["Environment"]["Variables"].as_object());
        let variables = variables.into_iter().flatten().flatten();
        variables
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    fn function(&self, id: &str, properties: &Value) -> Result<FunctionDeclaration, TemplateError> {
        let name = properties["CodeUri"]
            .as_str()
            .and_then(|uri| Path::new(uri).file_name()?.to_str())
            .ok_or_else(|| {
                shape(
                    format!("{id}.CodeUri"),
                    "expected a path ending in the name",
                )
            })?;
        let memory = match properties.get("MemorySize") {
            Some(own) => Some(own),
            None => self.root["Globals"]["Function"].get("MemorySize"),
        };
        let memory_mb = match memory {
            None => 128, // Lambda's default.
            Some(value) => self
                .resolve(value, &format!("{id}.MemorySize"))?
                .as_u64()
                .and_then(|mb| u32::try_from(mb).ok())
                .ok_or_else(|| shape(format!("{id}.MemorySize"), "expected a number of MB"))?,
        };
        let rules = properties["Events"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(event, source)| self.rule(&format!("{id}{event}"), source).transpose())
            .collect::<Result<_, _>>()?;
        Ok(FunctionDeclaration {
            logical_id: id.to_owned(),
            name: name.to_owned(),
            memory_mb,
            environment: self.written_out(properties),
            rules,
        })
    }

    /// A rule, unless it is switched off.
    fn rule(&self, name: &str, source: &Value) -> Result<Option<Rule>, TemplateError> {
        let properties = &source["Properties"];
        let off = properties["Enabled"] == false || properties["State"] == "DISABLED";
        for unsupported in ["Input", "InputPath", "InputTransformer", "EventBusName"] {
            if properties.get(unsupported).is_some() {
                return Err(shape(
                    format!("{name}.{unsupported}"),
                    "not supported locally",
                ));
            }
        }
        let trigger = match source["Type"].as_str() {
            Some("Schedule") => {
                let expression =
                    self.resolve(&properties["Schedule"], &format!("{name}.Schedule"))?;
                let expression = expression
                    .as_str()
                    .ok_or_else(|| shape(format!("{name}.Schedule"), "expected text"))?;
                Trigger::Schedule(Rate::parse(expression).map_err(|source| {
                    TemplateError::Schedule {
                        rule: name.to_owned(),
                        source,
                    }
                })?)
            }
            Some("EventBridgeRule" | "CloudWatchEvent") => {
                Trigger::Pattern(Pattern::parse(&properties["Pattern"]).map_err(|source| {
                    TemplateError::Pattern {
                        rule: name.to_owned(),
                        source,
                    }
                })?)
            }
            other => {
                let problem = format!("event source {other:?} is not fired locally");
                return Err(shape(format!("{name}.Type"), problem));
            }
        };
        let name = name.to_owned();
        Ok((!off).then_some(Rule { name, trigger }))
    }

    fn resolve<'a>(&'a self, value: &'a Value, place: &str) -> Result<&'a Value, TemplateError> {
        let Some(object) = value.as_object() else {
            return Ok(value);
        };
        object
            .get("Ref")
            .and_then(Value::as_str)
            .and_then(|name| self.parameters.get(name))
            .ok_or_else(|| shape(place, format!("{value} is no reference to a parameter")))
    }
}
