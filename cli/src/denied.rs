//! What the caller's credentials lacked while a command ran, told at its end: what is denied holds, and
//! the command goes on.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast::permissions::actions_of;

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
    if let Some(words) = words(&operations, told.unwrap_or_default()) {
        note(&words);
    }
}

fn words(operations: &BTreeSet<String>, told: &str) -> Option<String> {
    let mut actions: Vec<&str> = Vec::new();
    for operation in operations {
        let known = actions_of(operation).iter();
        actions.extend(known.filter(|action| !told.contains(**action)));
    }
    actions.sort_unstable();
    actions.dedup();
    (!actions.is_empty()).then(|| lacking(&actions, "*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(operations: &[&str], told: &str) -> Option<String> {
        words(&operations.iter().map(ToString::to_string).collect(), told)
    }

    #[test]
    fn each_action_that_was_lacking_is_in_one_statement_once_and_what_was_told_is_not() {
        let statement = "the credentials lack ec2:CreateTags, ec2:CreateVolume, ec2:DescribeFleets: \
                         add {\"Effect\": \"Allow\", \"Action\": [\"ec2:CreateTags\", \
                         \"ec2:CreateVolume\", \"ec2:DescribeFleets\"], \"Resource\": \"*\"} to the \
                         caller's policy, and look for a statement that denies it";
        let all = of(&["DescribeFleets", "CreateVolume", "CreateTags"], "");
        assert_eq!(all.as_deref(), Some(statement));
        assert_eq!(of(&["Scan"], "the credentials lack dynamodb:Scan"), None);
        assert_eq!(
            of(&["GetCallerIdentity"], ""),
            None,
            "no action is known of it"
        );
        assert_eq!(of(&[], ""), None);
    }
}
