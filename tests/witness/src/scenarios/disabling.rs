//! Disabled and protected images.

use aws_sdk_ec2::types::InstanceType;

use crate::expectation::{Right, differ};
use crate::scenario::Scenario;
use crate::set_up::counted;
use crate::stage::{Stage, Stop};

const NOT_MODELLED: &str = "[B] has the operation; moto does not model it";

const DISABLED: &str = "a disabled image is hidden without IncludeDisabled, holds its snapshots and cannot be launched (EC2 User Guide, \"Disable an AMI\"); moto does not model it";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "disabled-image",
        asks: "who sees a disabled image, and what it still holds",
        expected: &[
            differ(
                "disabling",
                "ok",
                "HTTP 500 without a code",
                Right::Simulated,
                NOT_MODELLED,
            ),
            differ(
                "in a plain list",
                "0",
                "not reached",
                Right::Simulated,
                DISABLED,
            ),
            differ(
                "with IncludeDisabled",
                "1 disabled",
                "not reached",
                Right::Simulated,
                DISABLED,
            ),
            differ(
                "deleting its snapshot",
                "InvalidSnapshot.InUse",
                "not reached",
                Right::Simulated,
                DISABLED,
            ),
            differ(
                "launching it",
                "InvalidAMIID.Unavailable",
                "not reached",
                Right::Simulated,
                DISABLED,
            ),
            differ(
                "enabling",
                "ok",
                "not reached",
                Right::Simulated,
                NOT_MODELLED,
            ),
            differ(
                "in a plain list again",
                "1",
                "not reached",
                Right::Simulated,
                DISABLED,
            ),
        ],
        play: |s| Box::pin(disabled(s)),
    },
    Scenario {
        name: "protected-image",
        asks: "deregistering an image that is protected from it",
        expected: &[
            differ(
                "protecting",
                "ok",
                "HTTP 500 without a code",
                Right::Simulated,
                NOT_MODELLED,
            ),
            differ(
                "deregistering",
                "OperationNotPermitted",
                "not reached",
                Right::Unknown,
                "EC2 refuses it (EC2 User Guide, \"Protect an AMI from deregistration\"), but the code is not documented; moto does not model it",
            ),
            differ(
                "ending the protection",
                "ok",
                "not reached",
                Right::Simulated,
                NOT_MODELLED,
            ),
            differ(
                "deregistering afterwards",
                "ok",
                "not reached",
                Right::Simulated,
                NOT_MODELLED,
            ),
        ],
        play: |s| Box::pin(protected(s)),
    },
];

async fn disabled(s: &mut Stage) -> Result<(), Stop> {
    let snapshot = s.snapshot(&[]).await?;
    let image = s.register("disabled", &snapshot).await?;
    let result = s.ec2.disable_image().image_id(&image).send().await;
    if s.outcome("disabling", result)?.is_none() {
        return Ok(());
    }
    let result = s.ec2.describe_images().owners("self").send().await;
    s.hear("in a plain list", result, |l| l.images().len().to_string())?;
    let call = s.ec2.describe_images().owners("self");
    let result = call.include_disabled(true).send().await;
    s.hear("with IncludeDisabled", result, |l| {
        counted(
            l.images()
                .iter()
                .map(|i| i.state().map_or("none", |v| v.as_str())),
        )
    })?;
    let result = s.ec2.delete_snapshot().snapshot_id(&snapshot).send().await;
    s.outcome("deleting its snapshot", result)?;
    let call = s
        .ec2
        .run_instances()
        .image_id(&image)
        .min_count(1)
        .max_count(1);
    let result = call.instance_type(InstanceType::M5Large).send().await;
    s.outcome("launching it", result)?;
    let result = s.ec2.enable_image().image_id(&image).send().await;
    s.outcome("enabling", result)?;
    let result = s.ec2.describe_images().owners("self").send().await;
    s.hear("in a plain list again", result, |l| {
        l.images().len().to_string()
    })?;
    Ok(())
}

async fn protected(s: &mut Stage) -> Result<(), Stop> {
    let image = s.image("protected").await?;
    let call = s.ec2.enable_image_deregistration_protection();
    let result = call.image_id(&image).send().await;
    if s.outcome("protecting", result)?.is_none() {
        return Ok(());
    }
    let result = s.ec2.deregister_image().image_id(&image).send().await;
    s.outcome("deregistering", result)?;
    let call = s.ec2.disable_image_deregistration_protection();
    let result = call.image_id(&image).send().await;
    s.outcome("ending the protection", result)?;
    let result = s.ec2.deregister_image().image_id(&image).send().await;
    s.outcome("deregistering afterwards", result)?;
    Ok(())
}
