//! The policy files of the benchmarks.

/// Snapshots that are kept of each volume.
pub const SNAPSHOTS_LAST: usize = crate::fleet::SLOTS - 1;

/// A policy file that keeps all but one snapshot of each volume, and `images_last` of the images of
/// each machine. No source of evidence is declared unused.
#[must_use]
pub fn file(images_last: usize) -> String {
    let policy = |name: &str, protect: &str, last: usize| {
        format!(
            "  - name: {name}\n    protect: {protect}\n    select:\n      instances: {{ tags: {{ Environment: \"*\" }} }}\n    \
             schedule: \"cron(0 3 * * ? *)\"\n    retain: {{ last: {last} }}\n"
        )
    };
    format!(
        "version: 1\npolicies:\n{}{}{}",
        policy("critical", "volumes", SNAPSHOTS_LAST),
        policy("nightly", "volumes", SNAPSHOTS_LAST),
        policy("golden", "instances", images_last)
    )
}

#[cfg(test)]
mod tests {
    use holdfast_core::policy::PolicyFile;

    #[test]
    fn the_policies_are_valid() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let file = PolicyFile::parse("bench.yaml", &super::file(20), now).unwrap();
        assert_eq!(file.policies.len(), 3);
    }
}
