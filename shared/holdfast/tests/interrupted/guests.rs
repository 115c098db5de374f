//! Commands in guests, through the gate like every other call.

use holdfast_core::id::InstanceId;
use holdfast_core::ports::guest::{Answer, CommandState, Guest, GuestCommand, GuestCommands};

use super::ports::Ports;

impl GuestCommands for Ports {
    fn guest<'a>(&'a self, instance: &'a InstanceId) -> Answer<'a, Option<Guest>> {
        let asked = async { self.ec2.0.guest(instance).await };
        Box::pin(self.call("guest", asked))
    }

    fn send<'a>(&'a self, command: &'a GuestCommand) -> Answer<'a, String> {
        let sent = async { self.ec2.0.send(command).await };
        Box::pin(self.call(command.script.as_str(), sent))
    }

    fn state<'a>(&'a self, command: &'a str, instance: &'a InstanceId) -> Answer<'a, CommandState> {
        let asked = async { self.ec2.0.state(command, instance).await };
        Box::pin(self.call("state", asked))
    }
}
