//! From the text of a policy file to checked policies, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::check::{Checked, policy};
use super::error::PolicyErrors;
use super::field::{At, Findings};
use super::node::{Value, load};
use super::prices::{Prices, prices};
use super::require::{Requirement, require};
use super::{Policy, PolicyFile};

/// The one version of the format.
const VERSION: u32 = 1;

const FILE_KEYS: [&str; 4] = ["version", "policies", "require", "prices"];

impl PolicyFile {
    /// Reads and checks a policy file.
    ///
    /// `file_name` only appears in errors. `now` decides whether a schedule still has a slot.
    ///
    /// # Errors
    ///
    /// When the text is no YAML document, the one place where reading it failed; else
    /// everything in it that is wrong, in the order of its lines.
    pub fn parse(file_name: &str, text: &str, now: Timestamp) -> Result<Self, PolicyErrors> {
        let mut found = Findings::new(file_name);
        let (policies, require, prices) = read(text, now, &mut found);
        let errors = found.into_errors();
        if !errors.is_empty() {
            return Err(PolicyErrors { errors });
        }
        Ok(Self {
            policies,
            require,
            prices,
            sha256: sha256(text.as_bytes()),
        })
    }
}

fn read(
    text: &str,
    now: Timestamp,
    found: &mut Findings,
) -> (Vec<Policy>, Vec<Requirement>, Prices) {
    let nothing = (Vec::new(), Vec::new(), Prices::default());
    let root = match load(text) {
        Ok(root) => root,
        Err(error) => {
            found.add(error.line, "file", error.message);
            return nothing;
        }
    };
    if matches!(root.value, Value::Null) {
        let message = "the file is empty; write `version: 1` and a list `policies`";
        found.add(1, "file", message);
        return nothing;
    }
    let at = At::root(&root);
    if !matches!(root.value, Value::Map(_)) {
        let message = format!(
            "the file is {}; write a mapping with `version: 1` and a list `policies`",
            root.value.kind()
        );
        found.add(at.line, "file", message);
        return nothing;
    }
    let Some(fields) = at.fields(found, &FILE_KEYS, "a mapping") else {
        return nothing;
    };
    if let Some(version) = fields.require(found, "version", "version: 1") {
        match version.node.value {
            Value::Integer(number) if number == i128::from(VERSION) => {}
            Value::Integer(number) => version.error(
                found,
                format!("version {number} is not known; this release reads version: 1"),
            ),
            _ => version.wrong(found, "version: 1 without quotes"),
        }
    }
    let checked: Vec<Checked> = fields
        .require(found, "policies", "a list of policies")
        .and_then(|list| {
            let items = list.list(found, "a list of policies")?;
            if items.is_empty() {
                list.error(found, "is empty; write at least one policy");
            }
            Some(items)
        })
        .unwrap_or_default()
        .iter()
        .map(|item| policy(item, now, found))
        .collect();
    check_names(&checked, found);
    let require = fields.get("require").map(|at| require(at, found));
    let policies = checked.into_iter().filter_map(|c| c.policy).collect();
    let prices = fields.get("prices").map(|at| prices(at, found));
    (
        policies,
        require.unwrap_or_default(),
        prices.unwrap_or_default(),
    )
}

/// Names and earlier names belong to one policy each.
fn check_names(checked: &[Checked], found: &mut Findings) {
    let mut owners: BTreeMap<&str, u64> = BTreeMap::new();
    for name in checked.iter().filter_map(|c| c.name.as_ref()) {
        if let Some(line) = owners.get(name.text.as_str()) {
            let message = format!(
                "the name `{}` is taken by the policy in line {line}; names are unique",
                name.text
            );
            found.add(name.line, &name.path, message);
        } else {
            owners.insert(&name.text, name.line);
        }
    }
    let mut claimed: BTreeMap<&str, u64> = BTreeMap::new();
    for policy in checked {
        let own = policy.name.as_ref().map(|name| name.text.as_str());
        for earlier in &policy.formerly {
            let text = earlier.text.as_str();
            let message = if own == Some(text) {
                format!("`{text}` is this policy's own name; write only names it had earlier")
            } else if let Some(line) = owners.get(text) {
                format!(
                    "`{text}` is the name of the policy in line {line}, whose backups stay its own"
                )
            } else if let Some(line) = claimed.get(text) {
                format!("`{text}` is claimed in line {line} already; one policy takes it over")
            } else {
                claimed.insert(text, earlier.line);
                continue;
            };
            found.add(earlier.line, &earlier.path, message);
        }
    }
}

/// SHA-256 as lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
