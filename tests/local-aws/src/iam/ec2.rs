//! What the calls of EC2 and Auto Scaling demand. Resources and condition keys of each action:
//! Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::Tags;
use holdfast_sim::request::{Request, TagSpecification};
use holdfast_sim::{Account, ReferrerType};

use super::demand::Demand;

/// The services that ask in the caller's name, oldest first.
const CALLED_VIA: &str = "aws:CalledVia";
/// As what EC2 looks for references.
const IMAGE_REFERENCES: &str = "ec2-images.amazonaws.com";

/// What EC2 asks for in the caller's name, to find the references of one type of resource (AWS
/// Managed Policy Reference, `AmazonEC2ImageReferencesAccessPolicy`). That it refuses the whole
/// call without them is assumed.
fn looked_up(resource_type: &str) -> &'static [&'static str] {
    match resource_type {
        "ec2:Instance" => &["ec2:DescribeInstances"],
        "ec2:LaunchTemplate" => &[
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeLaunchTemplateVersions",
        ],
        "ssm:Parameter" => &["ssm:DescribeParameters", "ssm:GetParameters"],
        "imagebuilder:ImageRecipe" => &["imagebuilder:ListImageRecipes"],
        "imagebuilder:ContainerRecipe" => &[
            "imagebuilder:ListContainerRecipes",
            "imagebuilder:GetContainerRecipe",
        ],
        // The account refuses the call itself.
        _ => &[],
    }
}

/// The demands of a call on this account.
#[must_use]
pub fn demands(request: &Request, account: &Account) -> Vec<Demand> {
    let call = Call {
        action: format!("{}:{}", request.service(), request.operation()),
        operation: request.operation(),
        account,
    };
    match request {
        Request::CreateSnapshot(r) => {
            let mut all = vec![call.existing(&r.volume)];
            all.extend(call.made("snapshot", &r.tags));
            all
        }
        Request::CreateSnapshots(r) => {
            let mut all = vec![call.existing(&r.instance)];
            let instance = account.instance(&InstanceId::new(r.instance.clone()));
            let volumes = instance.into_iter().flat_map(|i| &i.devices);
            let taken = volumes
                .map(|device| device.volume.as_str())
                .filter(|id| !r.exclude_data_volumes.iter().any(|other| other == id))
                .filter(|id| {
                    let root = instance.and_then(|i| i.root_volume());
                    !(r.exclude_boot_volume && root.is_some_and(|root| root.as_str() == *id))
                });
            all.extend(taken.map(|id| call.existing(id)));
            all.extend(call.made("snapshot", &r.tags));
            all
        }
        Request::CreateImage(r) => {
            let mut all = vec![call.existing(&r.instance)];
            all.extend(call.made("image", &r.tags));
            all.extend(call.made("snapshot", &r.tags));
            all
        }
        Request::DeleteSnapshot(r) => vec![call.existing(&r.id)],
        Request::DeregisterImage(r) => {
            let mut all = vec![call.existing(&r.id)];
            if r.delete_associated_snapshots {
                // EC2 deregisters all the same and answers `missing-permissions` for a snapshot
                // that the caller may not delete; here such a call is refused as a whole, louder.
                let delete = Call {
                    action: "ec2:DeleteSnapshot".to_owned(),
                    ..call
                };
                let image = account.image(&ImageId::new(r.id.clone()));
                let snapshots = image.into_iter().flat_map(|image| image.snapshots());
                all.extend(snapshots.map(|id| delete.existing(id.as_str())));
            }
            all
        }
        Request::CreateTags(r) => {
            let each = r.resources.iter();
            each.map(|id| call.existing(id).tagging(&r.tags)).collect()
        }
        Request::DeleteTags(r) => {
            let keys: Vec<String> = r.tags.iter().map(|(key, _)| key.clone()).collect();
            let each = r.resources.iter();
            each.map(|id| call.existing(id).naming(keys.clone()))
                .collect()
        }
        Request::DescribeImageAttribute(r) => vec![call.existing(&r.id)],
        Request::DescribeSnapshotAttribute(r) => vec![call.existing(&r.id)],
        Request::DescribeImageReferences(r) => {
            let mut all = vec![Demand::new(call.action, "*")];
            let types = r.scopes.iter().map(|scope| scope.resource_type.as_str());
            let every = ReferrerType::ALL.into_iter().map(ReferrerType::as_str);
            let types: Vec<&str> = if r.include_all {
                every.collect()
            } else {
                types.collect()
            };
            for action in types.into_iter().flat_map(looked_up) {
                all.push(Demand::new(*action, "*").with(CALLED_VIA, IMAGE_REFERENCES));
            }
            all
        }
        // Assumed: EC2 reads the parameter for the caller under its own name, and one that the
        // caller may not read fails the call.
        Request::DescribeLaunchTemplateVersions(r) if r.resolve_alias => vec![
            Demand::new(call.action, "*"),
            Demand::new("ssm:GetParameters", "*").with(CALLED_VIA, "ec2.amazonaws.com"),
        ],
        Request::SendCommand(r) => {
            let settings = account.settings();
            let (region, id) = (&settings.region, &settings.account_id);
            let document = if r.document.starts_with("arn:") {
                r.document.clone()
            } else {
                format!("arn:aws:ssm:{region}:{id}:document/{}", r.document)
            };
            // The document and each instance (Service Authorization Reference, "Actions, resources,
            // and condition keys for AWS Systems Manager").
            vec![
                Demand::new(&call.action, document),
                call.existing(&r.instance),
            ]
        }
        // Lists have no resource-level permissions; the rest is no function's.
        _ => vec![Demand::new(call.action, "*")],
    }
}

