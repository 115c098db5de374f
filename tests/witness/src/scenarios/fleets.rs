//! EC2 Fleets, Spot Fleet requests and Spot Instance requests, and what they launch from.

use aws_sdk_ec2::operation::describe_fleets::DescribeFleetsOutput;
use aws_sdk_ec2::operation::describe_spot_fleet_requests::DescribeSpotFleetRequestsOutput;
use aws_sdk_ec2::operation::describe_spot_instance_requests::DescribeSpotInstanceRequestsOutput;

use crate::expectation::{Right, agree, differ};
use crate::referrers::{DATA, instead};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, filter};
use crate::stage::{Stage, Stop};

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "fleets",
        asks: "EC2 Fleets over a version of a launch template and an image in its place",
        expected: &[
            agree(
                "all",
                "1 active maintain: version 1 or b, 1 active request: version 1 or b",
            ),
            agree("one by id", "1 active request: version 1 or b"),
            differ(
                "those of type maintain",
                "1 active maintain: version 1 or b",
                "1 active maintain: version 1 or b, 1 active request: version 1 or b",
                Right::Simulated,
                "`type` is a filter of DescribeFleets [B]; moto looks at no filter",
            ),
            differ(
                "an id that is not there",
                "InvalidFleetId.NotFound",
                "none",
                Right::Unknown,
                "no page of AWS tells the code for a missing fleet, nor that there is none",
            ),
        ],
        play: |s| Box::pin(fleets(s)),
    },
    Scenario {
        name: "spot-fleets",
        asks: "a Spot Fleet request for an image with a data device of a snapshot",
        expected: &[
            differ(
                "all",
                "1 active: a with the snapshot",
                "1 active: a with no snapshot",
                Right::Simulated,
                "a launch specification is listed with its block devices [B]; moto keeps none",
            ),
            differ(
                "one by id",
                "1 active: a with the snapshot",
                "1 active: a with no snapshot",
                Right::Simulated,
                "a launch specification is listed with its block devices [B]; moto keeps none",
            ),
            differ(
                "an id that is not there",
                "InvalidSpotFleetRequestId.NotFound",
                "none",
                Right::Simulated,
                "a request that does not exist is InvalidSpotFleetRequestId.NotFound [E]; moto gives an empty list",
            ),
        ],
        play: |s| Box::pin(spot_fleets(s)),
    },
    Scenario {
        name: "spot-requests",
        asks: "fulfilled Spot Instance requests for images",
        expected: &[
            agree("all", "1 active one-time: a, 1 active one-time: b"),
            agree("one by id", "1 active one-time: a"),
            differ(
                "those for an image",
                "1 active one-time: b",
                "HTTP 500 without a code",
                Right::Simulated,
                "`launch.image-id` is a filter of DescribeSpotInstanceRequests [B]; moto fails at it",
            ),
            agree("those in state open", "none"),
            differ(
                "an id that is not there",
                "InvalidSpotInstanceRequestID.NotFound",
                "none",
                Right::Simulated,
                "a request that does not exist is InvalidSpotInstanceRequestID.NotFound [E]; moto gives an empty list",
            ),
        ],
        play: |s| Box::pin(spot_requests(s)),
    },
];

