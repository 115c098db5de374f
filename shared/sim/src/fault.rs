//! Faults that a test or a demo asks for, each for the next so many matching calls.

use crate::error::ApiError;
use crate::request::Request;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is refused with this error and nothing is done.
    Error(ApiError),
    /// The call is carried out, and the connection breaks before the answer.
    AppliedButResponseLost,
    /// The call is carried out and never answered.
    AppliedThenHang,
    /// A list fails at this page, counted from 1.
    FailPage(u32, ApiError),
    /// A list gives an empty page with a token, as EC2 may at any time.
    EmptyPage,
    /// Somebody else's request comes between the call and whatever its caller does next.
    FollowedBy(Box<Request>),
}

/// A fault and the calls it meets. Rules are tried in the order they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// The API operation, such as `CreateSnapshots`; `*` for any.
    pub operation: String,
    /// Only calls that name this resource.
    pub resource: Option<String>,
    /// Matching calls that pass before the fault begins.
    pub skip: u32,
    /// Matching calls that it then meets.
    pub count: u32,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// The next call of an operation goes wrong.
    pub fn next(operation: impl Into<String>, fault: Fault) -> Self {
        Self {
            operation: operation.into(),
            resource: None,
            skip: 0,
            count: 1,
            fault,
        }
    }

    /// The next `count` calls.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Only after `skip` matching calls have passed.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Only calls that name this resource.
    #[must_use]
    pub fn on(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }
}

/// The rules still in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<FaultRule>,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that meets this call, if any; it is used up by one. `page` is the number of the
    /// page for a list, none for other calls.
    pub(crate) fn take(
        &mut self,
        operation: &str,
        resources: &[String],
        page: Option<u32>,
    ) -> Option<Fault> {
        let mut met = None;
        for rule in &mut self.rules {
            let matches = rule.count > 0
                && (rule.operation == "*" || rule.operation == operation)
                && rule.resource.as_ref().is_none_or(|r| resources.contains(r))
                && match rule.fault {
                    Fault::FailPage(wanted, _) => page == Some(wanted),
                    Fault::EmptyPage => page.is_some(),
                    Fault::Error(_)
                    | Fault::AppliedButResponseLost
                    | Fault::AppliedThenHang
                    | Fault::FollowedBy(_) => true,
                };
            if !matches {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.count -= 1;
            met = Some(rule.fault.clone());
            break;
        }
        self.rules.retain(|rule| rule.count > 0);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_then_meets_its_count_then_is_used_up() {
        let mut faults = Faults::default();
        let fault = Fault::Error(ApiError::throttled());
        faults.add(
            FaultRule::next("DeleteSnapshot", fault.clone())
                .after(1)
                .times(2),
        );
        let met: Vec<bool> = (0..4)
            .map(|_| faults.take("DeleteSnapshot", &[], None).is_some())
            .collect();
        assert_eq!(met, [false, true, true, false]);
        faults.add(FaultRule::next("DeleteSnapshot", fault).on("snap-1"));
        assert_eq!(
            faults.take("DeleteSnapshot", &["snap-2".into()], None),
            None
        );
        assert!(
            faults
                .take("DeleteSnapshot", &["snap-1".into()], None)
                .is_some()
        );
    }
}
