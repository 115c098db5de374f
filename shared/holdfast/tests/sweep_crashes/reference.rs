//! What somebody else does to a backup so that it must stay, and where that can be seen.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_sim::request::{
    CreateLaunchTemplate, CreateTags, EnableFastSnapshotRestores, ModifyImageAttribute,
    ModifySnapshotAttribute, RegisterImage, Request, RunInstances,
};
use holdfast_sim::{Account, BlockDevice, Grantee, Recipe, Response, TemplateData};

use super::interrupted::gate::Moment;
use super::interrupted::ports::{Look, Sight};

/// A kind of reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PinnedImage,
    Launched,
    TemplateOfImage,
    Configuration,
    SharedImage,
    Parameter,
    Recipe,
    PinnedSnapshot,
    TemplateOfSnapshot,
    ImageOver,
    SharedSnapshot,
    FastRestore,
}

/// A reference that was made.
#[derive(Clone, Debug)]
pub struct Reference {
    pub kind: Kind,
    /// The AMI or the snapshot.
    pub target: String,
    pub moment: Moment,
    /// What must not be deleted while it stands.
    pub protects: BTreeSet<String>,
}

const STRANGER: &str = "999988887777";

impl Kind {
    pub const OF_IMAGES: [Self; 7] = [
        Self::PinnedImage,
        Self::Launched,
        Self::TemplateOfImage,
        Self::Configuration,
        Self::SharedImage,
        Self::Parameter,
        Self::Recipe,
    ];

    pub const OF_SNAPSHOTS: [Self; 5] = [
        Self::PinnedSnapshot,
        Self::TemplateOfSnapshot,
        Self::ImageOver,
        Self::SharedSnapshot,
        Self::FastRestore,
    ];

    /// Makes the reference; `None` where the account refuses it.
    pub fn add(self, account: &mut Account, target: &str, moment: Moment) -> Option<Reference> {
        let request = self.request(target, moment);
        match request {
            Some(request) => match account.call(&request).ok()? {
                // Done in part: what could not be enabled is said inside the answer.
                Response::FastRestoresChanged(changes) if changes.successful.is_empty() => {
                    return None;
                }
                _ => {}
            },
            None if self == Self::Configuration => {
                account.seed_launch_configuration(format!("lc-{target}-{moment}"), target, vec![]);
            }
            None if self == Self::Parameter => {
                account.seed_parameter(format!("/images/{target}-{moment}"), target);
            }
            None => account.seed_image_recipe(Recipe {
                name: format!("recipe-{target}-{moment}"),
                version: "1.0.0".into(),
                parent: target.into(),
                container: false,
            }),
        }
        Some(Reference {
            kind: self,
            target: target.into(),
            moment,
            protects: protected(account, target),
        })
    }

    fn request(self, target: &str, moment: Moment) -> Option<Request> {
        let id = target.to_owned();
        let stranger = vec![Grantee::Account(STRANGER.into())];
        let device = || BlockDevice::from_snapshot("/dev/xvda", SnapshotId::new(target));
        let template = |data| {
            Request::CreateLaunchTemplate(CreateLaunchTemplate {
                name: format!("of-{target}-{moment}"),
                data,
                ..CreateLaunchTemplate::default()
            })
        };
        Some(match self {
            Self::PinnedImage | Self::PinnedSnapshot => Request::CreateTags(CreateTags {
                resources: vec![id],
                tags: vec![("holdfast:pin".into(), "for the audit".into())],
            }),
            Self::Launched => Request::RunInstances(RunInstances {
                image: Some(id),
                instance_type: Some("m5.large".into()),
                min_count: 1,
                max_count: 1,
                ..RunInstances::default()
            }),
            Self::TemplateOfImage => template(TemplateData {
                image: Some(id),
                ..TemplateData::default()
            }),
            Self::TemplateOfSnapshot => template(TemplateData {
                mappings: vec![device()],
                ..TemplateData::default()
            }),
            Self::SharedImage => Request::ModifyImageAttribute(ModifyImageAttribute {
                id,
                add: stranger,
                ..ModifyImageAttribute::default()
            }),
            Self::SharedSnapshot => Request::ModifySnapshotAttribute(ModifySnapshotAttribute {
                id,
                add: stranger,
                ..ModifySnapshotAttribute::default()
            }),
            Self::ImageOver => Request::RegisterImage(RegisterImage {
                name: format!("over-{target}-{moment}"),
                root_device: Some("/dev/xvda".into()),
                mappings: vec![device()],
                ..RegisterImage::default()
            }),
            Self::FastRestore => Request::EnableFastSnapshotRestores(EnableFastSnapshotRestores {
                zones: vec!["eu-central-1a".into()],
                ids: vec![id],
            }),
            Self::Configuration | Self::Parameter | Self::Recipe => return None,
        })
    }

    /// Whether a look shows a reference of this kind to `target`.
    pub fn is_seen_by(self, look: &Look, target: &str) -> bool {
        let asked = |sight| {
            let about = look.about.as_ref();
            look.at == sight && about.is_none_or(|about| about.contains(target))
        };
        match self {
            Self::PinnedImage => asked(Sight::Images),
            Self::Launched => asked(Sight::Instances) || asked(Sight::Launches),
            Self::TemplateOfImage => asked(Sight::Templates) || asked(Sight::Launches),
            Self::Configuration => asked(Sight::LaunchConfigurations),
            Self::SharedImage | Self::SharedSnapshot => asked(Sight::Shares),
            Self::Parameter => asked(Sight::Launches),
            Self::Recipe => asked(Sight::Recipes),
            Self::PinnedSnapshot => asked(Sight::Snapshots),
            Self::TemplateOfSnapshot => asked(Sight::Templates),
            Self::ImageOver => {
                look.at == Sight::Images && look.about.is_none() || asked(Sight::Mapping)
            }
            Self::FastRestore => asked(Sight::FastRestores),
        }
    }
}

/// What a reference to `target` protects: itself, and what an AMI maps.
pub fn protected(account: &Account, target: &str) -> BTreeSet<String> {
    let image = account.image(&ImageId::new(target));
    let mapped = image.into_iter().flat_map(|image| &image.mappings);
    let mapped = mapped.filter_map(|device| device.snapshot().map(ToString::to_string));
    mapped.chain([target.to_owned()]).collect()
}
