//! A function's role as the template declares it, and its verdict on a demand.
//!
//! What cannot be understood (an operator, a condition key that no demand carries, an intrinsic
//! function) is an error and never ignored: an ignored condition would widen the role. Only of
//! services that the local AWS does not have are statements read without that care.

use serde_json::Value;

use super::condition::Condition;
use super::demand::Demand;
use super::wildcard;

/// A role cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role of {function}: {place}: {problem}")]
pub struct RoleError {
    /// The function.
    pub function: String,
    /// The statement, by its Sid or number.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// Whether a statement gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It gives.
    Allow,
    /// It takes, whatever else gives.
    Deny,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name; empty without one.
    pub sid: String,
    /// Whether it gives or takes.
    pub effect: Effect,
    /// Actions, with wildcards.
    pub actions: Vec<String>,
    /// Resources, with wildcards; every intrinsic function resolved.
    pub resources: Vec<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
}

impl Statement {
    /// Whether one of its actions is this one.
    #[must_use]
    pub fn names(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let mut patterns = self.actions.iter().map(|a| a.to_ascii_lowercase());
        patterns.any(|pattern| wildcard(&pattern, &action))
    }

    /// Its conditions on the partition keys of a table.
    pub fn leading_keys(&self) -> impl Iterator<Item = &Condition> {
        let conditions = self.conditions.iter();
        conditions.filter(|c| c.key == "dynamodb:LeadingKeys")
    }

    fn covers(&self, demand: &Demand, resource: &str) -> bool {
        self.names(&demand.action)
            && self.resources.iter().any(|r| wildcard(r, resource))
            && self.conditions.iter().all(|c| c.holds(&demand.context))
    }
}

/// What a function may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The function.
    pub function: String,
    /// Statements of its policies.
    pub statements: Vec<Statement>,
    /// Names of managed policies and of SAM's policy templates, which are not read.
    pub managed: Vec<String>,
}

impl Role {
    /// A role that may do nothing.
    pub fn nothing(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            statements: Vec::new(),
            managed: Vec::new(),
        }
    }

    /// Whether the role meets a demand: one statement allows it and none denies it.
    #[must_use]
    pub fn allows(&self, demand: &Demand) -> bool {
        let Some(resource) = &demand.resource else {
            return self.of(Effect::Allow).any(|s| s.names(&demand.action));
        };
        self.of(Effect::Allow).any(|s| s.covers(demand, resource))
            && !self.of(Effect::Deny).any(|s| s.covers(demand, resource))
    }

    /// Each pattern over partition keys that had a part in allowing a demand, with the Sid of its
    /// statement.
    pub(super) fn leading_keys_used(&self, demand: &Demand) -> Vec<(String, String)> {
        let resource = demand.resource.as_deref().unwrap_or_default();
        let covering = self
            .of(Effect::Allow)
            .filter(|s| s.covers(demand, resource));
        covering
            .flat_map(|s| s.leading_keys().map(move |condition| (s, condition)))
            .flat_map(|(s, condition)| {
                let patterns = condition.matched(&demand.context);
                patterns.map(|pattern| (s.sid.clone(), pattern.to_owned()))
            })
            .collect()
    }

    /// The statements of one effect.
    pub fn of(&self, effect: Effect) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(move |s| s.effect == effect)
    }

    /// Reads a function's policies; `resolve` turns intrinsic functions into text.
    pub(crate) fn read(
        function: &str,
        policies: &[Value],
        resolve: &dyn Fn(&Value) -> Result<String, String>,
    ) -> Result<Self, RoleError> {
        let mut role = Self::nothing(function);
        for policy in policies {
            // A policy template of SAM is an object with the template's name as its only key.
            let statements = match (policy, policy.get("Statement")) {
                (Value::String(name), _) => {
                    role.managed.push(name.clone());
                    continue;
                }
                (Value::Object(template), None) => {
                    role.managed.extend(template.keys().cloned());
                    continue;
                }
                (_, Some(statements)) => list(statements),
                (other, None) => {
                    return Err(RoleError {
                        function: function.to_owned(),
                        place: "Policies".to_owned(),
                        problem: format!("{other} is no policy"),
                    });
                }
            };
            for value in statements {
                let read = statement(value, resolve).map_err(|problem| RoleError {
                    function: function.to_owned(),
                    place: value["Sid"].as_str().map_or_else(
                        || format!("statement {}", role.statements.len() + 1),
                        str::to_owned,
                    ),
                    problem,
                })?;
                role.statements.push(read);
            }
        }
        Ok(role)
    }
}

/// A list, or a single value in its place.
pub(super) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

fn statement(
    value: &Value,
    resolve: &dyn Fn(&Value) -> Result<String, String>,
) -> Result<Statement, String> {
    for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !["Sid", "Effect", "Action", "Resource", "Condition"].contains(&key.as_str()) {
            return Err(format!("{key} is not understood"));
        }
    }
    let effect = match value["Effect"].as_str() {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        other => return Err(format!("Effect is {other:?}, neither Allow nor Deny")),
    };
    let actions: Vec<String> = list(&value["Action"])
        .into_iter()
        .map(|action| action.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or("Action is not text")?;
    let guarded = actions.iter().any(|a| is_guarded(a));
    let resources: Vec<String> = list(&value["Resource"])
        .into_iter()
        .map(|resource| match resolve(resource) {
            Err(_) if !guarded => Ok(resource.to_string()),
            resolved => resolved,
        })
        .collect::<Result<_, _>>()?;
    let resources: Vec<String> = match value["Resource"].get("Fn::Split") {
        Some(_) => resources
            .iter()
            .flat_map(|all| all.split(',').map(str::to_owned))
            .collect(),
        None => resources,
    };
    if actions.is_empty() || resources.is_empty() {
        return Err("Action or Resource is missing".to_owned());
    }
    let conditions = match conditions(&value["Condition"], resolve) {
        Err(_) if !guarded => Vec::new(),
        read => read?,
    };
    Ok(Statement {
        sid: value["Sid"].as_str().unwrap_or_default().to_owned(),
        effect,
        actions,
        resources,
        conditions,
    })
}

