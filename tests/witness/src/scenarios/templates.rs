//! Launch templates whose versions name images.

use aws_sdk_ec2::operation::describe_launch_template_versions::DescribeLaunchTemplateVersionsOutput;
use aws_sdk_ec2::types::{InstanceType, LaunchTemplateSpecification, RequestLaunchTemplateData};

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{got, yes};
use crate::stage::{Stage, Stop, made};

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "template-versions",
        asks: "two versions of a launch template, each naming an image",
        expected: &[
            agree("all", "1 of a (default), 2 of b"),
            agree("version 1", "1 of a (default)"),
            agree("$Latest", "2 of b"),
            agree("$Default", "1 of a (default)"),
            agree(
                "$Latest and $Default of all templates",
                "1 of a (default), 2 of b",
            ),
            agree("MinVersion 2", "2 of b"),
            agree("latest and default number", "2 and 1"),
            agree(
                "all, when image a is deregistered",
                "1 of a (default), 2 of b",
            ),
            agree("deleting the template", "ok"),
            agree("templates left", "0"),
        ],
        play: |s| Box::pin(versions(s)),
    },
    Scenario {
        name: "template-missing",
        asks: "launch templates and versions that are not there",
        expected: &[
            agree(
                "versions of a missing id",
                "InvalidLaunchTemplateId.NotFound",
            ),
            agree(
                "versions of a missing name",
                "InvalidLaunchTemplateName.NotFoundException",
            ),
            differ(
                "a missing template by id",
                "InvalidLaunchTemplateId.NotFound",
                "ok",
                Right::Simulated,
                "an identifier that does not exist is InvalidLaunchTemplateId.NotFound [E]; moto gives an empty list",
            ),
            agree(
                "a missing version",
                "InvalidLaunchTemplateId.VersionNotFound",
            ),
            agree(
                "a name that is taken",
                "InvalidLaunchTemplateName.AlreadyExistsException",
            ),
        ],
        play: |s| Box::pin(missing(s)),
    },
    Scenario {
        name: "template-launch",
        asks: "an instance launched from a launch template",
        expected: &[
            agree("of the default version: image a", "yes"),
            agree("of the latest version: image b", "yes"),
        ],
        play: |s| Box::pin(launch(s)),
    },
];

fn names(image: &str) -> RequestLaunchTemplateData {
    RequestLaunchTemplateData::builder()
        .image_id(image)
        .instance_type(InstanceType::M5Large)
        .build()
}

/// The versions as `1 of a (default), 2 of b`, the images named by their letters.
fn said(l: &DescribeLaunchTemplateVersionsOutput, images: &[(&str, &str)]) -> String {
    let mut all: Vec<String> = l
        .launch_template_versions()
        .iter()
        .map(|v| {
            let image = v.launch_template_data().and_then(|d| d.image_id());
            let letter = images.iter().find(|(_, id)| Some(*id) == image);
            let default = if v.default_version() == Some(true) {
                " (default)"
            } else {
                ""
            };
            let number = v.version_number().unwrap_or_default();
            format!(
                "{number} of {}{default}",
                letter.map_or("another", |(l, _)| l)
            )
        })
        .collect();
    all.sort();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

impl Stage {
    /// A launch template of two versions: image a, then image b.
    pub(crate) async fn template(&self, a: &str, b: &str) -> Result<String, Stop> {
        let call = self
            .ec2
            .create_launch_template()
            .launch_template_name("web");
        let template = made(call.launch_template_data(names(a)).send().await)?;
        let id = template
            .launch_template()
            .and_then(|t| t.launch_template_id());
        let id = got(id, "launch template id")?;
        let call = self
            .ec2
            .create_launch_template_version()
            .launch_template_id(&id);
        made(call.launch_template_data(names(b)).send().await)?;
        Ok(id)
    }
}

async fn versions(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let id = s.template(&a, &b).await?;
    let images = [("a", a.as_str()), ("b", b.as_str())];
    let ec2 = s.ec2.clone();
    let list = || ec2.describe_launch_template_versions();
    let result = list().launch_template_id(&id).send().await;
    s.hear("all", result, |l| said(l, &images))?;
    for (asked, version) in [
        ("version 1", "1"),
        ("$Latest", "$Latest"),
        ("$Default", "$Default"),
    ] {
        let result = list()
            .launch_template_id(&id)
            .versions(version)
            .send()
            .await;
        s.hear(asked, result, |l| said(l, &images))?;
    }
    let result = list().versions("$Latest").versions("$Default").send().await;
    s.hear("$Latest and $Default of all templates", result, |l| {
        said(l, &images)
    })?;
    let result = list().launch_template_id(&id).min_version("2").send().await;
    s.hear("MinVersion 2", result, |l| said(l, &images))?;
    let result = ec2
        .describe_launch_templates()
        .launch_template_ids(&id)
        .send()
        .await;
    s.hear("latest and default number", result, |l| {
        let template = l.launch_templates().first();
        let number = |n: Option<i64>| n.unwrap_or_default();
        template.map_or("none".to_owned(), |t| {
            format!(
                "{} and {}",
                number(t.latest_version_number()),
                number(t.default_version_number())
            )
        })
    })?;
    made(ec2.deregister_image().image_id(&a).send().await)?;
    s.settle();
    let result = list().launch_template_id(&id).send().await;
    s.hear("all, when image a is deregistered", result, |l| {
        said(l, &images)
    })?;
    let result = ec2
        .delete_launch_template()
        .launch_template_id(&id)
        .send()
        .await;
    s.outcome("deleting the template", result)?;
    let result = ec2.describe_launch_templates().send().await;
    s.hear("templates left", result, |l| {
        l.launch_templates().len().to_string()
    })?;
    Ok(())
}

async fn missing(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let id = s.template(&a, &b).await?;
    let ec2 = s.ec2.clone();
    let list = || ec2.describe_launch_template_versions();
    let nothing = "lt-0123456789abcdef0";
    s.outcome(
        "versions of a missing id",
        list().launch_template_id(nothing).send().await,
    )?;
    s.outcome(
        "versions of a missing name",
        list().launch_template_name("nothing").send().await,
    )?;
    let call = ec2.describe_launch_templates().launch_template_ids(nothing);
    s.outcome("a missing template by id", call.send().await)?;
    let result = list().launch_template_id(&id).versions("7").send().await;
    s.hear("a missing version", result, |l| said(l, &[]))?;
    let call = ec2.create_launch_template().launch_template_name("web");
    s.outcome(
        "a name that is taken",
        call.launch_template_data(names(&a)).send().await,
    )?;
    Ok(())
}

async fn launch(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let id = s.template(&a, &b).await?;
    for (asked, version, image) in [
        ("of the default version: image a", None, &a),
        ("of the latest version: image b", Some("$Latest"), &b),
    ] {
        let template = LaunchTemplateSpecification::builder().launch_template_id(&id);
        let template = template.set_version(version.map(str::to_owned)).build();
        let call = s.ec2.run_instances().launch_template(template);
        let result = call.min_count(1).max_count(1).send().await;
        s.hear(asked, result, |r| {
            yes(r.instances().first().and_then(|i| i.image_id()) == Some(image)).to_owned()
        })?;
        s.settle();
    }
    Ok(())
}
