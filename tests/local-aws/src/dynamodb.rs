//! DynamoDB for local use: dynoxide embedded, with Holdfast's table made from the template.
//!
//! Items and keys are DynamoDB JSON, such as `{"pk": {"S": "…"}, "sk": {"S": "…"}}`.

mod front;

use std::path::PathBuf;

pub use front::Front;

use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::door::{Door, bind};
use crate::template::{Template, TemplateError};

/// Where the table is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory, gone with the process.
    #[default]
    Memory,
    /// In a file, made when it is missing.
    File(PathBuf),
}

/// The table could not be made or reached.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// The template does not declare a usable table.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// DynamoDB refused a request.
    #[error("{operation}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// DynamoDB's words.
        message: String,
    },
    /// The database file holds a table of this name with another schema than the template's.
    #[error("table {table} exists with another key schema than the template declares")]
    OtherSchema {
        /// The table's name.
        table: String,
    },
    /// The file's path is not UTF-8, which SQLite needs.
    #[error("{0}: not a UTF-8 path")]
    Path(PathBuf),
    /// The port could not be opened.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

fn refused(operation: &'static str) -> impl Fn(dynoxide::DynoxideError) -> DynamoDbError {
    move |error| DynamoDbError::Refused {
        operation,
        message: error.to_string(),
    }
}

/// A request or answer of dynoxide out of, or into, the JSON of DynamoDB's API.
fn convert<T: DeserializeOwned>(
    operation: &'static str,
    value: impl serde::Serialize,
) -> Result<T, DynamoDbError> {
    serde_json::to_value(value)
        .and_then(serde_json::from_value)
        .map_err(|error| DynamoDbError::Refused {
            operation,
            message: error.to_string(),
        })
}

/// A running DynamoDB with the table in it; it stops when this value is dropped.
pub struct DynamoDb {
    database: Database,
    table: String,
    door: Door,
    /// Behind the front, where there is one.
    _engine: Option<Door>,
}

impl DynamoDb {
    /// Starts DynamoDB on a port of the loopback interface (0 is any free one) and makes the
    /// table that `template` declares, unless the file already holds it.
    ///
    /// # Errors
    ///
    /// The template, the storage or the port does not allow it, or the file holds the table with
    /// another schema.
    pub async fn start(
        storage: &Storage,
        port: u16,
        template: &Template,
        table: &str,
    ) -> Result<Self, DynamoDbError> {
        let database = match storage {
            Storage::Memory => Database::memory(),
            Storage::File(path) => {
                let path = path
                    .to_str()
                    .ok_or_else(|| DynamoDbError::Path(path.clone()))?;
                Database::new(path)
            }
        }
        .map_err(refused("open"))?;
        ensure_table(&database, template, table)?;
        let door = serve(&database, port).await?;
        Ok(Self {
            database,
            table: table.to_owned(),
            door,
            _engine: None,
        })
    }

    /// As [`Self::start`], behind a front that asks the gate about every request.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn start_behind(
        front: Front,
        storage: &Storage,
        port: u16,
        template: &Template,
        table: &str,
    ) -> Result<Self, DynamoDbError> {
        let inner = Self::start(storage, 0, template, table).await?;
        let door = Door::open(front.router(inner.door.address()), port).await?;
        Ok(Self {
            door,
            _engine: Some(inner.door),
            ..inner
        })
    }

    /// The URL to give to an AWS SDK.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.door.endpoint()
    }

    /// Name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The engine, for what the methods here do not cover.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Puts an item, past any condition.
    ///
    /// # Errors
    ///
    /// DynamoDB refuses the item.
    pub fn put_item(&self, item: Value) -> Result<(), DynamoDbError> {
        let request = json!({"TableName": self.table, "Item": item});
        self.database
            .put_item(convert("PutItem", request)?)
            .map_err(refused("PutItem"))?;
        Ok(())
    }

    /// The item with this key.
    ///
    /// # Errors
    ///
    /// DynamoDB refuses the key.
    pub fn get_item(&self, pk: &str, sk: &str) -> Result<Option<Value>, DynamoDbError> {
        let request = json!({
            "TableName": self.table,
            "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
            "ConsistentRead": true,
        });
        let answer = self
            .database
            .get_item(convert("GetItem", request)?)
            .map_err(refused("GetItem"))?;
        let answer: Value = convert("GetItem", answer)?;
        Ok(answer.get("Item").cloned())
    }

    /// Deletes the item with this key; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// DynamoDB refuses the key.
    pub fn delete_item(&self, pk: &str, sk: &str) -> Result<(), DynamoDbError> {
        let request = json!({"TableName": self.table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}});
        self.database
            .delete_item(convert("DeleteItem", request)?)
            .map_err(refused("DeleteItem"))?;
        Ok(())
    }

    /// Every item of the table, to the last page.
    ///
    /// # Errors
    ///
    /// DynamoDB refuses the scan.
    pub fn items(&self) -> Result<Vec<Value>, DynamoDbError> {
        let mut items = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut request = json!({"TableName": self.table, "ConsistentRead": true});
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let answer = self
                .database
                .scan(convert("Scan", request)?)
                .map_err(refused("Scan"))?;
            let mut answer: Value = convert("Scan", answer)?;
            if let Value::Array(page) = answer["Items"].take() {
                items.extend(page);
            }
            start = answer["LastEvaluatedKey"].take();
            if start.is_null() {
                return Ok(items);
            }
        }
    }
}

async fn serve(database: &Database, port: u16) -> Result<Door, DynamoDbError> {
    let listener = bind(port).await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    Ok(Door::of(address, serving.abort_handle()))
}

fn ensure_table(
    database: &Database,
    template: &Template,
    table: &str,
) -> Result<(), DynamoDbError> {
    let request = template.create_table_request(table)?;
    let existing = database.list_tables(convert("ListTables", json!({}))?);
    let existing: Value = convert("ListTables", existing.map_err(refused("ListTables"))?)?;
    let names = existing["TableNames"].as_array();
    if names.is_some_and(|names| names.iter().any(|name| name == table)) {
        let described = database
            .describe_table(convert("DescribeTable", json!({"TableName": table}))?)
            .map_err(refused("DescribeTable"))?;
        let described: Value = convert("DescribeTable", described)?;
        return if described["Table"]["KeySchema"] == request["KeySchema"] {
            Ok(())
        } else {
            Err(DynamoDbError::OtherSchema {
                table: table.to_owned(),
            })
        };
    }
    database
        .create_table(convert("CreateTable", request)?)
        .map_err(refused("CreateTable"))?;
    if let Some(attribute) = template.expiry_attribute()? {
        let request = json!({
            "TableName": table,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
        });
        database
            .update_time_to_live(convert("UpdateTimeToLive", request)?)
            .map_err(refused("UpdateTimeToLive"))?;
    }
    Ok(())
}
