//! A Lambda function that does what its event says; the tests of the local AWS run it in place of
//! a real one. It is built on the same `lambda_runtime` as the real ones.
//!
//! Events: `{"fail": "message"}` reports an error, `{"fail_below": N}` reports one in this
//! process's invocations before the N-th, `{"exit": CODE}` ends the process, `{"hang": true}`
//! never answers, `{"log": "line"}` writes a line, `{"answer_bytes": N}` answers at length.
//! Anything else is answered with the event and what the runtime told about the invocation.
//! With `ECHO_INIT=exit` the process ends before it asks for an event, with `ECHO_INIT=error` it
//! reports that it could not initialise itself.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

static INVOCATIONS: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::var("ECHO_INIT").as_deref() {
        Ok("exit") => std::process::exit(7),
        Ok("error") => {
            report_init_error()?;
            std::process::exit(1)
        }
        _ => run(service_fn(handle)).await,
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let LambdaEvent { payload, context } = event;
    let nth = INVOCATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(message) = payload["fail"].as_str() {
        return Err(message.into());
    }
    if payload["fail_below"].as_u64().is_some_and(|n| nth < n) {
        return Err(format!("invocation {nth} is to fail").into());
    }
    if let Some(code) = payload["exit"].as_i64() {
        std::process::exit(i32::try_from(code)?);
    }
    if payload["hang"] == true {
        eprintln!("hanging");
        std::future::pending::<()>().await;
    }
    if let Some(line) = payload["log"].as_str() {
        eprintln!("{line}");
    }
    if let Some(bytes) = payload["answer_bytes"].as_u64() {
        return Ok(json!("x".repeat(usize::try_from(bytes)?)));
    }
    let environment: std::collections::BTreeMap<_, _> = std::env::vars().collect();
    Ok(json!({
        "event": payload,
        "request_id": context.request_id,
        "deadline_ms": context.deadline,
        "arn": context.invoked_function_arn,
        "pid": std::process::id(),
        "nth": nth,
        "environment": environment,
    }))
}

fn report_init_error() -> Result<(), Error> {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let body = json!({"errorType": "Init.NoTable", "errorMessage": "no table"}).to_string();
    let mut stream = std::net::TcpStream::connect(&host)?;
    write!(
        stream,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
