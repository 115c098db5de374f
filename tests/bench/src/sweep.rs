//! One invocation of the release binary of `sweep-retention`, in a process of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use holdfast_local_aws::dynamodb::{DynamoDb, Storage};
use holdfast_local_aws::lambda::{Function, FunctionConfig, Invocation};
use holdfast_local_aws::template::Template;
use serde_json::Value;

use crate::fleet::{ACCOUNT, REGION};
use crate::server::{Server, Terms};
use crate::traffic::Traffic;
use crate::{BenchError, process};

/// Lambda's longest time for an invocation (AWS Lambda quotas).
const TIMEOUT: Duration = Duration::from_secs(900);
const TABLE: &str = "holdfast";

/// What is asked of the sweep.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The executable.
    pub binary: &'a Path,
    /// The policy file.
    pub policies: &'a Path,
    /// `plan` or `enforce`.
    pub mode: &'a str,
    /// The request.
    pub request: Value,
    /// How the account answers.
    pub terms: Terms,
}

/// What one run took.
#[derive(Clone, Debug)]
pub struct Run {
    /// User and system time, from the start of the process to its answer.
    pub cpu: Duration,
    /// Highest resident set, in KiB.
    pub peak_kib: u64,
    /// From the invocation to the answer, the start of the process included.
    pub took: Duration,
    /// Items of the report by outcome.
    pub summary: Value,
    /// The first reason of the first item that failed, if one did.
    pub failure: Option<String>,
    /// What reached the account.
    pub traffic: Traffic,
}

impl Run {
    /// Items of one outcome.
    #[must_use]
    pub fn count(&self, outcome: &str) -> u64 {
        self.summary[outcome].as_u64().unwrap_or(0)
    }
}

/// Runs the sweep against the account and an empty table.
///
/// # Errors
/// The binary, the table or the template cannot be had, or the invocation failed.
pub async fn run(server: &Server, asked: &Asked<'_>) -> Result<Run, BenchError> {
    let template = Template::load(&Template::default_path())?;
    let table = DynamoDb::start(&Storage::Memory, 0, &template, TABLE).await?;
    let mut config = FunctionConfig::new("sweep-retention", asked.binary);
    config.account_id = ACCOUNT.to_owned();
    config.region = REGION.to_owned();
    config.timeout = TIMEOUT;
    let variables = [
        ("AWS_ENDPOINT_URL_EC2", server.endpoint()),
        ("AWS_ENDPOINT_URL_AUTO_SCALING", server.endpoint()),
        ("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint()),
        ("HOLDFAST_TABLE", TABLE.to_owned()),
        ("HOLDFAST_POLICIES", asked.policies.display().to_string()),
        ("HOLDFAST_MODE", asked.mode.to_owned()),
    ];
    let declared = template.functions()?;
    let declared = declared.into_iter().find(|f| f.name == config.name);
    config.environment = declared.map(|f| f.environment).unwrap_or_default();
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    config.environment.extend(variables);
    let function = Function::start(config)?;
    server.begin(asked.terms);
    let begun = Instant::now();
    let outcome = function.invoke(&asked.request).await?;
    let took = begun.elapsed();
    let traffic = server.traffic();
    let process = function.process_id().ok_or_else(|| BenchError::Wrong {
        who: "sweep-retention",
        what: format!("its process ended: {outcome:?}"),
    })?;
    let (cpu, peak_kib) = (process::cpu(process)?, process::peak_kib(process)?);
    function.kill().await;
    let Invocation::Ok(report) = outcome else {
        return Err(BenchError::Wrong {
            who: "sweep-retention",
            what: format!("{outcome:?}"),
        });
    };
    let items = report["items"].as_array();
    let failed = items.and_then(|items| items.iter().find(|item| item["outcome"] == "failed"));
    Ok(Run {
        cpu,
        peak_kib,
        took,
        summary: report["summary"].clone(),
        failure: failed.map(Value::to_string),
        traffic,
    })
}
