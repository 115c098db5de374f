//! Commands in guests.

use holdfast_core::id::InstanceId;
use holdfast_core::ports::guest::{
    Answer, CommandState, Guest, GuestCommand, GuestCommands, Ping, Platform,
};

use super::{InProcess, mismatch};
use crate::model::guest::{Guest as Simulated, Progress};
use crate::request::{self, PageRequest, Request};
use crate::response::Response;

impl GuestCommands for InProcess {
    fn guest<'a>(&'a self, instance: &'a InstanceId) -> Answer<'a, Option<Guest>> {
        let request = Request::DescribeInstanceInformation(request::DescribeInstanceInformation {
            instances: vec![instance.to_string()],
            page: PageRequest::default(),
        });
        let answer = match self.make(&request, instance.as_str()) {
            Ok(Response::Guests(page)) => Ok(page.items.first().map(guest)),
            Ok(_) => Err(mismatch(request.operation(), instance.as_str())),
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }

    fn send<'a>(&'a self, command: &'a GuestCommand) -> Answer<'a, String> {
        let seconds = command.delivery.as_secs().max(30);
        let request = Request::SendCommand(request::SendCommand {
            instance: command.instance.to_string(),
            document: command.document.clone(),
            execution: command.execution.clone(),
            script: command.script.as_str().to_owned(),
            timeout_seconds: i32::try_from(seconds).ok(),
        });
        let answer = match self.make(&request, command.instance.as_str()) {
            Ok(Response::CommandSent(sent)) => Ok(sent.id.clone()),
            Ok(_) => Err(mismatch(request.operation(), command.instance.as_str())),
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }

    fn state<'a>(&'a self, command: &'a str, instance: &'a InstanceId) -> Answer<'a, CommandState> {
        let request = Request::GetCommandInvocation(request::GetCommandInvocation {
            command: command.to_owned(),
            instance: instance.to_string(),
        });
        let answer = match self.make(&request, instance.as_str()) {
            Ok(Response::Invocation {
                command,
                undelivered,
            }) => Ok(state(command.progress, undelivered)),
            Ok(_) => Err(mismatch(request.operation(), instance.as_str())),
            Err(error) if error.code.as_deref() == Some("InvocationDoesNotExist") => {
                Ok(CommandState::UnderWay)
            }
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn guest(from: &Simulated) -> Guest {
    Guest {
        ping: match from.seed.ping.as_str() {
            "Online" => Ping::Online,
            other => Ping::Other(other.to_owned()),
        },
        platform: match from.seed.platform.as_str() {
            "Linux" => Platform::Linux,
            "Windows" => Platform::Windows,
            other => Platform::Other(other.to_owned()),
        },
    }
}

fn state(progress: Progress, undelivered: bool) -> CommandState {
    let failed = |status: &str, exit_code| CommandState::Failed {
        status: status.to_owned(),
        exit_code,
        words: String::new(),
    };
    match progress {
        Progress::Ended(0) => CommandState::Succeeded,
        Progress::Ended(code) => failed("Failed", Some(code)),
        Progress::Pending if undelivered => failed("Delivery Timed Out", None),
        Progress::Pending | Progress::InProgress => CommandState::UnderWay,
    }
}