async fn fleets(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let template = s.template(&a, &b).await?;
    s.fleet("maintain", &template, "1", &b).await?;
    let id = s.fleet("request", &template, "1", &b).await?;
    let said = |l: &DescribeFleetsOutput| {
        counted(l.fleets().iter().map(|fleet| {
            let state = fleet.fleet_state().map_or("?", |state| state.as_str());
            let kind = fleet.r#type().map_or("?", |kind| kind.as_str());
            let configs = fleet.launch_template_configs().iter();
            let launches = configs.map(|config| {
                let template = config.launch_template_specification();
                let version = template.and_then(|t| t.version()).unwrap_or("none");
                let others = instead(config.overrides().iter().map(|o| o.image_id()), &b);
                format!("version {version} or {others}")
            });
            let launches: Vec<String> = launches.collect();
            format!("{state} {kind}: {}", launches.join("; "))
        }))
    };
    let ec2 = s.ec2.clone();
    let list = || ec2.describe_fleets();
    let result = list().send().await;
    s.hear("all", result, said)?;
    let result = list().fleet_ids(&id).send().await;
    s.hear("one by id", result, said)?;
    let result = list().filters(filter("type", &["maintain"])).send().await;
    s.hear("those of type maintain", result, said)?;
    let missing = "fleet-00000000-0000-0000-0000-000000000000";
    let result = list().fleet_ids(missing).send().await;
    s.hear("an id that is not there", result, said)?;
    Ok(())
}

async fn spot_fleets(s: &mut Stage) -> Result<(), Stop> {
    let (a, snapshot) = (s.image("image a").await?, s.snapshot(&[]).await?);
    let id = s.spot_fleet(&a, &snapshot).await?;
    let said = |l: &DescribeSpotFleetRequestsOutput| {
        counted(l.spot_fleet_request_configs().iter().map(|request| {
            let state = request.spot_fleet_request_state();
            let state = state.map_or("?", |state| state.as_str());
            let config = request.spot_fleet_request_config();
            let specifications = config.map_or(&[][..], |c| c.launch_specifications());
            let launches = specifications.iter().map(|one| {
                let image = match one.image_id() {
                    Some(id) if id == a => "a",
                    _ => "another image",
                };
                let devices = one.block_device_mappings().iter();
                let mut devices = devices.filter(|m| m.device_name() == Some(DATA));
                let device = devices.find_map(|m| m.ebs()?.snapshot_id());
                match device == Some(&snapshot) {
                    true => format!("{image} with the snapshot"),
                    false => format!("{image} with no snapshot"),
                }
            });
            let launches: Vec<String> = launches.collect();
            format!("{state}: {}", launches.join("; "))
        }))
    };
    let ec2 = s.ec2.clone();
    let list = || ec2.describe_spot_fleet_requests();
    let result = list().send().await;
    s.hear("all", result, said)?;
    let result = list().spot_fleet_request_ids(&id).send().await;
    s.hear("one by id", result, said)?;
    let missing = "sfr-00000000-0000-0000-0000-000000000000";
    let result = list().spot_fleet_request_ids(missing).send().await;
    s.hear("an id that is not there", result, said)?;
    Ok(())
}

async fn spot_requests(s: &mut Stage) -> Result<(), Stop> {
    let (a, b) = (s.image("image a").await?, s.image("image b").await?);
    let id = s.spot_request(&a).await?;
    s.spot_request(&b).await?;
    let said = |l: &DescribeSpotInstanceRequestsOutput| {
        counted(l.spot_instance_requests().iter().map(|request| {
            let state = request.state().map_or("?", |state| state.as_str());
            let kind = request.r#type().map_or("?", |kind| kind.as_str());
            let image = request.launch_specification().and_then(|l| l.image_id());
            let image = match image {
                Some(id) if id == a => "a",
                Some(id) if id == b => "b",
                _ => "another image",
            };
            format!("{state} {kind}: {image}")
        }))
    };
    let ec2 = s.ec2.clone();
    let list = || ec2.describe_spot_instance_requests();
    let result = list().send().await;
    s.hear("all", result, said)?;
    let result = list().spot_instance_request_ids(&id).send().await;
    s.hear("one by id", result, said)?;
    let result = list()
        .filters(filter("launch.image-id", &[&b]))
        .send()
        .await;
    s.hear("those for an image", result, said)?;
    let result = list().filters(filter("state", &["open"])).send().await;
    s.hear("those in state open", result, said)?;
    let missing = format!("sir-{}", &NOTHING[..8]);
    let result = list().spot_instance_request_ids(missing).send().await;
    s.hear("an id that is not there", result, said)?;
    Ok(())
}
