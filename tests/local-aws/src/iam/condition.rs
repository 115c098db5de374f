//! Conditions of statements: the operators and keys that the project's roles have a use for
//! (IAM User Guide, "IAM JSON policy elements: Condition operators").

use std::collections::BTreeMap;

use super::wildcard;

/// Keys that demands carry, or would if the request had the tag; those with `/` go on with the
/// tag's own key.
const KEYS: [&str; 7] = [
    "aws:ResourceTag/",
    "ec2:ResourceTag/",
    "aws:RequestTag/",
    "aws:TagKeys",
    "ec2:CreateAction",
    "dynamodb:LeadingKeys",
    "aws:CalledVia",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    /// No set operator: the key has one value.
    One,
    Any,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Null,
}

/// One key of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The operator as written, such as `ForAnyValue:StringLike`.
    pub operator: String,
    /// The key, such as `aws:TagKeys`.
    pub key: String,
    /// What the key is compared with; one match is enough.
    pub values: Vec<String>,
    many: Many,
    test: Test,
    negated: bool,
    if_exists: bool,
}

impl Condition {
    /// Reads one key of one operator.
    pub(super) fn parse(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        let known = KEYS.iter().any(|known| match known.strip_suffix('/') {
            Some(_) => key.starts_with(known) && key.len() > known.len(),
            None => key == *known,
        });
        if !known {
            return Err(format!("condition key {key} is not understood"));
        }
        let (many, rest) = match operator.split_once(':') {
            None => (Many::One, operator),
            Some(("ForAnyValue", rest)) => (Many::Any, rest),
            Some(("ForAllValues", rest)) => (Many::All, rest),
            Some(_) => return Err(format!("operator {operator} is not understood")),
        };
        let (rest, if_exists) = match rest.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (test, negated) = match rest {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "Null" if many == Many::One && !if_exists => (Test::Null, false),
            _ => return Err(format!("operator {operator} is not understood")),
        };
        Ok(Self {
            operator: operator.to_owned(),
            key: key.to_owned(),
            values,
            many,
            test,
            negated,
            if_exists,
        })
    }

    /// Whether it holds for a demand's context.
    pub(super) fn holds(&self, context: &BTreeMap<String, Vec<String>>) -> bool {
        let present = context.get(&self.key).filter(|values| !values.is_empty());
        if self.test == Test::Null {
            let absent = if present.is_none() { "true" } else { "false" };
            return self.values.iter().any(|value| value == absent);
        }
        let Some(present) = present else {
            // An absent key satisfies `ForAllValues`, `…IfExists` and every negated operator.
            let negated = self.negated && self.many != Many::Any;
            return self.if_exists || negated || self.many == Many::All;
        };
        match self.many {
            Many::One | Many::All => present.iter().all(|value| self.satisfied(value)),
            Many::Any => present.iter().any(|value| self.satisfied(value)),
        }
    }

    /// Those of its values that match one of a demand's, for patterns that are not negated.
    pub(super) fn matched<'c>(
        &'c self,
        context: &BTreeMap<String, Vec<String>>,
    ) -> impl Iterator<Item = &'c str> {
        let present = context.get(&self.key).cloned().unwrap_or_default();
        let values = self.values.iter().map(String::as_str);
        values.filter(move |value| present.iter().any(|p| self.matches(value, p)))
    }

    fn satisfied(&self, present: &str) -> bool {
        let matches = self.values.iter().any(|value| self.matches(value, present));
        matches != self.negated
    }

    fn matches(&self, value: &str, present: &str) -> bool {
        match self.test {
            Test::Equals => value == present,
            Test::EqualsIgnoreCase => value.eq_ignore_ascii_case(present),
            Test::Like => wildcard(value, present),
            Test::Null => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, key: &str, values: &[&str], present: &[&str]) -> bool {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let condition = Condition::parse(operator, key, values).unwrap();
        let mut context = BTreeMap::new();
        if !present.is_empty() {
            let present = present.iter().map(|v| (*v).to_owned()).collect();
            context.insert(key.to_owned(), present);
        }
        condition.holds(&context)
    }

    #[test]
    fn operators_decide_as_the_user_guide_says() {
        let key = "aws:TagKeys";
        for (operator, values, present, expected) in [
            ("StringEquals", &["a", "b"][..], &["b"][..], true),
            ("StringEquals", &["a"], &["A"], false),
            ("StringEquals", &["a"], &[], false),
            ("StringEqualsIfExists", &["a"], &[], true),
            ("StringEqualsIgnoreCase", &["a"], &["A"], true),
            ("StringNotEquals", &["a"], &["b"], true),
            ("StringNotEquals", &["a"], &["a"], false),
            ("StringNotEquals", &["a"], &[], true),
            ("StringLike", &["holdfast:*"], &["holdfast:managed"], true),
            ("StringLike", &["holdfast:*"], &["Name"], false),
            ("StringNotLike", &["holdfast:*"], &["Name"], true),
            ("ForAnyValue:StringLike", &["h*"], &["x", "hy"], true),
            ("ForAnyValue:StringLike", &["h*"], &["x"], false),
            ("ForAnyValue:StringLike", &["h*"], &[], false),
            ("ForAllValues:StringLike", &["h*"], &["hx", "y"], false),
            ("ForAllValues:StringLike", &["h*"], &["hx", "hy"], true),
            ("ForAllValues:StringLike", &["h*"], &[], true),
            ("Null", &["true"], &[], true),
            ("Null", &["true"], &["a"], false),
            ("Null", &["false"], &["a"], true),
        ] {
            let held = holds(operator, key, values, present);
            assert_eq!(held, expected, "{operator} {values:?} on {present:?}");
        }
    }

    #[test]
    fn a_tag_key_is_part_of_the_condition_key() {
        let of = |key| Condition::parse("StringEquals", key, Vec::new()).is_ok();
        assert!(of("aws:ResourceTag/holdfast:managed"));
        assert!(of("aws:RequestTag/holdfast:managed"));
        assert!(!of("aws:ResourceTag/"));
        assert!(!of("aws:ResourceTag"));
        assert!(of("dynamodb:LeadingKeys"));
        assert!(!of("dynamodb:Attributes"));
    }
}
