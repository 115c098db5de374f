//! Launch configurations and Auto Scaling groups to be.

use holdfast_core::inventory::Tags;

use crate::account::Account;
use crate::model::auto_scaling::{
    AutoScalingGroup, GroupLaunch, InstanceRefresh, LaunchConfiguration,
};
use crate::model::device::BlockDevice;

/// An Auto Scaling group to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoScalingGroupSeed {
    /// Its name.
    pub name: String,
    /// What it launches.
    pub launch: GroupLaunch,
    /// Instances it is to have.
    pub desired: u32,
    /// Its tags.
    pub tags: Tags,
}

impl AutoScalingGroupSeed {
    /// A group of one instance without tags.
    pub fn new(name: impl Into<String>, launch: GroupLaunch) -> Self {
        Self {
            name: name.into(),
            launch,
            desired: 1,
            tags: Tags::new(),
        }
    }
}

impl Account {
    /// Puts a launch configuration of an m5.large beside the account, in the place of one with its
    /// name.
    pub fn seed_launch_configuration(
        &mut self,
        name: impl Into<String>,
        image: impl Into<String>,
        mappings: Vec<BlockDevice>,
    ) {
        let name = name.into();
        let configuration = LaunchConfiguration {
            name: name.clone(),
            unique: self.ids.uuid(),
            image: image.into(),
            instance_type: "m5.large".to_owned(),
            mappings,
            created: self.now,
        };
        self.launch_configurations.insert(name, configuration);
    }

    /// Removes a launch configuration, as its deletion does; says whether there was one.
    pub fn remove_launch_configuration(&mut self, name: &str) -> bool {
        let deletion = self.deletion(name);
        match self.launch_configurations.remove(name) {
            Some(gone) => {
                self.past
                    .launch_configurations
                    .keep(&gone.name, &gone, deletion);
                true
            }
            None => false,
        }
    }

    /// Puts an Auto Scaling group beside the account, in the place of one with its name. It
    /// launches nothing by itself.
    pub fn seed_auto_scaling_group(&mut self, seed: AutoScalingGroupSeed) {
        let group = AutoScalingGroup {
            name: seed.name.clone(),
            unique: self.ids.uuid(),
            launch: seed.launch,
            desired: seed.desired,
            created: self.now,
            tags: seed.tags,
        };
        self.auto_scaling_groups.insert(seed.name, group);
    }

    /// Removes an Auto Scaling group, as its deletion does; says whether there was one.
    pub fn remove_auto_scaling_group(&mut self, name: &str) -> bool {
        let deletion = self.deletion(name);
        match self.auto_scaling_groups.remove(name) {
            Some(gone) => {
                self.past
                    .auto_scaling_groups
                    .keep(&gone.name, &gone, deletion);
                true
            }
            None => false,
        }
    }

    /// Puts an instance refresh beside a group; it replaces nothing by itself.
    pub fn seed_instance_refresh(
        &mut self,
        group: impl Into<String>,
        status: impl Into<String>,
        desired: Option<GroupLaunch>,
    ) {
        let id = self.ids.uuid();
        let refresh = InstanceRefresh {
            id: id.clone(),
            group: group.into(),
            status: status.into(),
            desired,
            started: self.now,
        };
        self.instance_refreshes.insert(id, refresh);
    }
}
