//! The simulated account's column of the table, without moto.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_witness::scenario::all;
use holdfast_witness::simulated;

#[tokio::test]
async fn the_simulated_account_answers_as_the_table_says() {
    let mut wrong = Vec::new();
    for scenario in all() {
        let answers = simulated::play(scenario)
            .await
            .unwrap_or_else(|failure| panic!("{}: {failure}", scenario.name));
        for line in scenario.expected {
            let heard = answers
                .iter()
                .find(|a| a.asked == line.asked)
                .map_or("not reached", |a| a.answer.as_str());
            if heard != line.simulated {
                wrong.push(format!(
                    "{}: {}: {heard}, not {}",
                    scenario.name, line.asked, line.simulated
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_scenario_has_a_name_of_its_own_and_every_difference_a_reason() {
    let scenarios = all();
    let names: BTreeSet<&str> = scenarios.iter().map(|s| s.name).collect();
    assert_eq!(names.len(), scenarios.len());
    for scenario in scenarios {
        assert!(!scenario.expected.is_empty(), "{}", scenario.name);
        for line in scenario.expected {
            if let Some(difference) = line.difference {
                assert!(
                    difference.because.len() > 20,
                    "{}: {}",
                    scenario.name,
                    line.asked
                );
            }
        }
    }
}
