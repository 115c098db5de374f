//! The tags that make an artifact Holdfast's: how they are written and read.

use jiff::Timestamp;

use crate::inventory::Tags;
use crate::report::{Reason, ReasonCode};

/// Present with the value `true` on every artifact.
pub const MANAGED: &str = "holdfast:managed";
/// `snapshot`, `image` or `image-snapshot`.
pub const ARTIFACT: &str = "holdfast:artifact";
/// The policy's name.
pub const POLICY: &str = "holdfast:policy";
/// What the creating call named.
pub const SOURCE: &str = "holdfast:source";
/// The slot, RFC 3339 UTC.
pub const SLOT: &str = "holdfast:slot";
/// The run.
pub const RUN: &str = "holdfast:run";
/// The retention group's value, where the group is not the source.
pub const GROUP: &str = "holdfast:group";
/// The consistency that the policy asked for: `crash`, `application` or `stopped`. What was reached
/// stands in the lineage.
pub const CONSISTENCY: &str = "holdfast:consistency";
/// On an AMI that another tool made and `holdfast adopt` took over: the AMI's own identifier, so
/// that a copy which carried its tags over is not taken for it.
pub const ADOPTED: &str = "holdfast:adopted";
/// How the run of an adoption is called, up to what makes it the only one: no call of Holdfast's own
/// made what it stamped.
pub const ADOPTION: &str = "adopt-";
/// Keeps every backup it names or is the source of.
pub const PIN: &str = "holdfast:pin";
/// On what `holdfast restore` made: the backup it was made from. It makes nothing an artifact.
pub const RESTORED_FROM: &str = "holdfast:restored-from";
/// On what `holdfast restore` made: the client token of the request, by which a repeated command
/// finds it again when EC2 has forgotten the token.
pub const RESTORE: &str = "holdfast:restore";
/// Prefix of all of Holdfast's tags.
pub const PREFIX: &str = "holdfast:";

/// The tags of EC2 Image Builder.
const BUILDERS: [&str; 2] = ["Ec2ImageBuilderArn", "CreatedBy"];

/// Most tags that EC2 allows on a resource (EC2 User Guide, "Tag restrictions").
pub const MAX_TAGS: usize = 50;
/// Longest tag value in characters (same source).
pub const MAX_TAG_VALUE: usize = 256;

/// What kind of artifact a tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// A snapshot in its own right.
    Snapshot,
    /// An AMI.
    Image,
    /// A snapshot backing an AMI.
    ImageSnapshot,
}

/// What the tags of one of Holdfast's artifacts say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What kind it is.
    pub kind: ArtifactKind,
    /// The policy's name at creation.
    pub policy: String,
    /// What the creating call named; needed for sets only.
    pub source: Option<String>,
    /// The slot.
    pub slot: Option<Timestamp>,
    /// The run.
    pub run: Option<String>,
    /// The retention group's value.
    pub group: Option<String>,
}

impl Artifact {
    /// Reads an artifact's tags and owner.
    ///
    /// `account` is one's own account where it is known; lists are asked for with `self` as the
    /// owner, so a differing owner is an answer that was not asked for.
    ///
    /// # Errors
    /// The reason for which the artifact is not Holdfast's to judge.
    pub fn read(tags: &Tags, owner: Option<&str>, account: Option<&str>) -> Result<Self, Reason> {
        Claim::read(tags, owner, account).map(|claim| claim.artifact())
    }

    /// Whether both carry what one run of a create call puts on all that it makes.
    #[must_use]
    pub fn is_of_the_same_run(&self, other: &Self) -> bool {
        (&self.policy, &self.source, self.slot, &self.run)
            == (&other.policy, &other.source, other.slot, &other.run)
    }
}

/// Tags that make an artifact Holdfast's, read no further than that: of most artifacts nothing else
/// is ever asked.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'t> {
    /// What kind it is.
    pub kind: ArtifactKind,
    /// The policy's name at creation.
    pub policy: &'t str,
    tags: &'t Tags,
}

