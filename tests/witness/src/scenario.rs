//! Scenarios: what is asked, how, and what both sides are expected to answer.

use std::pin::Pin;

use crate::expectation::Expected;
use crate::scenarios;
use crate::stage::{Answer, Stage, Stop};

/// The calls of a scenario.
type Play =
    for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>>;

/// One scenario.
pub struct Scenario {
    /// Unique, of letters, digits and hyphens.
    pub name: &'static str,
    /// What it asks, in a sentence.
    pub asks: &'static str,
    /// What is expected of both sides.
    pub expected: &'static [Expected],
    pub(crate) play: Play,
}

impl Scenario {
    /// Plays it and gives what was heard.
    ///
    /// # Errors
    /// The stage could not be set, or no answer came.
    pub async fn play(&self, mut stage: Stage) -> Result<Vec<Answer>, Stop> {
        (self.play)(&mut stage).await?;
        Ok(stage.into_answers())
    }
}

/// A side on which a scenario could not be played.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The simulated account's door could not be opened.
    #[error("cannot listen on the loopback interface: {0}")]
    Door(#[source] std::io::Error),
    /// moto could not be emptied.
    #[error(transparent)]
    Moto(#[from] crate::moto::MotoError),
    /// The scenario stopped.
    #[error(transparent)]
    Stop(#[from] Stop),
}

/// Every scenario, in the order of the table.
#[must_use]
pub fn all() -> Vec<&'static Scenario> {
    scenarios::GROUPS.iter().copied().flatten().collect()
}
