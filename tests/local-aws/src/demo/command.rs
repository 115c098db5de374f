//! The real `holdfast` command line against the local AWS.

use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;

use super::report::Report;
use super::teller::Teller;
use super::{DemoError, expect};
use crate::lambda::find_binary;
use crate::local::LocalAws;

/// The command line, as an operator runs it.
pub struct Command {
    binary: PathBuf,
}

/// What `holdfast lineage` prints.
#[derive(Debug, Deserialize)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    kind: String,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Edge {
    from: String,
    to: String,
    kind: String,
}

impl Command {
    /// The command line beside the running program.
    ///
    /// # Errors
    ///
    /// It has not been built.
    pub fn find() -> Result<Self, DemoError> {
        let binary = find_binary("holdfast")?;
        Ok(Self { binary })
    }

    /// What `holdfast lineage` prints.
    ///
    /// # Errors
    ///
    /// It fails, or prints something else.
    pub async fn lineage(&self, local: &LocalAws, id: &str) -> Result<Graph, DemoError> {
        let asked = ["lineage", id];
        let answer = self.ask(local, &asked, &[0]).await?;
        serde_json::from_value(answer)
            .map_err(|error| DemoError::Unexpected(format!("holdfast lineage {id}: {error}")))
    }

    /// What `holdfast explain` reports.
    ///
    /// # Errors
    ///
    /// It fails, or prints something else.
    pub async fn explain(&self, local: &LocalAws, ids: &[&str]) -> Result<Report, DemoError> {
        let mut asked = vec!["explain", "--json"];
        asked.extend(ids);
        // 3: not all of them may be deleted.
        let answer = self.ask(local, &asked, &[0, 3]).await?;
        Report::read("holdfast explain", answer)
    }

    /// Runs it; its standard output, as JSON, where it exits with one of these statuses.
    async fn ask(
        &self,
        local: &LocalAws,
        asked: &[&str],
        statuses: &[i32],
    ) -> Result<Value, DemoError> {
        // No setting of this shell's reaches it: a profile could name a real account.
        let output = tokio::process::Command::new(&self.binary)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(local.environment())
            .args(asked)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|source| DemoError::Io {
                what: self.binary.display().to_string(),
                source,
            })?;
        let said = String::from_utf8_lossy(&output.stderr);
        let told = format!("holdfast {}", asked.join(" "));
        let fine = output.status.code().is_some_and(|s| statuses.contains(&s));
        expect(fine, || format!("{told}: {}: {said}", output.status))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| DemoError::Unexpected(format!("{told}: {error}")))
    }
}

impl Graph {
    /// Tells nodes and edges.
    pub fn tell(&self, teller: &Teller, id: &str) {
        teller.line(format!("$ holdfast lineage {id}"));
        for node in &self.nodes {
            teller.line(format!("  {:<8} {}  {}", node.kind, node.id, node.state));
        }
        for edge in &self.edges {
            teller.line(format!("  {} --{}--> {}", edge.from, edge.kind, edge.to));
        }
    }

    /// Checks that there is this edge.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn expect_edge(&self, from: &str, kind: &str, to: &str) -> Result<(), DemoError> {
        let found = self
            .edges
            .iter()
            .any(|edge| (&*edge.from, &*edge.kind, &*edge.to) == (from, kind, to));
        expect(found, || {
            format!("the lineage lacks {from} {kind} {to}: {self:?}")
        })
    }
}
