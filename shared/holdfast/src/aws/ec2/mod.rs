//! EC2 behind the ports.

mod convert;
mod protection;
mod read;
mod referrers;
mod restore;
mod templates;
mod write;

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Builder;

use super::answers::Watch;
use super::auto_scaling::AutoScaling;
use super::kms::Kms;

/// The EC2 API of one account and Region, with Auto Scaling's and KMS's beside it.
#[derive(Clone, Debug)]
pub struct Ec2 {
    client: Client,
    auto_scaling: AutoScaling,
    kms: Kms,
}

impl Ec2 {
    /// A client with the SDK's configuration.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(Builder::from(config).interceptor(Watch("EC2")).build()),
            auto_scaling: AutoScaling::new(config),
            kms: Kms::new(config),
        }
    }
}
