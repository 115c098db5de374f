//! Who calls, what each call needs of IAM, and whether the caller's role gives it.
//!
//! Signatures are not checked: a caller is the access key identifier that its signature names. A
//! function's process has one of its own, and the role that `infra/template.yaml` gives it is
//! enforced; any other caller is the account's administrator. What every caller asked for is
//! remembered, so that a test can hold a role against it.

pub mod condition;
pub mod demand;
pub mod dynamodb;
pub mod ec2;
pub mod resolve;
pub mod role;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

pub use condition::Condition;
pub use demand::Demand;
pub use resolve::Place;
pub use role::{Effect, Role, RoleError, Statement};

/// The access key identifier of a function's process.
#[must_use]
pub fn access_key(function: &str) -> String {
    format!("function-{function}")
}

/// A demand that the caller's role does not give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "User: arn:aws:sts::{account_id}:assumed-role/{role} is not authorized to perform: {action} on resource: {resource}"
)]
pub struct Refusal {
    /// Account of the role.
    pub account_id: String,
    /// The function whose role it is.
    pub role: String,
    /// The action.
    pub action: String,
    /// The resource, an ARN or `*`.
    pub resource: String,
}

/// Stands at the doors of EC2, Auto Scaling and DynamoDB. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    account_id: String,
    /// By access key identifier.
    roles: BTreeMap<String, Role>,
    /// By access key identifier: requests that needed an action.
    seen: BTreeMap<String, BTreeMap<String, u64>>,
    /// By access key identifier.
    refused: BTreeMap<String, Vec<Refusal>>,
    /// By access key identifier: statement and pattern.
    leading_keys: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Gate {
    /// A gate to this account, at which nobody has a role yet.
    #[must_use]
    pub fn new(account_id: &str) -> Self {
        let gate = Self::default();
        gate.lock().account_id = account_id.to_owned();
        gate
    }

    /// From now on calls under this access key have this role and no more.
    pub fn give_role(&self, access_key: &str, role: Role) {
        self.lock().roles.insert(access_key.to_owned(), role);
    }

    /// The function that has this access key.
    #[must_use]
    pub fn function(&self, access_key: &str) -> Option<String> {
        let state = self.lock();
        state.roles.get(access_key).map(|r| r.function.clone())
    }

    /// The actions that calls under this access key needed so far, refused ones included.
    #[must_use]
    pub fn seen(&self, access_key: &str) -> BTreeSet<String> {
        let state = self.lock();
        let seen = state.seen.get(access_key).into_iter();
        seen.flat_map(|seen| seen.keys().cloned()).collect()
    }

    /// How many requests under this access key have needed each action so far.
    #[must_use]
    pub fn requests(&self, access_key: &str) -> BTreeMap<String, u64> {
        let state = self.lock();
        state.seen.get(access_key).cloned().unwrap_or_default()
    }

    /// The calls under this access key that its role did not allow, in their order.
    #[must_use]
    pub fn refused(&self, access_key: &str) -> Vec<Refusal> {
        let state = self.lock();
        state.refused.get(access_key).cloned().unwrap_or_default()
    }

    /// The patterns over partition keys, each with the Sid of its statement, that have let in a
    /// call under this access key.
    #[must_use]
    pub fn leading_keys_used(&self, access_key: &str) -> BTreeSet<(String, String)> {
        let state = self.lock();
        let used = state.leading_keys.get(access_key);
        used.cloned().unwrap_or_default()
    }

    /// Remembers what a call needs, and refuses it where the caller's role does not give it all.
    ///
    /// # Errors
    /// [`Refusal`] names the first demand that is not met.
    pub fn admit(&self, access_key: &str, demands: &[Demand]) -> Result<(), Refusal> {
        let mut state = self.lock();
        let seen = state.seen.entry(access_key.to_owned()).or_default();
        let actions: BTreeSet<&String> = demands.iter().map(|demand| &demand.action).collect();
        for action in actions {
            match seen.get_mut(action) {
                Some(requests) => *requests += 1,
                None => {
                    seen.insert(action.clone(), 1);
                }
            }
        }
        let State {
            account_id,
            roles,
            refused,
            leading_keys,
            ..
        } = &mut *state;
        let Some(role) = roles.get(access_key) else {
            return Ok(());
        };
        let Some(demand) = demands.iter().find(|demand| !role.allows(demand)) else {
            let used = demands.iter().flat_map(|d| role.leading_keys_used(d));
            let all = leading_keys.entry(access_key.to_owned()).or_default();
            all.extend(used);
            return Ok(());
        };
        let refusal = Refusal {
            account_id: account_id.clone(),
            role: role.function.clone(),
            action: demand.action.clone(),
            resource: demand.resource.clone().unwrap_or_else(|| "*".to_owned()),
        };
        let all = refused.entry(access_key.to_owned()).or_default();
        all.push(refusal.clone());
        Err(refusal)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access key identifier that a request's signature (version 4) names; empty without one.
#[must_use]
pub fn caller(headers: &HeaderMap) -> &str {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default()
}

/// IAM's wildcards: `*` is any run of characters, `?` is one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            // Back to the last star, which takes one character more.
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_access_key_that_the_signature_names() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller(&headers), "");
        let signature = "AWS4-HMAC-SHA256 Credential=function-a/20261123/eu-central-1/ec2/\
                         aws4_request, SignedHeaders=host, Signature=00";
        headers.insert(AUTHORIZATION, signature.parse().unwrap());
        assert_eq!(caller(&headers), "function-a");
    }

    #[test]
    fn wildcards_are_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("ec2:Describe*", "ec2:DescribeVolumes", true),
            ("ec2:Describe*", "ec2:DeleteVolume", false),
            ("arn:*:snapshot/*", "arn:aws:ec2:r::snapshot/snap-1", true),
            ("arn:*:snapshot/*", "arn:aws:ec2:r::image/ami-1", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "a-b-c", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_a_caller_without_a_role_asks_for_is_remembered_and_let_in() {
        let gate = Gate::new("111122223333");
        let demand = Demand::new("ec2:DeleteSnapshot", "arn:aws:ec2:r::snapshot/snap-1");
        assert_eq!(gate.admit("operator", &[demand]), Ok(()));
        let seen: Vec<String> = gate.seen("operator").into_iter().collect();
        assert_eq!(seen, ["ec2:DeleteSnapshot"]);
        assert!(gate.seen("somebody-else").is_empty());
    }

    #[test]
    fn a_role_that_is_given_nothing_is_refused_everything_by_name() {
        let gate = Gate::new("111122223333");
        gate.give_role("function-a", Role::nothing("a"));
        let demand = Demand::new("ec2:DeleteSnapshot", "arn:aws:ec2:r::snapshot/snap-1");
        let refusal = gate.admit("function-a", &[demand]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "User: arn:aws:sts::111122223333:assumed-role/a is not authorized to perform: \
             ec2:DeleteSnapshot on resource: arn:aws:ec2:r::snapshot/snap-1"
        );
        assert!(gate.seen("function-a").contains("ec2:DeleteSnapshot"));
        assert_eq!(gate.refused("function-a"), [refusal]);
        assert!(gate.refused("function-b").is_empty());
    }
}
