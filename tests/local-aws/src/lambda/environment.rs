//! One execution environment: a process and the Runtime API that it talks to.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::runtime_api::{Handover, RuntimeApi};
use super::{FunctionConfig, HostError, Invocation};

/// Variables of this process that a function's process sees too: where programs lie, and what
/// makes a failure easier to read. Everything else is Lambda's or the configuration's.
const INHERITED: [&str; 5] = [
    "PATH",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "LLVM_PROFILE_FILE",
    "TMPDIR",
];

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, when it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Exit {
    fn of(status: ExitStatus) -> Self {
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let signal = None;
        Self {
            code: status.code(),
            signal,
        }
    }
}

/// Where a process wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// The lines of a function's processes.
#[derive(Clone)]
pub(super) struct Logs(Arc<watch::Sender<Vec<LogLine>>>);

impl Default for Logs {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }
}

impl Logs {
    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.0.borrow().clone()
    }

    pub(super) async fn containing(&self, text: &str, patience: Duration) -> Option<LogLine> {
        let find = |lines: &Vec<LogLine>| lines.iter().find(|l| l.text.contains(text)).cloned();
        let mut lines = self.0.subscribe();
        let arrival = lines.wait_for(|lines| find(lines).is_some());
        let arrived = tokio::time::timeout(patience, arrival).await;
        arrived.ok()?.ok().and_then(|lines| find(&lines))
    }

    fn follow(
        &self,
        output: Option<impl AsyncRead + Unpin + Send + 'static>,
        stream: Stream,
        echo: Option<String>,
    ) -> JoinHandle<()> {
        let logs = self.clone();
        tokio::spawn(async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let text = String::from_utf8_lossy(&line).into_owned();
                if let Some(name) = &echo {
                    eprintln!("[{name}] {text}");
                }
                logs.0.send_modify(|all| all.push(LogLine { stream, text }));
            }
        })
    }
}

/// A process that serves invocations; killed when this value is dropped.
pub(super) struct Environment {
    api: RuntimeApi,
    process: Option<u32>,
    exit: watch::Receiver<Option<Exit>>,
    /// Dropping the sender kills as well.
    kill: Mutex<Option<oneshot::Sender<()>>>,
}

impl Environment {
    /// Opens the Runtime API and starts the process.
    pub(super) async fn start(config: &FunctionConfig, logs: &Logs) -> Result<Self, HostError> {
        let api = RuntimeApi::open(config.arn())
            .await
            .map_err(HostError::Listen)?;
        let mut child =
            command(config, &api.address())
                .spawn()
                .map_err(|source| HostError::Start {
                    binary: config.binary.clone(),
                    source,
                })?;
        let process = child.id();
        let echo = config.echo.then(|| config.name.clone());
        let readers = [
            logs.follow(child.stdout.take(), Stream::Stdout, echo.clone()),
            logs.follow(child.stderr.take(), Stream::Stderr, echo),
        ];
        let (kill, killed) = oneshot::channel();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(watch_over(child, killed, readers, exited));
        Ok(Self {
            api,
            process,
            exit,
            kill: Mutex::new(Some(kill)),
        })
    }

    /// The process's identifier while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        self.process.filter(|_| self.exit().is_none())
    }

    /// How the process ended, when it has.
    pub(super) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Kills the process and waits until it is gone and its last lines are read.
    pub(super) async fn kill(&self) -> Exit {
        // Dropping the sender is what kills.
        drop(
            self.kill
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        self.exited().await
    }

    async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        loop {
            if let Some(exit) = *exit.borrow_and_update() {
                return exit;
            }
            if exit.changed().await.is_err() {
                // The watcher went away with its runtime; the process went with it.
                return Exit {
                    code: None,
                    signal: None,
                };
            }
        }
    }

    /// Hands an event to the process and waits for what becomes of it.
    pub(super) async fn invoke(
        &self,
        event: &Value,
        request_id: &str,
        config: &FunctionConfig,
    ) -> Invocation {
        let (taken_sender, taken) = oneshot::channel();
        let (outcome_sender, outcome) = oneshot::channel();
        self.api.submit(Handover {
            request_id: request_id.to_owned(),
            event: event.to_string().into_bytes(),
            timeout: config.timeout,
            taken: taken_sender,
            outcome: outcome_sender,
        });
        tokio::select! {
            biased;
            Ok(()) = taken => {}
            error = self.api.init_error() => {
                self.kill().await;
                return error;
            }
            exit = self.exited() => return Invocation::Crashed { exit },
            () = sleep(config.init_timeout) => {
                self.kill().await;
                return Invocation::TimedOut { after: config.init_timeout };
            }
        }
        tokio::select! {
            biased;
            Ok(outcome) = outcome => outcome,
            exit = self.exited() => Invocation::Crashed { exit },
            () = sleep(config.timeout) => {
                self.kill().await;
                Invocation::TimedOut { after: config.timeout }
            }
        }
    }
}

/// Waits for the end of the process, by itself or because `killed` was dropped, then for its last
/// lines, and tells.
async fn watch_over(
    mut child: Child,
    mut killed: oneshot::Receiver<()>,
    readers: [JoinHandle<()>; 2],
    exited: watch::Sender<Option<Exit>>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        _ = &mut killed => {
            // A process that is gone already cannot be killed, which is as good.
            let _gone = child.start_kill();
            child.wait().await
        }
    };
    for reader in readers {
        let _ended = reader.await;
    }
    let exit = match status {
        Ok(status) => Exit::of(status),
        Err(error) => {
            tracing::error!(%error, "cannot wait for a function's process");
            Exit {
                code: None,
                signal: None,
            }
        }
    };
    exited.send_replace(Some(exit));
}

fn command(config: &FunctionConfig, runtime_api: &str) -> Command {
    let mut command = Command::new(&config.binary);
    command
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|&name| Some((name, std::env::var_os(name)?))),
        )
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", &config.name)
        .env(
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            config.memory_mb.to_string(),
        )
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", config.name),
        )
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
        .env("AWS_REGION", &config.region)
        .env("AWS_DEFAULT_REGION", &config.region)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        // Never ask the machine's own metadata service for anything.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("TZ", ":UTC")
        .envs(config.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
