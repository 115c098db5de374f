//! The benchmarks behind `make bench`.
//!
//! An account of 100,000 snapshots and 10,000 images is rendered once into the pages that EC2 would
//! answer with ([`pages`]) and served from memory ([`server`]). Against it run the release binary of
//! `sweep-retention` ([`sweep`]) and a plain boto3 script ([`script`]), and what each takes is read
//! from the kernel ([`process`]). So does the command line ([`command`]). The binary of `create-snapshots` runs against the simulated account
//! and its token buckets ([`creating`]). The planner without any I/O is a program of its own.
//! The release binary of `holdfast` simulates a year of 500 volumes ([`simulating`]).
//! How long the functions take to start is measured beside a bare one and one in Python ([`start`]).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod buckets;
pub mod command;
pub mod creating;
pub mod fleet;
pub mod goals;
pub mod pages;
pub mod policies;
pub mod process;
mod render;
pub mod script;
pub mod server;
pub mod simulating;
pub mod start;
pub mod sweep;
pub mod traffic;

/// A benchmark that could not be run; one that misses a goal is no error.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file or a process could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The kernel's account of a process has an unknown shape.
    #[error("/proc tells nothing about {0}; this benchmark needs Linux")]
    Unaccounted(&'static str),
    /// DynamoDB could not be started.
    #[error(transparent)]
    DynamoDb(#[from] holdfast_local_aws::dynamodb::DynamoDbError),
    /// The template that declares the table could not be read.
    #[error(transparent)]
    Template(#[from] holdfast_local_aws::template::TemplateError),
    /// The host of the Lambda function failed.
    #[error(transparent)]
    Host(#[from] holdfast_local_aws::lambda::HostError),
    /// What was measured did not do its work, so its figures say nothing.
    #[error("{who} did not do what it is measured at: {what}")]
    Wrong {
        /// The program.
        who: &'static str,
        /// What it did instead.
        what: String,
    },
}

impl BenchError {
    /// An error of the operating system, with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
