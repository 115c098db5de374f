//! The AWS account that the caller's settings lead to.

use holdfast::aws::dynamodb::Table;
use holdfast::aws::ec2::Ec2;
use holdfast::aws::sts;
use holdfast::aws::{Chosen, SdkConfig, check_config, load_config_for};
use holdfast::settings;

use crate::args::Global;
use crate::failure::Failure;
use crate::output::progress;

/// Clients for one account and Region.
#[derive(Debug)]
pub struct Account {
    /// EC2.
    pub ec2: Ec2,
    /// Holdfast's table.
    pub table: Table,
    /// The Region.
    pub region: Option<String>,
    /// The SDK's configuration.
    pub config: SdkConfig,
}

impl Account {
    /// Clients with what the command line chose, else with what the environment says.
    ///
    /// # Errors
    /// No table is named, no Region is configured, or there are no credentials.
    pub async fn connect(global: &Global) -> Result<Self, Failure> {
        let table = settings::table()?;
        let config = Self::credentials(global).await?;
        Ok(Self {
            ec2: Ec2::new(&config),
            table: Table::new(&config, table),
            region: config.region().map(ToString::to_string),
            config,
        })
    }

    /// Says to a person who waits what is being read.
    pub fn reading(&self, what: &str) {
        progress(&format!("reading {what} in {} ...", self.place()));
    }

    /// The Region, in words.
    pub fn place(&self) -> &str {
        self.region.as_deref().unwrap_or("no Region")
    }

    /// The account's number, where STS tells it.
    pub async fn number(&self) -> Option<String> {
        sts::account(&self.config).await
    }

    /// The SDK's configuration alone, for what needs no table.
    ///
    /// # Errors
    /// No Region is configured, or there are no credentials.
    pub async fn credentials(global: &Global) -> Result<SdkConfig, Failure> {
        let chosen = Chosen {
            region: global.region.clone(),
            profile: global.profile.clone(),
        };
        let config = load_config_for(&chosen).await;
        if let Err(error) = check_config(&config).await {
            let mut failure = Failure::from(error);
            if let Some(profile) = &chosen.profile {
                failure
                    .message
                    .push_str(&format!("; profile {profile:?} was chosen"));
            }
            return Err(failure);
        }
        Ok(config)
    }
}
