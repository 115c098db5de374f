//! Which references hold a backup: the words of a policy against old launch-template versions that
//! pin AMIs for ever.

use super::field::{At, Fields, Findings};
use super::node::Value;
use super::period::Period;

/// Which versions of a launch template hold what they name.
///
/// A version that an Auto Scaling group, a fleet or a Spot request launches holds whatever this
/// says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateVersions {
    /// Every version.
    #[default]
    All,
    /// The default version and the one of the highest number.
    DefaultAndLatest,
    /// This many of the highest numbers, and the default version.
    Newest(u32),
}

/// The most versions that a launch template can have (EC2 User Guide, "Launch template
/// restrictions").
const MAX_VERSIONS: u32 = 10_000;

/// What was read of these words.
pub(super) struct Holding {
    pub versions: TemplateVersions,
    pub stopped: bool,
    pub terminated: bool,
    pub recently_launched: Option<Period>,
}

/// Reads them, or notes what is wrong.
pub(super) fn holding(fields: &Fields<'_>, found: &mut Findings) -> Option<Holding> {
    let template = fields
        .get("launch_template_versions")
        .map_or(Some(TemplateVersions::All), |at| versions(at, found));
    let mut flag = |key: &str, default: bool| {
        fields
            .get(key)
            .map_or(Some(default), |at| at.boolean(found))
    };
    let stopped = flag("stopped_instances_hold", true);
    let terminated = flag("terminated_instances_hold", false);
    let recently = fields.get("recently_launched").map_or(Some(None), |at| {
        let period = at.period_or_zero(found)?;
        Some((!period.is_zero()).then_some(period))
    });
    Some(Holding {
        versions: template?,
        stopped: stopped?,
        terminated: terminated?,
        recently_launched: recently?,
    })
}

fn versions(at: &At<'_>, found: &mut Findings) -> Option<TemplateVersions> {
    if matches!(at.node.value, Value::Text(_)) {
        let values = [
            ("all", TemplateVersions::All),
            ("default-and-latest", TemplateVersions::DefaultAndLatest),
        ];
        return at.choice(found, &values);
    }
    let expected = "all, default-and-latest or { newest: N }";
    let fields = at.fields(found, &["newest"], expected)?;
    let newest = fields.require(found, "newest", "{ newest: N }")?;
    let count = newest.integer(found, 1, MAX_VERSIONS)?;
    Some(TemplateVersions::Newest(count))
}