/// Services whose calls pass a gate here, or that EC2 calls for a caller.
const GUARDED: [&str; 5] = ["ec2", "autoscaling", "dynamodb", "ssm", "imagebuilder"];

fn is_guarded(action: &str) -> bool {
    let service = action.split(':').next().unwrap_or_default();
    GUARDED.iter().any(|s| wildcard(service, s))
}

fn conditions(
    value: &Value,
    resolve: &dyn Fn(&Value) -> Result<String, String>,
) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in value.as_object().into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let values = list(values)
                .into_iter()
                .map(resolve)
                .collect::<Result<_, _>>()?;
            conditions.push(Condition::parse(operator, key, values)?);
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SNAPSHOT: &str = "arn:aws:ec2:r::snapshot/snap-1";

    fn plain(value: &Value) -> Result<String, String> {
        value.as_str().map(str::to_owned).ok_or("not text".into())
    }

    fn role(statements: Value) -> Result<Role, RoleError> {
        Role::read("f", &[json!({ "Statement": statements })], &plain)
    }

    #[test]
    fn a_deny_wins_over_any_allow() {
        let role = role(json!([
            {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "ec2:DeleteTags", "Resource": "*",
             "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": "holdfast:*"}}},
        ]))
        .unwrap();
        let delete = Demand::new("ec2:DeleteTags", SNAPSHOT);
        assert!(role.allows(&delete.clone().naming(vec!["Name".into()])));
        let both = vec!["Name".into(), "holdfast:managed".into()];
        assert!(!role.allows(&delete.naming(both)));
    }

    #[test]
    fn a_tag_of_the_resource_opens_what_is_bound_to_it_and_nothing_else() {
        let role = role(json!({
            "Effect": "Allow", "Action": "ec2:DeleteSnapshot",
            "Resource": "arn:aws:ec2:r::snapshot/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/holdfast:managed": "true"}},
        }))
        .unwrap();
        let delete = |tag: Option<&str>| {
            let demand = Demand::new("ec2:DeleteSnapshot", SNAPSHOT);
            role.allows(&match tag {
                Some(value) => demand.with("aws:ResourceTag/holdfast:managed", value),
                None => demand,
            })
        };
        assert!(delete(Some("true")));
        assert!(!delete(Some("false")));
        assert!(!delete(None));
        assert!(!role.allows(&Demand::new("ec2:DeregisterImage", SNAPSHOT)));
        // Whether a snapshot that is gone was ours cannot be asked any more.
        assert!(role.allows(&Demand::on_nothing("ec2:DeleteSnapshot")));
        assert!(!role.allows(&Demand::on_nothing("ec2:DeregisterImage")));
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_the_statement() {
        for (statement, word) in [
            (
                json!({"Sid": "S", "Effect": "Allow", "NotAction": "ec2:A", "Resource": "*"}),
                "NotAction",
            ),
            (
                json!({"Sid": "S", "Effect": "allow", "Action": "ec2:A", "Resource": "*"}),
                "allow",
            ),
            (
                json!({"Sid": "S", "Effect": "Allow", "Action": "ec2:A"}),
                "Resource",
            ),
            (
                json!({"Sid": "S", "Effect": "Allow", "Action": "ec2:A", "Resource": {"Ref": "X"}}),
                "not text",
            ),
            (
                json!({"Sid": "S", "Effect": "Allow", "Action": "ec2:A", "Resource": "*",
                       "Condition": {"NumericLessThan": {"aws:TagKeys": "1"}}}),
                "NumericLessThan",
            ),
            (
                json!({"Sid": "S", "Effect": "Allow", "Action": "ec2:A", "Resource": "*",
                       "Condition": {"StringEquals": {"aws:Unheard": "1"}}}),
                "aws:Unheard",
            ),
        ] {
            let error = role(statement).unwrap_err();
            assert_eq!(error.place, "S");
            assert!(error.problem.contains(word), "{error}");
        }
    }

    #[test]
    fn statements_on_services_that_are_not_here_are_kept_by_name() {
        let role = role(json!({
            "Effect": "Allow", "Action": "sqs:SendMessage",
            "Resource": {"Fn::If": ["A", "b", "c"]},
            "Condition": {"NumericLessThan": {"aws:Unheard": "1"}},
        }))
        .unwrap();
        assert_eq!(role.statements[0].actions, ["sqs:SendMessage"]);
    }

    #[test]
    fn managed_policies_are_named_and_give_nothing_here() {
        let policies = [
            json!("AWSLambdaBasicExecutionRole"),
            json!({"SQSSendMessagePolicy": {}}),
        ];
        let role = Role::read("f", &policies, &plain).unwrap();
        let expected = ["AWSLambdaBasicExecutionRole", "SQSSendMessagePolicy"];
        assert_eq!(role.managed, expected);
        assert!(!role.allows(&Demand::new("ec2:DescribeVolumes", "*")));
    }
}
