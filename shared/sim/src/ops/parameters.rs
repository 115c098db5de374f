//! Parameters of Systems Manager in the place of an image's identifier.

use crate::account::Account;
use crate::error::ApiError;

const ALIAS: &str = "resolve:ssm:";

impl Account {
    /// The image that `text` names: itself, or what the parameter holds for `resolve:ssm:NAME`,
    /// `resolve:ssm:NAME:VERSION` and `resolve:ssm:ARN` (EC2 User Guide, "Use a Systems Manager
    /// parameter instead of an AMI ID in a launch template"). Labels are not modelled; the code
    /// for what cannot be resolved is assumed.
    pub(super) fn resolved_image(&self, text: &str) -> Result<String, ApiError> {
        let Some(name) = text.strip_prefix(ALIAS) else {
            return Ok(text.to_owned());
        };
        let name = match name.split_once(":parameter/") {
            Some((arn, rest)) if arn.starts_with("arn:") => rest,
            _ => name,
        };
        let (name, version) = match name.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        // An ARN does not show whether the name begins with a slash.
        self.parameters
            .get(name)
            .or_else(|| self.parameters.get(&format!("/{name}")))
            .and_then(|parameter| parameter.value(version))
            .map(str::to_owned)
            .ok_or_else(|| {
                ApiError::invalid_value(format!("The parameter of '{text}' cannot be resolved."))
            })
    }
}
