//! The real binary `holdfast`, as a shell runs it, without AWS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod policies_check;
mod reading;
mod retention;
mod simulate;
mod without_aws;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Two policies of different zones, one of them with a trigger.
const POLICIES: &str = r#"version: 1
policies:
  - name: nightly-db
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    timezone: Europe/Berlin
    triggers: [stopped]
    retain: { daily: 2 }
  - name: weekly-web
    protect: volumes
    select: { volumes: { tags: { Backup: weekly } } }
    schedule: "cron(30 4 ? * SUN *)"
    retain: { weekly: 1 }
    state: paused
"#;

/// What a run of the binary came to.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// The binary with nothing of the machine's settings, in a directory of its own.
struct Shell {
    directory: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Shell {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            settings: vec![("AWS_EC2_METADATA_DISABLED", "true".into())],
        }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.feed(arguments, "")
    }

    fn feed(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing has perhaps ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        Ran {
            status: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}
