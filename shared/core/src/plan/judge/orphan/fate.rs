//! What is left of one AMI goes together or not at all.

use std::collections::HashMap;

use super::FormerImage;
use crate::plan::judge::{Decision, Judged};
use crate::report::{Reason, ReasonCode};

/// Holds all that is left of an AMI that somebody else deregistered when one part of it is held:
/// half an AMI restores nothing.
pub fn share_fate(verdicts: &mut impl Judged) {
    let mut held: HashMap<FormerImage, (String, Reason)> = HashMap::new();
    for place in 0..verdicts.count() {
        let (Some(former), Decision::Hold(reasons)) =
            (verdicts.orphan_of(place), verdicts.decision(place))
        else {
            continue;
        };
        let why = reasons.iter().find(|r| r.code != ReasonCode::Orphaned);
        let Some(why) = why.or(reasons.first()) else {
            continue;
        };
        let id = verdicts.id(place);
        let first = held
            .get(former)
            .is_none_or(|(other, _)| id.as_ref() < other.as_str());
        if first {
            held.insert(former.clone(), (id.into_owned(), why.clone()));
        }
    }
    if held.is_empty() {
        return;
    }
    for place in verdicts.condemned() {
        let former = verdicts.orphan_of(place);
        let Some((member, why)) = former.and_then(|former| held.get(former)) else {
            continue;
        };
        let words = why.detail.as_deref().unwrap_or(why.code.as_str());
        let start = [verdicts.id(place).into_owned(), member.clone()];
        let reason = Reason {
            code: why.code,
            detail: Some(format!("{member} of the same AMI: {words}")),
            path: start
                .into_iter()
                .chain(why.path.iter().skip(1).cloned())
                .collect(),
        };
        verdicts.hold(place, reason);
    }
}