impl<'t> Claim<'t> {
    /// Reads them as [`Artifact::read`] does.
    ///
    /// # Errors
    /// The reason for which the artifact is not Holdfast's to judge.
    pub fn read(
        tags: &'t Tags,
        owner: Option<&str>,
        account: Option<&str>,
    ) -> Result<Self, Reason> {
        let not_managed = |detail: String| Reason::with(ReasonCode::NotManaged, detail);
        if tags.get(MANAGED).map(String::as_str) != Some("true") {
            return Err(not_managed(format!("it has no tag {MANAGED}=true")));
        }
        if let Some(tag) = foreign_manager(tags) {
            return Err(Reason::with(
                ReasonCode::ManagedByOther,
                format!("it carries {tag}"),
            ));
        }
        match (owner, account) {
            (Some(owner), Some(account)) if owner != account => {
                return Err(not_managed(format!("its owner is {owner}, not {account}")));
            }
            (None, _) => return Err(not_managed("its owner is not known".into())),
            _ => {}
        }
        let policy = tags.get(POLICY).filter(|name| !name.is_empty());
        let policy = policy.ok_or_else(|| not_managed(format!("it has no tag {POLICY}")))?;
        let kind = match tags.get(ARTIFACT).map(String::as_str) {
            Some("snapshot") => ArtifactKind::Snapshot,
            Some("image") => ArtifactKind::Image,
            Some("image-snapshot") => ArtifactKind::ImageSnapshot,
            Some(other) => {
                return Err(not_managed(format!("its tag {ARTIFACT} says {other:?}")));
            }
            None => return Err(not_managed(format!("it has no tag {ARTIFACT}"))),
        };
        Ok(Self { kind, policy, tags })
    }

    /// The retention group's value.
    #[must_use]
    pub fn group(&self) -> Option<&'t str> {
        self.tags.get(GROUP).map(String::as_str)
    }

    /// All that the tags say.
    #[must_use]
    pub fn artifact(&self) -> Artifact {
        let tags = self.tags;
        Artifact {
            kind: self.kind,
            policy: self.policy.to_owned(),
            source: tags.get(SOURCE).cloned(),
            slot: tags.get(SLOT).and_then(|text| text.parse().ok()),
            run: tags.get(RUN).cloned(),
            group: tags.get(GROUP).cloned(),
        }
    }
}

/// A tag by which another tool claims the resource.
#[must_use]
pub fn foreign_manager(tags: &Tags) -> Option<&str> {
    tags.keys()
        .map(String::as_str)
        .find(|key| key.starts_with("aws:dlm:") || key.starts_with("aws:backup:"))
        .or_else(|| by_image_builder(tags))
}

/// The tag by which EC2 Image Builder says that it made the resource, and its lifecycle policies find
/// it (Image Builder User Guide, "Tag your resources").
fn by_image_builder(tags: &Tags) -> Option<&str> {
    let [arn, by] = BUILDERS;
    if tags.contains_key(arn) {
        return Some(arn);
    }
    (tags.get(by).map(String::as_str) == Some("EC2 Image Builder")).then_some(by)
}

/// What Holdfast writes on an artifact, in the create call itself.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// What kind it is.
    pub kind: ArtifactKind,
    /// The policy's name.
    pub policy: &'a str,
    /// What the call names.
    pub source: &'a str,
    /// The slot.
    pub slot: Timestamp,
    /// The run.
    pub run: &'a str,
    /// The group's value, where the group is not the source.
    pub group: Option<&'a str>,
}

impl Stamp<'_> {
    /// The tags.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let kind = match self.kind {
            ArtifactKind::Snapshot => "snapshot",
            ArtifactKind::Image => "image",
            ArtifactKind::ImageSnapshot => "image-snapshot",
        };
        let mut tags = self.trace();
        tags.insert(MANAGED.into(), "true".into());
        tags.insert(ARTIFACT.into(), kind.into());
        tags.insert(RUN.into(), self.run.into());
        if let Some(group) = self.group {
            tags.insert(GROUP.into(), group.into());
        }
        tags
    }

    /// The tags by which an artifact of an unknown outcome is found again, whatever run made it.
    #[must_use]
    pub fn trace(&self) -> Tags {
        Tags::from([
            (POLICY.into(), self.policy.into()),
            (SOURCE.into(), self.source.into()),
            (SLOT.into(), self.slot.to_string()),
        ])
    }
}

/// The name of an AMI, which is EC2's only idempotency key for `CreateImage`: unique in the account
/// and Region, and the same whoever asks again. The slot is written in UTC; attempts count from 1.
#[must_use]
pub fn image_name(policy: &str, source: &str, slot: Timestamp, attempt: u32) -> String {
    format!("{}{attempt}", image_name_start(policy, source, slot))
}

