//! moto: an independent model of EC2, run as a server of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use holdfast_local_aws::door::bind;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::scenario::{Failure, Scenario};
use crate::stage::{Answer, Stage};

/// The release whose answers the table lists.
pub const VERSION: &str = "5.2.1";

/// How long it may take to start; some seconds on a slow machine.
const STARTING: Duration = Duration::from_secs(60);

/// Between two looks whether it has started.
const LOOK: Duration = Duration::from_millis(100);

/// How long emptying it may take.
const EMPTYING: Duration = Duration::from_secs(10);

/// Lines of its standard error that are kept to tell why it did not start.
const KEPT_LINES: usize = 20;

/// Why moto cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum MotoError {
    /// The program cannot be run.
    #[error("cannot run {program}: {source}; `make witness` installs it")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// No port is free.
    #[error("no free port on the loopback interface: {0}")]
    Port(#[source] std::io::Error),
    /// It ended before it answered.
    #[error("moto ended before it answered: {0}")]
    Ended(String),
    /// It did not answer in time.
    #[error("moto has not answered within {} seconds", STARTING.as_secs())]
    Silent,
    /// It could not be emptied between two scenarios.
    #[error("moto could not be emptied: {0}")]
    Empty(String),
}

/// A running moto; it is killed when this value is dropped.
pub struct Moto {
    port: u16,
    process: Child,
}

impl Moto {
    /// Starts `moto_server` on a free port and waits until it answers.
    ///
    /// # Errors
    /// It cannot be run, ends, or does not answer within a minute.
    pub async fn start(program: &Path) -> Result<Self, MotoError> {
        let port = free_port().await.map_err(MotoError::Port)?;
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            // Else the stock images' snapshots are listed as the account's own.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            // Else it launches any image, whether it is there or not.
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| MotoError::Run {
                program: program.display().to_string(),
                source,
            })?;
        let mut last_words = tokio::spawn(last_lines(process.stderr.take()));
        let until = Instant::now() + STARTING;
        loop {
            tokio::select! {
                _ = process.wait() => {
                    let words = (&mut last_words).await.unwrap_or_default();
                    return Err(MotoError::Ended(words));
                }
                () = sleep(LOOK) => {}
            }
            if empty(port).await.is_ok() {
                return Ok(Self { port, process });
            }
            if Instant::now() >= until {
                return Err(MotoError::Silent);
            }
        }
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(mut self) {
        // One that has ended already is as good as stopped.
        let _ = self.process.kill().await;
    }

    /// Plays a scenario against an emptied moto.
    ///
    /// # Errors
    /// It cannot be emptied, or the scenario cannot be played.
    pub async fn play(&self, scenario: &Scenario) -> Result<Vec<Answer>, Failure> {
        empty(self.port).await.map_err(MotoError::Empty)?;
        // It tells services apart by what a request is signed for.
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let stage = Stage::new(&endpoint, &endpoint, None);
        Ok(scenario.play(stage).await?)
    }
}

/// A port that is free now.
async fn free_port() -> std::io::Result<u16> {
    Ok(bind(0).await?.local_addr()?.port())
}

/// Reads to the end, so that the process never blocks on a full pipe, and gives the last lines.
async fn last_lines(stream: Option<ChildStderr>) -> String {
    let Some(stream) = stream else {
        return String::new();
    };
    let mut lines = BufReader::new(stream).lines();
    let mut kept = std::collections::VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    Vec::from(kept).join("\n")
}

/// Makes moto forget everything, by its own interface.
async fn empty(port: u16) -> Result<(), String> {
    let answered = timeout(EMPTYING, ask_to_forget(port)).await;
    answered.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

async fn ask_to_forget(port: u16) -> Result<(), String> {
    let say = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(say)?;
    let request = format!(
        "POST /moto-api/reset HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(say)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(say)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(format!("it answered {status:?}"))
    }
}
