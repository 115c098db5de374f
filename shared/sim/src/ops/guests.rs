//! Systems Manager: `DescribeInstanceInformation`, `SendCommand`, `GetCommandInvocation`.
//!
//! The sources are the API Reference of AWS Systems Manager, botocore's model of it, and, for the
//! documents' parameters and exit codes, the EBS User Guide, "Automate application-consistent
//! snapshots with Data Lifecycle Manager".

use holdfast_core::id::InstanceId;
use jiff::SignedDuration;

use crate::account::Account;
use crate::error::ApiError;
use crate::model::guest::{Command, Conduct, Guest, GuestSeed, Progress};
use crate::request;
use crate::response::Response;
use crate::transition::Transition;

/// `MaxResults` of `DescribeInstanceInformation`.
const PAGE: (i32, i32) = (5, 50);
/// Shortest and longest delivery time-out, and that of a command without one, in seconds.
const DELIVERY: (i32, i32) = (30, 2_592_000);
const DEFAULT_DELIVERY: i32 = 3600;

/// Exit codes of the documents: the timer came first; a freeze of another execution stands; nothing
/// is held.
const TIMER_FIRED: i32 = 203;
const HELD_ALREADY: i32 = 204;
const NOT_HELD: i32 = 205;

impl Account {
    /// Lets Systems Manager manage an instance.
    pub fn seed_guest(&mut self, seed: GuestSeed) {
        let guest = Guest {
            frozen: None,
            thawed_by_timer: Vec::new(),
            seed,
        };
        self.guests.insert(guest.seed.instance.clone(), guest);
    }

    /// Makes a document with pre- and post-scripts.
    pub fn seed_document(&mut self, name: impl Into<String>) {
        self.documents.insert(name.into());
    }

    /// What runs in an instance, where Systems Manager manages it.
    #[must_use]
    pub fn guest(&self, instance: &InstanceId) -> Option<&Guest> {
        self.guests.get(instance)
    }

    /// The same, to change it.
    pub fn guest_mut(&mut self, instance: &InstanceId) -> Option<&mut Guest> {
        self.guests.get_mut(instance)
    }

    /// Every command sent, oldest first.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    pub(super) fn describe_instance_information(
        &mut self,
        request: &request::DescribeInstanceInformation,
    ) -> Result<Response, ApiError> {
        let operation = "DescribeInstanceInformation";
        let cursor = self.open_page(operation, &request.instances, &request.page, PAGE)?;
        let wanted = |guest: &Guest| {
            let id = guest.seed.instance.as_str();
            request.instances.is_empty() || request.instances.iter().any(|one| one == id)
        };
        let sorted = self
            .guests
            .iter()
            .map(|(id, guest)| (id.to_string(), guest));
        let begin = cursor.after.as_deref().unwrap_or_default();
        let rest = sorted.filter(|(id, _)| id.as_str() > begin);
        Ok(Response::Guests(cursor.collect(rest, wanted)))
    }

    pub(super) fn send_command(
        &mut self,
        request: &request::SendCommand,
    ) -> Result<Response, ApiError> {
        let name = request.document.rsplit('/').next().unwrap_or_default();
        if !self.documents.contains(name) {
            let words = format!("Document with name {} does not exist.", request.document);
            return Err(ApiError::new("InvalidDocument", words));
        }
        let seconds = request.timeout_seconds.unwrap_or(DEFAULT_DELIVERY);
        if !(DELIVERY.0..=DELIVERY.1).contains(&seconds) {
            let words = "Value at 'timeoutSeconds' failed to satisfy constraint";
            return Err(ApiError::new("ValidationException", words));
        }
        if !["pre-script", "post-script", "dry-run"].contains(&request.script.as_str()) {
            let words = format!("{:?} is not allowed for command", request.script);
            return Err(ApiError::new("InvalidParameters", words));
        }
        let instance = InstanceId::new(request.instance.as_str());
        let Some(guest) = self.guests.get(&instance) else {
            let words = "Instances not in a valid state for account";
            return Err(ApiError::new("InvalidInstanceId", words));
        };
        let online = guest.seed.ping == "Online";
        let unheard = guest.seed.late_answers;
        let progress = if online {
            self.run(&instance, &request.execution, &request.script)
        } else {
            Progress::Pending
        };
        let command = Command {
            id: self.ids.uuid(),
            instance,
            document: request.document.clone(),
            execution: request.execution.clone(),
            script: request.script.clone(),
            sent: self.now,
            deliver_by: self.after(SignedDuration::from_secs(seconds.into())),
            progress,
            unheard,
        };
        self.commands.push(command.clone());
        Ok(Response::CommandSent(Box::new(command)))
    }

    pub(super) fn get_command_invocation(
        &mut self,
        request: &request::GetCommandInvocation,
    ) -> Result<Response, ApiError> {
        let now = self.now;
        let found = self.commands.iter_mut().find(|command| {
            command.id == request.command && command.instance.as_str() == request.instance
        });
        let unknown = || ApiError::new("InvocationDoesNotExist", "");
        let command = found.ok_or_else(unknown)?;
        if command.unheard > 0 {
            command.unheard -= 1;
            return Err(unknown());
        }
        let undelivered = command.progress == Progress::Pending && now >= command.deliver_by;
        Ok(Response::Invocation {
            command: Box::new(command.clone()),
            undelivered,
        })
    }

    /// What a script does in a guest that is online.
    fn run(&mut self, instance: &InstanceId, execution: &str, script: &str) -> Progress {
        let Some(guest) = self.guests.get_mut(instance) else {
            return Progress::Pending;
        };
        let conduct = match script {
            "pre-script" => guest.seed.pre,
            "post-script" => guest.seed.post,
            _ => Conduct::Succeeds,
        };
        match conduct {
            Conduct::Lost => return Progress::Pending,
            Conduct::Fails(code) => return Progress::Ended(code),
            Conduct::Hangs if script == "post-script" => return Progress::InProgress,
            Conduct::Hangs | Conduct::Succeeds => {}
        }
        let code = match (script, guest.frozen.as_deref()) {
            ("pre-script", None) => {
                guest.frozen = Some(execution.to_owned());
                let wait = guest.seed.auto_thaw;
                let at = self.after(wait);
                let timer = Transition::GuestThaws(instance.clone(), execution.to_owned());
                self.schedule.add(at, timer);
                0
            }
            ("pre-script", Some(held)) if held == execution => 0,
            ("pre-script", Some(_)) => HELD_ALREADY,
            ("post-script", Some(held)) if held == execution => {
                guest.frozen = None;
                0
            }
            ("post-script", _) if guest.thawed_by_timer.iter().any(|e| e == execution) => {
                TIMER_FIRED
            }
            ("post-script", _) => NOT_HELD,
            _ => 0,
        };
        match conduct {
            Conduct::Hangs => Progress::InProgress,
            _ => Progress::Ended(code),
        }
    }

    /// The timer in a guest fires.
    pub(super) fn thaw_by_timer(&mut self, instance: &InstanceId, execution: &str) {
        if let Some(guest) = self.guests.get_mut(instance)
            && guest.frozen.as_deref() == Some(execution)
        {
            guest.frozen = None;
            guest.thawed_by_timer.push(execution.to_owned());
        }
    }
}