struct Call<'a> {
    action: String,
    operation: &'static str,
    account: &'a Account,
}

impl Call<'_> {
    /// The demand for a resource by its identifier.
    fn existing(&self, id: &str) -> Demand {
        match tags_of(self.account, id) {
            Some(tags) => Demand::new(&self.action, self.arn(id)).tagged(tags),
            None => Demand::on_nothing(&self.action),
        }
    }

    /// The demands for what the call makes: making it, and tagging it where it has tags.
    fn made(&self, kind: &str, specifications: &[TagSpecification]) -> Vec<Demand> {
        let arn = format!("{}::{kind}/*", self.prefix());
        let of_kind = specifications.iter().filter(|s| s.resource_type == kind);
        let tags: Vec<(String, String)> = of_kind.flat_map(|s| s.tags.clone()).collect();
        let mut all = vec![Demand::new(&self.action, &arn).tagging(&tags)];
        if !tags.is_empty() {
            let tag = Demand::new("ec2:CreateTags", arn).tagging(&tags);
            all.push(tag.with("ec2:CreateAction", self.operation));
        }
        all
    }

    fn prefix(&self) -> String {
        format!("arn:aws:ec2:{}", self.account.settings().region)
    }

    /// Snapshot and image ARNs carry no account.
    fn arn(&self, id: &str) -> String {
        let account = &self.account.settings().account_id;
        let (kind, account) = match id.split('-').next() {
            Some("snap") => ("snapshot", ""),
            Some("ami") => ("image", ""),
            Some("vol") => ("volume", account.as_str()),
            Some("i") => ("instance", account.as_str()),
            Some("lt") => ("launch-template", account.as_str()),
            _ => ("*", account.as_str()),
        };
        format!("{}:{account}:{kind}/{id}", self.prefix())
    }
}

