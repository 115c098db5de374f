//! What the caller's credentials lacked while a command ran, told at its end: what is denied holds, and
//! the command goes on.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast::permissions::actions_of;
use holdfast::settings;

use crate::failure::lacking;
use crate::output::note;

static DENIED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn denied() -> MutexGuard<'static, BTreeSet<String>> {
    DENIED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts down that a call was denied.
pub fn put_down(operation: &str) {
    denied().insert(operation.to_owned());
}

/// Says what was lacking and `told` does not say.
pub fn tell(told: Option<&str>) {
    let operations = std::mem::take(&mut *denied());
    let table = settings::table().unwrap_or_else(|_| "*".to_owned());
    for words in words(&operations, told.unwrap_or_default(), &table) {
        note(&words);
    }
}

/// A statement for the table's actions, and one for the others.
fn words(operations: &BTreeSet<String>, told: &str, table: &str) -> Vec<String> {
    let is_of_action = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let told: BTreeSet<&str> = told.split(|c| !is_of_action(c)).collect();
    let lacked = operations
        .iter()
        .flat_map(|operation| actions_of(operation));
    let lacked: BTreeSet<&str> = lacked.copied().filter(|a| !told.contains(a)).collect();
    let (of_table, others): (Vec<&str>, Vec<&str>) = lacked
        .into_iter()
        .partition(|action| action.starts_with("dynamodb:"));
    let table = format!("arn:aws:dynamodb:*:*:table/{table}");
    let statements = [(others, "*"), (of_table, table.as_str())];
    let statements = statements.into_iter().filter(|(a, _)| !a.is_empty());
    statements
        .map(|(a, resource)| lacking(&a, resource))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(operations: &[&str], told: &str) -> Vec<String> {
        let operations = operations.iter().map(ToString::to_string).collect();
        words(&operations, told, "backups")
    }

    #[test]
    fn each_action_that_was_lacking_is_in_one_statement_once_and_what_was_told_is_not() {
        let statement = "the credentials lack ec2:CreateTags, ec2:CreateVolume, ec2:DescribeFleets: \
                         add {\"Effect\": \"Allow\", \"Action\": [\"ec2:CreateTags\", \
                         \"ec2:CreateVolume\", \"ec2:DescribeFleets\"], \"Resource\": \"*\"} to the \
                         caller's policy, and look for a statement that denies it";
        let all = of(&["DescribeFleets", "CreateVolume", "CreateTags"], "");
        assert_eq!(all, [statement]);
        let none: [&str; 0] = [];
        assert_eq!(of(&["Scan"], "the credentials lack dynamodb:Scan, x"), none);
        assert_eq!(of(&["CreateTags"], "lack ec2:CreateTagsOnly").len(), 1);
        assert_eq!(
            of(&["GetCallerIdentity"], ""),
            none,
            "no action is known of it"
        );
        assert_eq!(of(&[], ""), none);
    }

    #[test]
    fn what_is_lacking_for_the_table_is_allowed_for_the_table_alone() {
        let both = of(&["Scan", "DescribeFleets"], "");
        assert!(
            both[0].contains("\"ec2:DescribeFleets\", \"Resource\": \"*\"}"),
            "{both:?}"
        );
        let table = "\"dynamodb:Scan\", \"Resource\": \"arn:aws:dynamodb:*:*:table/backups\"}";
        assert!(both[1].contains(table), "{both:?}");
    }
}