/// Whether `name` is [`image_name`]'s for these, with any attempt.
#[must_use]
pub fn is_image_name_of(name: &str, policy: &str, source: &str, slot: Timestamp) -> bool {
    name.strip_prefix(&image_name_start(policy, source, slot))
        .is_some_and(|rest| {
            let plain = rest.bytes().all(|b| b.is_ascii_digit()) && !rest.starts_with('0');
            plain && rest.parse::<u32>().is_ok()
        })
}

fn image_name_start(policy: &str, source: &str, slot: Timestamp) -> String {
    let slot = slot.strftime("%Y%m%dT%H%M%SZ");
    format!("holdfast/{policy}/{source}/{slot}/")
}

/// The tags of a source that are copied to its backups: neither AWS's own nor Holdfast's, nor those of
/// EC2 Image Builder, which would make the backups its own.
pub fn copied(tags: &Tags) -> impl Iterator<Item = (&String, &String)> {
    let builder = by_image_builder(tags).is_some();
    tags.iter()
        .filter(|(key, _)| !key.starts_with("aws:") && !key.starts_with(PREFIX))
        .filter(move |(key, _)| !builder || !BUILDERS.contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Tags {
        Stamp {
            kind: ArtifactKind::Snapshot,
            policy: "nightly",
            source: "vol-1",
            slot: "2026-11-23T03:00:00Z".parse().unwrap(),
            run: "r1",
            group: None,
        }
        .tags()
    }

    #[test]
    fn what_is_written_reads_back() {
        let artifact = Artifact::read(&ours(), Some("1"), Some("1")).unwrap();
        assert_eq!(artifact.policy, "nightly");
        assert_eq!(artifact.source.as_deref(), Some("vol-1"));
        assert_eq!(artifact.slot, Some("2026-11-23T03:00:00Z".parse().unwrap()));
        assert_eq!(ours()[SLOT], "2026-11-23T03:00:00Z");
    }

    #[test]
    fn the_name_of_an_ami_tells_policy_instance_slot_and_attempt_and_is_known_again() {
        let slot: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let name = image_name("nightly", "i-0a1", slot, 2);
        assert_eq!(name, "holdfast/nightly/i-0a1/20261123T030000Z/2");
        let known = |name: &str| is_image_name_of(name, "nightly", "i-0a1", slot);
        assert!(known(&name) && known("holdfast/nightly/i-0a1/20261123T030000Z/17"));
        for other in [
            "holdfast/nightly/i-0a1/20261123T030000Z/",
            "holdfast/nightly/i-0a1/20261123T030000Z/0",
            "holdfast/nightly/i-0a1/20261123T030000Z/+1",
            "holdfast/nightly/i-0a1/20261123T030000Z/1-copy",
            "holdfast/nightly/i-0a1/20261123T040000Z/1",
            "holdfast/weekly/i-0a1/20261123T030000Z/1",
            "copy of holdfast/nightly/i-0a1/20261123T030000Z/1",
        ] {
            assert!(!known(other), "{other}");
        }
    }

    #[test]
    fn an_artifact_of_another_account_or_tool_is_not_ours() {
        let code = |tags: &Tags, owner| Artifact::read(tags, owner, Some("1")).unwrap_err().code;
        assert_eq!(code(&ours(), Some("2")), ReasonCode::NotManaged);
        assert_eq!(code(&ours(), None), ReasonCode::NotManaged);
        let mut tags = ours();
        tags.insert("aws:dlm:lifecycle-policy-id".into(), "policy-1".into());
        assert_eq!(code(&tags, Some("1")), ReasonCode::ManagedByOther);
        for (key, value) in [
            ("Ec2ImageBuilderArn", "arn:x"),
            ("CreatedBy", "EC2 Image Builder"),
        ] {
            let mut tags = ours();
            tags.insert(key.into(), value.into());
            let other = ReasonCode::ManagedByOther;
            assert_eq!(code(&tags, Some("1")), other, "{key}");
            let copied: Vec<_> = copied(&tags).collect();
            assert!(copied.is_empty(), "{copied:?}");
        }
        let mut tags = ours();
        tags.insert("CreatedBy".into(), "ops".into());
        assert!(Artifact::read(&tags, Some("1"), Some("1")).is_ok());
        assert_eq!(copied(&tags).count(), 1);
        let mut tags = ours();
        tags.remove(POLICY);
        assert_eq!(code(&tags, Some("1")), ReasonCode::NotManaged);
    }
}
