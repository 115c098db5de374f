//! What becomes of an AMI that is restored as an instance, or as a version of a launch template.

use std::collections::BTreeMap;

use super::origin::Origin;
use super::tags;
use super::token::token;
use crate::inventory::{Image, InstanceState, MappingTarget, Tags};
use crate::lineage::Node;
use crate::ports::restore::{
    LaunchBy, LaunchParameters, LaunchRequest, Machine, Stored, TemplateChoice, TemplateVersion,
    VersionRequest,
};
use crate::report::{Reason, ReasonCode};

/// What a person asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceWish {
    /// Launch by this template instead of as the source is launched.
    pub template: Option<TemplateChoice>,
    /// Launch nothing, and write a version of this template.
    pub into_template: Option<TemplateChoice>,
    /// Take the user's tags of the AMI over.
    pub copy_tags: bool,
    /// Makes another one than the same request with another label, or none.
    pub again: Option<String>,
}

impl InstanceWish {
    /// The client token of this wish about an AMI.
    #[must_use]
    pub fn token(&self, image: &str) -> String {
        let named = |choice: &Option<TemplateChoice>| {
            let choice = choice.as_ref()?;
            let version = choice.version.as_deref().unwrap_or_default();
            Some(format!("{}:{version}", choice.template))
        };
        let words = [
            ("launch-template", named(&self.template)),
            ("into-template", named(&self.into_template)),
            ("copy-tags", self.copy_tags.then(String::new)),
            ("again", self.again.clone()),
        ];
        token("instance", image, &words)
    }
}

/// What a plan rests on.
#[derive(Clone, Copy, Debug)]
pub struct InstanceGround<'a> {
    /// The AMI; good, by [`super::usable_image`].
    pub image: &'a Image,
    /// The account's snapshots behind it.
    pub stored: &'a BTreeMap<&'a str, &'a Stored>,
    /// What the lineage tells of it.
    pub node: Option<&'a Node>,
    /// The instance it was made of, where it is still listed.
    pub source: Option<&'a Machine>,
    /// The versions of the launch template that was named.
    pub versions: &'a [TemplateVersion],
    /// Instances that carry the request's token.
    pub made: &'a [Machine],
    /// What was asked for.
    pub wish: &'a InstanceWish,
}

/// What is asked of EC2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// An instance.
    Instance(LaunchRequest),
    /// A version of a launch template.
    Version(VersionRequest),
}

/// A disk that comes with the AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedDisk {
    /// Device name.
    pub device: String,
    /// The snapshot it is made from.
    pub snapshot: String,
    /// Its size in GiB.
    pub size_gib: Option<i32>,
}

/// An instance, or a version of a launch template, to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePlan {
    /// The words to EC2.
    pub making: Making,
    /// What it is made from.
    pub origin: Origin,
    /// The disks it comes with.
    pub disks: Vec<MappedDisk>,
    /// What an earlier run of the same command made: `i-…`, or the number of a version.
    pub made: Option<String>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// What is made of an AMI.
///
/// # Errors
/// Why it cannot be, and what to do instead.
pub fn plan_instance(ground: &InstanceGround<'_>) -> Result<InstancePlan, Reason> {
    let InstanceGround { image, wish, .. } = *ground;
    let id = image.id.as_str();
    let token = wish.token(id);
    let source = image.source_instance.as_ref().map(|i| i.as_str());
    let mut origin = Origin::of(id, source, image.created, &image.tags, ground.node);
    let mut disks = Vec::new();
    for mapping in &image.mappings {
        match &mapping.target {
            MappingTarget::Ebs(Some(snapshot)) => disks.push(MappedDisk {
                device: mapping.device.clone(),
                snapshot: snapshot.to_string(),
                size_gib: ground
                    .stored
                    .get(snapshot.as_str())
                    .and_then(|stored| stored.snapshot.size_gib),
            }),
            MappingTarget::InstanceStore(name) => {
                let words = format!("{} ({name}): an instance-store disk, empty", mapping.device);
                origin.missing.push(words);
            }
            MappingTarget::Ebs(None) | MappingTarget::NoDevice | MappingTarget::Unknown => {}
        }
    }
    let mut notes = Vec::new();
    let (making, made) = match &wish.into_template {
        Some(base) => version(ground, base, token, &mut notes)?,
        None => launch(ground, token, &mut notes)?,
    };
    Ok(InstancePlan {
        making,
        origin,
        disks,
        made,
        notes,
    })
}

fn launch(
    ground: &InstanceGround<'_>,
    token: String,
    notes: &mut Vec<String>,
) -> Result<(Making, Option<String>), Reason> {
    let InstanceGround { image, wish, .. } = *ground;
    let made = launched_before(ground.made)?;
    let by = match &wish.template {
        Some(choice) => {
            template_version(ground.versions, choice, "$Default")?;
            LaunchBy::Template(choice.clone())
        }
        None => {
            let (parameters, whence) = parameters(ground)?;
            notes.push(format!(
                "type, subnet, security groups, key pair, instance profile, metadata and EBS \
                 options are as the {whence}; user data, addresses, further network interfaces, \
                 tenancy and purchase options are not taken over (a launch template can have them: \
                 --launch-template)"
            ));
            LaunchBy::Parameters(parameters)
        }
    };
    notes.push(
        "it starts as soon as it is made, beside the source: what both would do at once (jobs, \
         cluster membership, leases) is yours to keep apart"
            .to_owned(),
    );
    notes.push("blocks load when they are first read, so that it is slow at first".to_owned());
    let user_tags: Option<&Tags> = wish.copy_tags.then_some(&image.tags);
    let (tags, left) = tags(image.id.as_str(), &token, user_tags);
    if left > 0 {
        notes.push(format!(
            "{left} of the backup's tags do not fit EC2's limit"
        ));
    }
    let request = LaunchRequest {
        image: image.id.clone(),
        by,
        volume_tags: tags.clone(),
        tags,
        token,
    };
    Ok((Making::Instance(request), made))
}

