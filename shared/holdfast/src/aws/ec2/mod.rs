//! EC2 behind the ports.

mod convert;
mod error;
mod read;
mod write;

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;

/// The EC2 API of one account and Region.
#[derive(Clone, Debug)]
pub struct Ec2 {
    client: Client,
}

impl Ec2 {
    /// A client with the SDK's configuration.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }
}
