//! Instances: their states, their lists, and what becomes of their volumes.

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::InstanceType;

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, filter};
use crate::stage::{Stage, Stop, made};

const NOT_FROM_TERMINATED: &str =
    "a terminated instance is in no state for it: IncorrectInstanceState [E]";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "instance-states",
        asks: "the states of an instance from stopping to starting again",
        expected: &[
            agree("launched and settled", "1 running"),
            agree("answer of StopInstances", "1 running to stopping"),
            differ(
                "right after it",
                "1 stopping",
                "1 stopped",
                Right::Simulated,
                "an instance is stopping before it is stopped (EC2 User Guide, \"Instance lifecycle\"); moto has no time",
            ),
            agree("later", "1 stopped"),
            agree("stopping it again", "ok"),
            agree("answer of StartInstances", "1 stopped to pending"),
            agree("started and settled", "1 running"),
        ],
        play: |s| Box::pin(states(s)),
    },
    Scenario {
        name: "instance-terminated",
        asks: "a terminated instance, its listing and its volumes",
        expected: &[
            agree("answer of TerminateInstances", "1 shutting-down"),
            agree("listed later", "1 terminated"),
            agree("its devices", "0"),
            agree("volumes of the launch", "0"),
            agree("the volume attached later", "1 available"),
            differ(
                "starting it",
                "IncorrectInstanceState",
                "ok",
                Right::Simulated,
                NOT_FROM_TERMINATED,
            ),
            differ(
                "stopping it",
                "IncorrectInstanceState",
                "ok",
                Right::Simulated,
                NOT_FROM_TERMINATED,
            ),
            agree("terminating it again", "ok"),
        ],
        play: |s| Box::pin(terminated(s)),
    },
    Scenario {
        name: "instances-by-filter",
        asks: "filters of DescribeInstances",
        expected: &[
            agree("image-id of the first", "1 running"),
            agree("image-id of the other", "1 running, 1 terminated"),
            agree("running or stopped ones", "2 running"),
            agree("instance-id of a missing one", "none"),
            differ(
                "by the volume attached",
                "1 running",
                "HTTP 500 without a code",
                Right::Simulated,
                "[B] lists the filter; moto breaks down on what it does not model",
            ),
            differ(
                "an unknown name",
                "InvalidParameterValue",
                "HTTP 500 without a code",
                Right::Simulated,
                "EC2 refuses filters that it does not know (\"The filter 'colour' is invalid\"); moto breaks down on what it does not model",
            ),
        ],
        play: |s| Box::pin(by_filter(s)),
    },
    Scenario {
        name: "instance-missing",
        asks: "calls that name an instance or an image that is not there",
        expected: &[
            agree("listing", "InvalidInstanceID.NotFound"),
            differ(
                "listing a malformed id",
                "InvalidInstanceID.Malformed",
                "InvalidInstanceID.NotFound",
                Right::Simulated,
                "a malformed instance id is InvalidInstanceID.Malformed [E]",
            ),
            agree("starting", "InvalidInstanceID.NotFound"),
            agree("stopping", "InvalidInstanceID.NotFound"),
            agree("terminating", "InvalidInstanceID.NotFound"),
            agree("launching a missing image", "InvalidAMIID.NotFound"),
            differ(
                "launching a deregistered image",
                "InvalidAMIID.Unavailable",
                "ok",
                Right::Simulated,
                "a deregistered image is InvalidAMIID.Unavailable [E]; moto launches it",
            ),
            agree("launching a malformed image id", "InvalidAMIID.Malformed"),
        ],
        play: |s| Box::pin(missing(s)),
    },
];

fn listed_states(l: &DescribeInstancesOutput) -> String {
    let instances = l.reservations().iter().flat_map(|r| r.instances());
    counted(instances.filter_map(|i| Some(i.state()?.name()?.as_str().to_owned())))
}

impl Stage {
    async fn state_of(&mut self, asked: &'static str, id: &str) -> Result<(), Stop> {
        let result = self.ec2.describe_instances().instance_ids(id).send().await;
        self.hear(asked, result, listed_states)?;
        Ok(())
    }
}

async fn states(s: &mut Stage) -> Result<(), Stop> {
    let id = s.instance(0).await?.id;
    s.state_of("launched and settled", &id).await?;
    let result = s.ec2.stop_instances().instance_ids(&id).send().await;
    s.hear("answer of StopInstances", result, |c| {
        counted(c.stopping_instances().iter().filter_map(|i| {
            Some(format!(
                "{} to {}",
                i.previous_state()?.name()?.as_str(),
                i.current_state()?.name()?.as_str()
            ))
        }))
    })?;
    s.state_of("right after it", &id).await?;
    s.settle();
    s.state_of("later", &id).await?;
    let result = s.ec2.stop_instances().instance_ids(&id).send().await;
    s.outcome("stopping it again", result)?;
    let result = s.ec2.start_instances().instance_ids(&id).send().await;
    s.hear("answer of StartInstances", result, |c| {
        counted(c.starting_instances().iter().filter_map(|i| {
            Some(format!(
                "{} to {}",
                i.previous_state()?.name()?.as_str(),
                i.current_state()?.name()?.as_str()
            ))
        }))
    })?;
    s.settle();
    s.state_of("started and settled", &id).await?;
    Ok(())
}

