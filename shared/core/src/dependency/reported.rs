//! What is read for single artifacts: EC2's own image references, and shares.

use super::{References, Words};
use crate::id::ImageId;
use crate::inventory::{ImageReference, Listing, ReferenceType, Share};
use crate::report::{Reason, ReasonCode};

impl References<'_> {
    /// What `DescribeImageReferences` lists of an image, as reasons with their paths.
    ///
    /// It lists instances in any state and templates without their versions. Where the policy's
    /// words let the stopped, the terminated or old versions go, and these lists are complete and
    /// show that the referrer is just that, it is no reason. One that they do not show holds.
    #[must_use]
    pub fn referring(
        &self,
        reported: &[ImageReference],
        image: &ImageId,
        words: &Words<'_>,
    ) -> Vec<Reason> {
        let of_image = reported
            .iter()
            .filter(|reference| reference.image == *image);
        let reasons = of_image.filter_map(|reference| self.refers(reference, words));
        super::tidied(reasons.collect())
    }

    fn refers(&self, reference: &ImageReference, words: &Words<'_>) -> Option<Reason> {
        let (arn, image) = (reference.arn.as_str(), reference.image.as_str());
        let id = arn.rsplit('/').next().unwrap_or(arn);
        let (code, detail, end) = match &reference.kind {
            ReferenceType::Instance => {
                if self.lets_instance_go(id, &reference.image, words) {
                    return None;
                }
                let detail = format!("{id} was launched from it");
                (ReasonCode::UsedByInstance, detail, id)
            }
            ReferenceType::LaunchTemplate => {
                if self.lets_template_go(id, &reference.image, words) {
                    return None;
                }
                let detail = format!("{id} names it");
                (ReasonCode::UsedByLaunchTemplate, detail, id)
            }
            ReferenceType::Parameter => {
                let detail = "an SSM parameter holds it".to_owned();
                (ReasonCode::UsedByParameter, detail, arn)
            }
            ReferenceType::Recipe => {
                let detail = "an Image Builder recipe builds on it".to_owned();
                (ReasonCode::UsedByImageRecipe, detail, arn)
            }
            ReferenceType::Unknown(kind) => {
                let detail = format!("EC2 reports that {arn} ({kind}) refers to it");
                (ReasonCode::EvidenceIncomplete, detail, arn)
            }
        };
        Some(Reason {
            code,
            detail: Some(detail),
            path: vec![image.to_owned(), end.to_owned()],
        })
    }

    fn lets_instance_go(&self, id: &str, image: &ImageId, words: &Words<'_>) -> bool {
        let launched = self.instances.get(image).into_iter().flatten();
        let mut of_id = launched.filter(|i| i.id.as_str() == id).peekable();
        self.inventory.instances.is_complete()
            && of_id.peek().is_some()
            && of_id.all(|instance| !words.holds(&instance.state))
    }

    fn lets_template_go(&self, id: &str, image: &ImageId, words: &Words<'_>) -> bool {
        let list = self.inventory.templates.as_ref();
        let naming = self.versions.get(image.as_str()).into_iter().flatten();
        let mut naming = naming.filter(|v| v.template.as_str() == id).peekable();
        list.is_some_and(Listing::is_complete)
            && naming.peek().is_some()
            && naming.all(|version| !self.templates.counts(version, words))
    }
}

/// A reason for everybody besides the owner who may use the AMI or snapshot `id`. One's own
/// account, where it is known, is nobody else.
#[must_use]
pub fn shared(id: &str, shares: &[Share], own_account: Option<&str>) -> Vec<Reason> {
    let reason = |share: &Share| {
        let (detail, with) = match share {
            Share::Everybody => return Some(everybody(id)),
            Share::Account(account) if Some(account.as_str()) == own_account => return None,
            Share::Account(account) => (format!("account {account} may use it"), Some(account)),
            Share::Organization(arn) => (format!("{arn} may use it"), Some(arn)),
            Share::Unknown => (
                "it is shared in a way that Holdfast does not know".into(),
                None,
            ),
        };
        let path = [Some(id), with.map(String::as_str)].into_iter().flatten();
        Some(Reason {
            code: ReasonCode::SharedWithAccount,
            detail: Some(detail),
            path: path.map(str::to_owned).collect(),
        })
    };
    super::tidied(shares.iter().filter_map(reason).collect())
}

/// That everybody may use it.
pub(super) fn everybody(id: &str) -> Reason {
    Reason {
        code: ReasonCode::SharedWithAccount,
        detail: Some("everybody may use it".to_owned()),
        path: vec![id.to_owned()],
    }
}