/// An instance that an earlier run of the same command made.
fn launched_before(made: &[Machine]) -> Result<Option<String>, Reason> {
    let over = |machine: &Machine| {
        matches!(
            machine.instance.state,
            InstanceState::ShuttingDown | InstanceState::Terminated
        )
    };
    let mut standing: Vec<&Machine> = made.iter().collect();
    standing.sort_by_key(|machine| (over(machine), machine.instance.id.clone()));
    match standing.first() {
        None => Ok(None),
        // EC2 answers with it as long as it knows its token, which is longer than it is listed.
        Some(machine) if over(machine) => {
            let words = format!(
                "{}, which this command made before, is {}; --again LABEL makes another one",
                machine.instance.id, machine.instance.state
            );
            Err(Reason::with(ReasonCode::InstanceState, words))
        }
        Some(machine) => Ok(Some(machine.instance.id.to_string())),
    }
}

/// How the source is launched, and how that is known. EC2 forgets subnet and groups of an instance
/// once it is terminated; then it is what the lineage recorded when the AMI was made. Where neither
/// tells, nobody knows, and nothing is invented.
fn parameters(ground: &InstanceGround<'_>) -> Result<(LaunchParameters, String), Reason> {
    let lacking = match ground.source {
        Some(machine) => match lacks(&machine.launch) {
            None => {
                let whence = "source instance has them now".to_owned();
                return Ok((machine.launch.clone(), whence));
            }
            Some(what) => format!(
                "EC2 does not tell the {what} of {}, which is {}",
                machine.instance.id, machine.instance.state
            ),
        },
        None => {
            let which = ground.image.source_instance.as_ref();
            let which = which.map_or("its source instance", |id| id.as_str());
            format!("{which} is not there any more")
        }
    };
    let recorded = ground.node.and_then(|node| node.launch.as_ref());
    if let Some(launch) = recorded.filter(|launch| lacks(launch).is_none()) {
        let whence = "source instance had them when the AMI was made (by the lineage)".to_owned();
        return Ok((launch.clone(), whence));
    }
    let words = format!(
        "{lacking}, and the lineage does not record how it was launched: name a launch template \
         (--launch-template lt-…), or write the AMI into one (--into-template lt-…)"
    );
    Err(Reason::with(ReasonCode::LaunchUnknown, words))
}

/// What of these parameters nothing can be launched without.
fn lacks(launch: &LaunchParameters) -> Option<&'static str> {
    if launch.instance_type.is_none() {
        return Some("type");
    }
    launch.subnet.is_none().then_some("subnet")
}

fn version(
    ground: &InstanceGround<'_>,
    base: &TemplateChoice,
    token: String,
    notes: &mut Vec<String>,
) -> Result<(Making, Option<String>), Reason> {
    let image = ground.image;
    let description = format!("holdfast restore of {} ({token})", image.id);
    let before = ground.versions.iter().find(|one| {
        one.description.as_deref() == Some(&description)
            && one.version.image.as_deref() == Some(image.id.as_str())
    });
    let made = before.map(|one| one.version.version.to_string());
    // The base's own content matters only as long as there is no version made of it.
    if made.is_none() {
        template_version(ground.versions, base, "$Latest")?;
    }
    notes.push(
        "the template's default version stays as it is: an Auto Scaling group that follows $Latest \
         launches from the new version at its next launch, any other one when you set it; start an \
         instance refresh to roll the group to it"
            .to_owned(),
    );
    notes.push(
        "what is launched from it loads its blocks when they are first read, so that it is slow at first"
            .to_owned(),
    );
    let request = VersionRequest {
        base: base.clone(),
        image: image.id.clone(),
        description,
        token,
    };
    Ok((Making::Version(request), made))
}

/// The version that a choice names, refused where its own mapping would put other snapshots in the
/// place of the AMI's disks.
fn template_version<'a>(
    versions: &'a [TemplateVersion],
    choice: &TemplateChoice,
    absent: &str,
) -> Result<&'a TemplateVersion, Reason> {
    let named = choice.version.as_deref().unwrap_or(absent);
    let mut all = versions.iter();
    let found = match named {
        "$Latest" => all.max_by_key(|one| one.version.version),
        "$Default" => all.find(|one| one.version.default),
        number => all.find(|one| one.version.version.to_string() == number),
    };
    let Some(found) = found else {
        let words = format!("launch template {} has no version {named}", choice.template);
        return Err(Reason::with(ReasonCode::NotFound, words));
    };
    if found.version.snapshots.is_empty() {
        return Ok(found);
    }
    let theirs: Vec<&str> = found
        .version
        .snapshots
        .iter()
        .map(|id| id.as_str())
        .collect();
    let words = format!(
        "version {} of launch template {} maps {} in the place of the AMI's disks: name a version \
         without snapshots of its own",
        found.version.version,
        choice.template,
        theirs.join(", ")
    );
    Err(Reason::with(ReasonCode::Refused, words))
}
