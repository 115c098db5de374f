//! The simulated account behind its HTTP door: a new one for every scenario.

use holdfast_local_aws::door::Door;
use holdfast_local_aws::{auto_scaling, ec2};
use holdfast_sim::{Account, Settings};

use crate::scenario::{Failure, Scenario};
use crate::stage::{Answer, REGION, Stage};

/// Plays a scenario against a new simulated account.
///
/// # Errors
/// No port can be opened, or the scenario cannot be played.
pub async fn play(scenario: &Scenario) -> Result<Vec<Answer>, Failure> {
    let account = Account::new(Settings {
        region: REGION.to_owned(),
        ..Settings::default()
    })
    .shared();
    let open = async |router| Door::open(router, 0).await.map_err(Failure::Door);
    let ec2 = open(ec2::router(account.clone())).await?;
    let groups = open(auto_scaling::router(account.clone())).await?;
    let stage = Stage::new(&ec2.endpoint(), &groups.endpoint(), Some(account));
    Ok(scenario.play(stage).await?)
}