async fn terminated(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(1).await?;
    let later = s.volume().await?;
    let call = s
        .ec2
        .attach_volume()
        .volume_id(&later)
        .instance_id(&machine.id);
    made(call.device("/dev/sdz").send().await)?;
    s.settle();
    let result = s
        .ec2
        .terminate_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.hear("answer of TerminateInstances", result, |c| {
        counted(
            c.terminating_instances()
                .iter()
                .filter_map(|i| Some(i.current_state()?.name()?.as_str().to_owned())),
        )
    })?;
    s.settle();
    s.state_of("listed later", &machine.id).await?;
    let result = s
        .ec2
        .describe_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.hear("its devices", result, |l| {
        let instances = l.reservations().iter().flat_map(|r| r.instances());
        let devices: usize = instances.map(|i| i.block_device_mappings().len()).sum();
        devices.to_string()
    })?;
    let volumes: Vec<&str> = machine.volumes.iter().map(String::as_str).collect();
    let call = s
        .ec2
        .describe_volumes()
        .filters(filter("volume-id", &volumes));
    s.hear("volumes of the launch", call.send().await, |l| {
        l.volumes().len().to_string()
    })?;
    let result = s.ec2.describe_volumes().volume_ids(&later).send().await;
    s.hear("the volume attached later", result, |l| {
        counted(
            l.volumes()
                .iter()
                .map(|v| v.state().map_or("none", |v| v.as_str())),
        )
    })?;
    let result = s
        .ec2
        .start_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.outcome("starting it", result)?;
    let result = s
        .ec2
        .stop_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.outcome("stopping it", result)?;
    let result = s
        .ec2
        .terminate_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.outcome("terminating it again", result)?;
    Ok(())
}

async fn by_filter(s: &mut Stage) -> Result<(), Stop> {
    let one = s.instance(0).await?;
    let other = s.image("other").await?;
    s.instance_of(&other, 0).await?;
    let gone = s.instance_of(&other, 0).await?;
    made(
        s.ec2
            .terminate_instances()
            .instance_ids(&gone.id)
            .send()
            .await,
    )?;
    s.settle();
    let root = one.volumes.first().ok_or(Stop::Lacking("root volume"))?;
    for (asked, filter) in [
        ("image-id of the first", filter("image-id", &[&one.image])),
        ("image-id of the other", filter("image-id", &[&other])),
        (
            "running or stopped ones",
            filter("instance-state-name", &["running", "stopped"]),
        ),
        (
            "instance-id of a missing one",
            filter("instance-id", &[&format!("i-{NOTHING}")]),
        ),
        (
            "by the volume attached",
            filter("block-device-mapping.volume-id", &[root]),
        ),
        ("an unknown name", filter("colour", &["red"])),
    ] {
        let result = s.ec2.describe_instances().filters(filter).send().await;
        s.hear(asked, result, listed_states)?;
    }
    Ok(())
}

async fn missing(s: &mut Stage) -> Result<(), Stop> {
    let id = format!("i-{NOTHING}");
    let result = s.ec2.describe_instances().instance_ids(&id).send().await;
    s.outcome("listing", result)?;
    let result = s
        .ec2
        .describe_instances()
        .instance_ids("server")
        .send()
        .await;
    s.outcome("listing a malformed id", result)?;
    let result = s.ec2.start_instances().instance_ids(&id).send().await;
    s.outcome("starting", result)?;
    let result = s.ec2.stop_instances().instance_ids(&id).send().await;
    s.outcome("stopping", result)?;
    let result = s.ec2.terminate_instances().instance_ids(&id).send().await;
    s.outcome("terminating", result)?;
    let gone = s.image("gone").await?;
    made(s.ec2.deregister_image().image_id(&gone).send().await)?;
    s.settle();
    for (asked, image) in [
        ("launching a missing image", format!("ami-{NOTHING}")),
        ("launching a deregistered image", gone),
        ("launching a malformed image id", "image".to_owned()),
    ] {
        let call = s
            .ec2
            .run_instances()
            .image_id(image)
            .min_count(1)
            .max_count(1);
        let result = call.instance_type(InstanceType::M5Large).send().await;
        s.outcome(asked, result)?;
    }
    Ok(())
}
