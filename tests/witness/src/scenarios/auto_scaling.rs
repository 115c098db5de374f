//! Launch configurations and Auto Scaling groups, and the images and snapshots that they launch from.

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::operation::describe_launch_configurations::DescribeLaunchConfigurationsOutput;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Filter, LaunchTemplateSpecification};

use crate::expectation::agree;
use crate::referrers::{DATA, Launches, instead};
use crate::scenario::Scenario;
use crate::stage::{Stage, Stop, made};

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "launch-configurations",
        asks: "launch configurations of an image with a data device of a snapshot",
        expected: &[
            agree("all", "api: a with the snapshot, web: a with the snapshot"),
            agree("one by name", "web: a with the snapshot"),
            agree("a name that is not there", "none"),
            agree(
                "one, when its image is deregistered",
                "web: a with the snapshot",
            ),
            agree("one, when it is on a page of its own", "1, and more"),
        ],
        play: |s| Box::pin(configurations(s)),
    },
    Scenario {
        name: "groups",
        asks: "Auto Scaling groups of a launch configuration, a launch template and both of a mix",
        expected: &[
            agree(
                "all",
                "mixed: version $Latest or b, of-configuration: web, of-template: version 1",
            ),
            agree("one by name", "of-template: version 1"),
            agree("a name that is not there", "none"),
            agree("one by its tag", "of-configuration: web"),
        ],
        play: |s| Box::pin(groups(s)),
    },
];

fn sorted(mut all: Vec<String>) -> String {
    all.sort();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

/// The launch configurations as `web: a with the snapshot`.
fn configured(l: &DescribeLaunchConfigurationsOutput, a: &str, snapshot: &str) -> String {
    let said = l.launch_configurations().iter().map(|c| {
        let image = match c.image_id() {
            Some(id) if id == a => "a",
            _ => "another image",
        };
        let device = c
            .block_device_mappings()
            .iter()
            .find(|m| m.device_name() == Some(DATA));
        let device = device.and_then(|m| m.ebs()?.snapshot_id());
        let with = match device {
            Some(id) if id == snapshot => "the snapshot",
            _ => "no snapshot",
        };
        let name = c.launch_configuration_name().unwrap_or("?");
        format!("{name}: {image} with {with}")
    });
    sorted(said.collect())
}

async fn configurations(s: &mut Stage) -> Result<(), Stop> {
    let (a, snapshot) = (s.image("image a").await?, s.snapshot(&[]).await?);
    for name in ["web", "api"] {
        s.launch_configuration(name, &a, &snapshot).await?;
    }
    let groups = s.auto_scaling.clone();
    let list = || groups.describe_launch_configurations();
    let said = |l: &DescribeLaunchConfigurationsOutput| configured(l, &a, &snapshot);
    let result = list().send().await;
    s.hear("all", result, said)?;
    let result = list().launch_configuration_names("web").send().await;
    s.hear("one by name", result, said)?;
    let result = list().launch_configuration_names("nothing").send().await;
    s.hear("a name that is not there", result, said)?;
    made(s.ec2.deregister_image().image_id(&a).send().await)?;
    let result = list().launch_configuration_names("web").send().await;
    s.hear("one, when its image is deregistered", result, said)?;
    let result = list().max_records(1).send().await;
    s.hear("one, when it is on a page of its own", result, |l| {
        let more = match l.next_token() {
            Some(_) => "more",
            None => "no more",
        };
        format!("{}, and {more}", l.launch_configurations().len())
    })?;
    Ok(())
}

/// What a group launches: `web`, `version 1`, or `version $Latest or b`.
fn launches(g: &AutoScalingGroup, b: &str) -> String {
    let version = |t: &LaunchTemplateSpecification| {
        let version = t.version().unwrap_or("none");
        format!("version {version}")
    };
    if let Some(name) = g.launch_configuration_name() {
        return name.to_owned();
    }
    if let Some(template) = g.launch_template() {
        return version(template);
    }
    let mixed = g.mixed_instances_policy().and_then(|m| m.launch_template());
    let Some(mixed) = mixed else {
        return "nothing".to_owned();
    };
    let template = mixed.launch_template_specification();
    let template = template.map_or("no template".to_owned(), version);
    let others = instead(mixed.overrides().iter().map(|o| o.image_id()), b);
    format!("{template} or {others}")
}

async fn groups(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let snapshot = s.snapshot(&[]).await?;
    s.launch_configuration("web", &a, &snapshot).await?;
    let template = s.template(&a, &b).await?;
    s.group("of-configuration", Launches::Configuration("web"))
        .await?;
    s.group("of-template", Launches::Template(&template, "1"))
        .await?;
    s.group("mixed", Launches::Mixed(&template, "$Latest", &b))
        .await?;
    let client = s.auto_scaling.clone();
    let list = || client.describe_auto_scaling_groups();
    let said = |l: &DescribeAutoScalingGroupsOutput| {
        let all = l.auto_scaling_groups().iter();
        let all = all.map(|g| {
            let name = g.auto_scaling_group_name().unwrap_or("?");
            format!("{name}: {}", launches(g, &b))
        });
        sorted(all.collect())
    };
    let result = list().send().await;
    s.hear("all", result, said)?;
    let result = list().auto_scaling_group_names("of-template").send().await;
    s.hear("one by name", result, said)?;
    let result = list().auto_scaling_group_names("nothing").send().await;
    s.hear("a name that is not there", result, said)?;
    let tagged = Filter::builder()
        .name("tag:Team")
        .values("of-configuration");
    let result = list().filters(tagged.build()).send().await;
    s.hear("one by its tag", result, said)?;
    Ok(())
}
