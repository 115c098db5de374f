//! Fleets and Spot requests to be.

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::Tags;

use crate::account::Account;
use crate::model::fleet::{Fleet, SpotFleet, SpotRequest, TemplateChoice};
use crate::model::launch_template::TemplateData;

/// An EC2 Fleet to be. The default is active and of type `maintain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetSeed {
    /// Its identifier; none: a new one.
    pub id: Option<String>,
    /// Its state; none: `active`.
    pub state: Option<String>,
    /// `request`, `maintain` or `instant`; none: `maintain`.
    pub kind: Option<String>,
    /// What it launches.
    pub choices: Vec<TemplateChoice>,
    /// Its tags.
    pub tags: Tags,
}

/// A Spot Fleet request to be. The default is active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpotFleetSeed {
    /// Its identifier; none: a new one.
    pub id: Option<String>,
    /// Its state; none: `active`.
    pub state: Option<String>,
    /// What it launches without a launch template.
    pub specifications: Vec<TemplateData>,
    /// What it launches by launch templates.
    pub choices: Vec<TemplateChoice>,
    /// Its tags.
    pub tags: Tags,
}

/// A Spot Instance request to be. The default is open and persistent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpotRequestSeed {
    /// Its identifier; none: a new one.
    pub id: Option<String>,
    /// Its state; none: `open`.
    pub state: Option<String>,
    /// `one-time` or `persistent`; none: `persistent`.
    pub kind: Option<String>,
    /// What it launches.
    pub specification: TemplateData,
    /// The instance that fulfilled it.
    pub instance: Option<InstanceId>,
    /// Its tags.
    pub tags: Tags,
}

fn or(text: Option<String>, default: &str) -> String {
    text.unwrap_or_else(|| default.to_owned())
}

impl Account {
    /// Puts an EC2 Fleet into the account, in the place of one with its identifier.
    pub fn seed_fleet(&mut self, seed: FleetSeed) -> String {
        let id = seed
            .id
            .unwrap_or_else(|| format!("fleet-{}", self.ids.uuid()));
        let fleet = Fleet {
            id: id.clone(),
            state: or(seed.state, "active"),
            kind: or(seed.kind, "maintain"),
            created: self.now,
            choices: seed.choices,
            tags: seed.tags,
        };
        self.fleets.insert(id.clone(), fleet);
        id
    }

    /// Puts a Spot Fleet request into the account, in the place of one with its identifier.
    pub fn seed_spot_fleet(&mut self, seed: SpotFleetSeed) -> String {
        let id = seed
            .id
            .unwrap_or_else(|| format!("sfr-{}", self.ids.uuid()));
        let fleet = SpotFleet {
            id: id.clone(),
            state: or(seed.state, "active"),
            created: self.now,
            specifications: seed.specifications,
            choices: seed.choices,
            tags: seed.tags,
        };
        self.spot_fleets.insert(id.clone(), fleet);
        id
    }

    /// Puts a Spot Instance request into the account, in the place of one with its identifier.
    pub fn seed_spot_request(&mut self, seed: SpotRequestSeed) -> String {
        let id = seed.id.unwrap_or_else(|| self.ids.resource("sir-"));
        let request = SpotRequest {
            id: id.clone(),
            state: or(seed.state, "open"),
            kind: or(seed.kind, "persistent"),
            created: self.now,
            specification: seed.specification,
            instance: seed.instance,
            tags: seed.tags,
        };
        self.spot_requests.insert(id.clone(), request);
        id
    }
}
