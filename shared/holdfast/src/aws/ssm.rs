//! Systems Manager: which instances it reaches, and commands in them.

use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Builder;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::operation::get_command_invocation::GetCommandInvocationOutput;
use aws_sdk_ssm::types::{
    CommandInvocationStatus, InstanceInformation, InstanceInformationStringFilter, PingStatus,
    PlatformType,
};
use aws_smithy_types::retry::RetryConfig;
use holdfast_core::id::InstanceId;
use holdfast_core::ports::guest::{
    Answer, CommandState, Guest, GuestCommand, GuestCommands, Ping, Platform,
};
use holdfast_core::ports::{CallError, ErrorClass};

use super::answers::Watch;
use super::call_timeout;
use super::error::call_error;

/// Shortest delivery time-out in seconds (`SendCommand`, Systems Manager API Reference).
const LEAST_DELIVERY: i64 = 30;

/// Most characters of a script's words that a report repeats.
const WORDS: usize = 400;

/// The Systems Manager API of one account and Region.
#[derive(Clone, Debug)]
pub struct Ssm {
    client: Client,
}

impl Ssm {
    /// A client.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(
                Builder::from(config)
                    .interceptor(Watch("Systems Manager"))
                    .build(),
            ),
        }
    }

    async fn find(&self, instance: &InstanceId) -> Result<Option<Guest>, CallError> {
        let filter = InstanceInformationStringFilter::builder()
            .key("InstanceIds")
            .values(instance.as_str())
            .build()
            .map_err(|error| CallError {
                operation: "DescribeInstanceInformation",
                resource: instance.to_string(),
                code: None,
                class: ErrorClass::Permanent,
                message: error.to_string(),
            })?;
        let mut pages = self
            .client
            .describe_instance_information()
            .filters(filter)
            .into_paginator()
            .send();
        // A page may be empty and another follow.
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|e| call_error("DescribeInstanceInformation", instance.as_str(), &e))?;
            let mut listed = page
                .instance_information_list
                .unwrap_or_default()
                .into_iter();
            let found = listed.find(|one| one.instance_id.as_deref() == Some(instance.as_str()));
            if let Some(found) = found {
                return Ok(Some(guest(&found)));
            }
        }
        Ok(None)
    }

    async fn send_once(&self, command: &GuestCommand) -> Result<String, CallError> {
        let delivery = command.delivery.as_secs().max(LEAST_DELIVERY);
        let once = Builder::default()
            .retry_config(RetryConfig::disabled())
            .timeout_config(call_timeout());
        let output = self
            .client
            .send_command()
            .instance_ids(command.instance.as_str())
            .document_name(&command.document)
            .timeout_seconds(i32::try_from(delivery).unwrap_or(i32::MAX))
            .parameters("executionId", vec![command.execution.clone()])
            .parameters("command", vec![command.script.as_str().to_owned()])
            .comment(format!("Holdfast {}", command.script.as_str()))
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|e| call_error("SendCommand", command.instance.as_str(), &e))?;
        let id = output.command.and_then(|command| command.command_id);
        id.ok_or_else(|| CallError {
            operation: "SendCommand",
            resource: command.instance.to_string(),
            code: None,
            class: ErrorClass::UnknownOutcome,
            message: "the answer does not name the command".into(),
        })
    }

    async fn read(&self, command: &str, instance: &InstanceId) -> Result<CommandState, CallError> {
        let request = self
            .client
            .get_command_invocation()
            .command_id(command)
            .instance_id(instance.as_str());
        match request.send().await {
            Ok(output) => Ok(state(output)),
            // Known a little later than it was sent (`GetCommandInvocation`, same source).
            Err(error) if error.code() == Some("InvocationDoesNotExist") => {
                Ok(CommandState::UnderWay)
            }
            Err(error) => Err(call_error(
                "GetCommandInvocation",
                instance.as_str(),
                &error,
            )),
        }
    }
}

impl GuestCommands for Ssm {
    fn guest<'a>(&'a self, instance: &'a InstanceId) -> Answer<'a, Option<Guest>> {
        Box::pin(self.find(instance))
    }

    fn send<'a>(&'a self, command: &'a GuestCommand) -> Answer<'a, String> {
        Box::pin(self.send_once(command))
    }

    fn state<'a>(&'a self, command: &'a str, instance: &'a InstanceId) -> Answer<'a, CommandState> {
        Box::pin(self.read(command, instance))
    }
}

fn guest(from: &InstanceInformation) -> Guest {
    let ping = match &from.ping_status {
        Some(PingStatus::Online) => Ping::Online,
        Some(other) => Ping::Other(other.as_str().to_owned()),
        None => Ping::Other(String::new()),
    };
    let platform = match &from.platform_type {
        Some(PlatformType::Linux) => Platform::Linux,
        Some(PlatformType::Windows) => Platform::Windows,
        Some(other) => Platform::Other(other.as_str().to_owned()),
        None => Platform::Other(String::new()),
    };
    Guest { ping, platform }
}

fn state(from: GetCommandInvocationOutput) -> CommandState {
    match from.status {
        Some(CommandInvocationStatus::Success) => CommandState::Succeeded,
        Some(
            CommandInvocationStatus::Failed
            | CommandInvocationStatus::TimedOut
            | CommandInvocationStatus::Cancelled,
        ) => {
            let status = from.status_details.filter(|text| !text.is_empty());
            let error = from.standard_error_content.filter(|text| !text.is_empty());
            let words = error.or(from.standard_output_content).unwrap_or_default();
            CommandState::Failed {
                status: status.unwrap_or_else(|| "Failed".to_owned()),
                // -1 until a script has ended by itself (same source).
                exit_code: (from.response_code >= 0).then_some(from.response_code),
                words: words.trim().chars().take(WORDS).collect(),
            }
        }
        // Pending, InProgress, Delayed, Cancelling, and what this version does not know.
        _ => CommandState::UnderWay,
    }
}