fn tags_of<'a>(account: &'a Account, id: &str) -> Option<&'a Tags> {
    let id = id.to_owned();
    match id.split('-').next() {
        Some("snap") => account.snapshot(&SnapshotId::new(id)).map(|s| &s.tags),
        Some("ami") => account.image(&ImageId::new(id)).map(|i| &i.tags),
        Some("vol") => account.volume(&VolumeId::new(id)).map(|v| &v.tags),
        Some("i") => account.instance(&InstanceId::new(id)).map(|i| &i.tags),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sim::request::{
        CreateImage, CreateSnapshots, DeregisterImage, DescribeAutoScalingGroups,
        DescribeImageReferences, DescribeLaunchTemplateVersions, DescribeSnapshotAttribute,
        ReferenceScope,
    };
    use holdfast_sim::{BlockDevice, ImageSeed, InstanceSeed, Settings, SnapshotSeed, VolumeSeed};

    fn shown(demands: &[Demand]) -> Vec<String> {
        let show = |d: &Demand| format!("{} {}", d.action, d.resource.as_deref().unwrap_or("-"));
        demands.iter().map(show).collect()
    }

    fn tag(kind: &str) -> TagSpecification {
        TagSpecification::new(kind, [("holdfast:managed", "true")])
    }

    #[test]
    fn a_set_demands_the_instance_its_volumes_and_the_new_tagged_snapshots() {
        let mut account = Account::new(Settings::default());
        let root = account.seed_volume(VolumeSeed::default());
        let data = account.seed_volume(VolumeSeed::default());
        let instance = account.seed_instance(InstanceSeed {
            devices: vec![
                ("/dev/xvda".to_owned(), root),
                ("/dev/sdf".to_owned(), data.clone()),
            ],
            ..InstanceSeed::default()
        });
        let request = Request::CreateSnapshots(CreateSnapshots {
            instance: instance.to_string(),
            exclude_boot_volume: true,
            tags: vec![tag("snapshot")],
            ..CreateSnapshots::default()
        });
        let demands = demands(&request, &account);
        let ec2 = "arn:aws:ec2:eu-central-1";
        assert_eq!(
            shown(&demands),
            [
                format!("ec2:CreateSnapshots {ec2}:111122223333:instance/{instance}"),
                format!("ec2:CreateSnapshots {ec2}:111122223333:volume/{data}"),
                format!("ec2:CreateSnapshots {ec2}::snapshot/*"),
                format!("ec2:CreateTags {ec2}::snapshot/*"),
            ]
        );
        assert_eq!(
            demands[3].context["ec2:CreateAction"],
            ["CreateSnapshots".to_owned()]
        );
        assert_eq!(
            demands[2].context["aws:RequestTag/holdfast:managed"],
            ["true".to_owned()]
        );
    }

    #[test]
    fn an_image_with_tags_on_itself_and_its_snapshots_demands_tagging_of_both() {
        let account = Account::new(Settings::default());
        let request = Request::CreateImage(CreateImage {
            instance: "i-0aaa1111bbb2222cc".to_owned(),
            tags: vec![tag("image"), tag("snapshot")],
            ..CreateImage::default()
        });
        let ec2 = "arn:aws:ec2:eu-central-1";
        assert_eq!(
            shown(&demands(&request, &account)),
            [
                "ec2:CreateImage -".to_owned(),
                format!("ec2:CreateImage {ec2}::image/*"),
                format!("ec2:CreateTags {ec2}::image/*"),
                format!("ec2:CreateImage {ec2}::snapshot/*"),
                format!("ec2:CreateTags {ec2}::snapshot/*"),
            ]
        );
    }

    #[test]
    fn deregistering_with_the_snapshots_demands_deleting_each() {
        let mut account = Account::new(Settings::default());
        let snapshot = account.seed_snapshot(SnapshotSeed::default());
        let image = account.seed_image(ImageSeed {
            mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
            ..ImageSeed::default()
        });
        let with = |delete_associated_snapshots| {
            let request = Request::DeregisterImage(DeregisterImage {
                id: image.to_string(),
                delete_associated_snapshots,
            });
            shown(&demands(&request, &account))
        };
        let deregister = format!("ec2:DeregisterImage arn:aws:ec2:eu-central-1::image/{image}");
        let delete = format!("ec2:DeleteSnapshot arn:aws:ec2:eu-central-1::snapshot/{snapshot}");
        assert_eq!(with(false), std::slice::from_ref(&deregister));
        assert_eq!(with(true), [deregister, delete]);
    }
    #[test]
    fn finding_references_demands_what_ec2_looks_up_for_its_caller() {
        let account = Account::new(Settings::default());
        let with = |types: &[&str]| {
            let scopes = types.iter().map(|name| ReferenceScope {
                resource_type: (*name).to_owned(),
                options: Vec::new(),
            });
            let request = Request::DescribeImageReferences(DescribeImageReferences {
                scopes: scopes.collect(),
                ..DescribeImageReferences::default()
            });
            demands(&request, &account)
        };
        let found = with(&["ec2:Instance", "ssm:Parameter"]);
        assert_eq!(
            shown(&found),
            [
                "ec2:DescribeImageReferences *",
                "ec2:DescribeInstances *",
                "ssm:DescribeParameters *",
                "ssm:GetParameters *",
            ]
        );
        assert!(found[0].context.is_empty());
        let via = ["ec2-images.amazonaws.com".to_owned()];
        assert!(found[1..].iter().all(|d| d.context["aws:CalledVia"] == via));
        assert_eq!(
            shown(&with(&["imagebuilder:ContainerRecipe"]))[1..],
            [
                "imagebuilder:ListContainerRecipes *",
                "imagebuilder:GetContainerRecipe *"
            ]
        );
    }

    #[test]
    fn only_resolving_a_template_demands_the_parameters() {
        let account = Account::new(Settings::default());
        let with = |resolve_alias| {
            let request = Request::DescribeLaunchTemplateVersions(DescribeLaunchTemplateVersions {
                resolve_alias,
                ..DescribeLaunchTemplateVersions::default()
            });
            demands(&request, &account)
        };
        let list = "ec2:DescribeLaunchTemplateVersions *";
        assert_eq!(shown(&with(false)), [list]);
        let resolving = with(true);
        assert_eq!(shown(&resolving), [list, "ssm:GetParameters *"]);
        let via = ["ec2.amazonaws.com".to_owned()];
        assert_eq!(resolving[1].context["aws:CalledVia"], via);
    }

    #[test]
    fn shares_are_asked_of_the_artifact_and_groups_of_their_own_service() {
        let mut account = Account::new(Settings::default());
        let snapshot = account.seed_snapshot(SnapshotSeed::default());
        let share = Request::DescribeSnapshotAttribute(DescribeSnapshotAttribute {
            id: snapshot.to_string(),
            attribute: "createVolumePermission".to_owned(),
        });
        let arn = format!("arn:aws:ec2:eu-central-1::snapshot/{snapshot}");
        assert_eq!(
            shown(&demands(&share, &account)),
            [format!("ec2:DescribeSnapshotAttribute {arn}")]
        );
        let groups = Request::DescribeAutoScalingGroups(DescribeAutoScalingGroups::default());
        assert_eq!(
            shown(&demands(&groups, &account)),
            ["autoscaling:DescribeAutoScalingGroups *"]
        );
    }
}
