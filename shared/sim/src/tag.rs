//! Rules about tags.

use holdfast_core::inventory::Tags;

use crate::error::ApiError;
use crate::request::TagSpecification;

/// User tags that one resource may carry (EC2 User Guide, "Tag restrictions"). `aws:` tags do not
/// count.
pub(crate) const MAX_USER_TAGS: usize = 50;

/// Whether a key is reserved for AWS; the check ignores case (EC2 User Guide, "Tag restrictions").
pub(crate) fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("aws:"))
}

/// Whether tags say that AWS Backup manages what carries them: it tags what it makes with
/// `aws:backup:source-resource` (aws-nuke issue #364).
pub(crate) fn is_of_backup(tags: &Tags) -> bool {
    tags.keys().any(|key| key.starts_with("aws:backup:"))
}

/// Takes the tags that a request gives, refusing what EC2 refuses.
pub(crate) fn checked(pairs: &[(String, String)]) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if key.is_empty() {
            return Err(ApiError::invalid_value("Tag key cannot be empty."));
        }
        if is_reserved(key) {
            return Err(ApiError::invalid_value(
                "Tag keys starting with 'aws:' are reserved for internal use",
            ));
        }
        // 128 and 256 characters: EC2 User Guide, "Tag restrictions".
        if key.chars().count() > 128 {
            return Err(ApiError::invalid_value(
                "Tag key exceeds the maximum length of 128 characters",
            ));
        }
        if value.chars().count() > 256 {
            return Err(ApiError::invalid_value(
                "Tag value exceeds the maximum length of 256 characters",
            ));
        }
        if tags.insert(key.clone(), value.clone()).is_some() {
            return Err(ApiError::invalid_value(format!(
                "Duplicate tag keys found. Key: {key}"
            )));
        }
    }
    within_limit(&tags)?;
    Ok(tags)
}

/// Refuses more user tags than a resource may carry.
pub(crate) fn within_limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|k| !is_reserved(k)).count() > MAX_USER_TAGS {
        return Err(ApiError::new(
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ));
    }
    Ok(())
}

/// The tags that a request's specifications give to resources of type `wanted`.
///
/// Any type outside `allowed` makes the request fail `[B]`.
pub(crate) fn specified(
    specifications: &[TagSpecification],
    wanted: &str,
    allowed: &[&str],
) -> Result<Tags, ApiError> {
    let mut pairs = Vec::new();
    for specification in specifications {
        if !allowed.contains(&specification.resource_type.as_str()) {
            return Err(ApiError::invalid_value(format!(
                "'{}' is not a valid taggable resource type for this operation.",
                specification.resource_type
            )));
        }
        if specification.resource_type == wanted {
            pairs.extend(specification.tags.iter().cloned());
        }
    }
    checked(&pairs)
}

/// Adds the user tags of a source to `own`, as `CopyTagsFromSource` does.
///
/// Assumed: a key in both is refused as a duplicate. `aws:` tags are not copied.
pub(crate) fn with_copied(own: &Tags, source: &Tags) -> Result<Tags, ApiError> {
    let mut all = own.clone();
    for (key, value) in source.iter().filter(|(k, _)| !is_reserved(k)) {
        if all.insert(key.clone(), value.clone()).is_some() {
            return Err(ApiError::invalid_value(format!(
                "Duplicate tag keys found. Key: {key}"
            )));
        }
    }
    within_limit(&all)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(n: usize) -> Vec<(String, String)> {
        (0..n)
            .map(|i| (format!("k{i:02}"), String::new()))
            .collect()
    }

    #[test]
    fn fifty_tags_pass_and_fifty_one_do_not() {
        assert_eq!(checked(&pairs(50)).unwrap().len(), 50);
        assert_eq!(checked(&pairs(51)).unwrap_err().code, "TagLimitExceeded");
    }

    #[test]
    fn reserved_empty_and_repeated_keys_are_refused() {
        for bad in [
            vec![("aws:dlm:x".to_owned(), String::new())],
            vec![("AWS:x".to_owned(), String::new())],
            vec![(String::new(), String::new())],
            vec![
                ("a".to_owned(), String::new()),
                ("a".to_owned(), String::new()),
            ],
        ] {
            assert_eq!(checked(&bad).unwrap_err().code, "InvalidParameterValue");
        }
    }

    #[test]
    fn copied_tags_leave_reserved_ones_behind_and_count_towards_the_limit() {
        let own = checked(&pairs(49)).unwrap();
        let mut source = Tags::from([("aws:x".to_owned(), "1".to_owned())]);
        source.insert("z1".to_owned(), "v".to_owned());
        let all = with_copied(&own, &source).unwrap();
        assert_eq!(all.len(), 50);
        assert!(!all.contains_key("aws:x"));
        source.insert("z2".to_owned(), "v".to_owned());
        assert_eq!(
            with_copied(&own, &source).unwrap_err().code,
            "TagLimitExceeded"
        );
    }
}
