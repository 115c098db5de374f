//! What the image of a launch template, a configuration, a group or a fleet names.

use crate::id::ImageId;

/// What stands before a parameter's name (EC2 User Guide, "Use a Systems Manager parameter instead
/// of an AMI ID").
const RESOLVE: &str = "resolve:ssm:";

/// Names that begin with `/aws` are reserved, and those under `/aws/service` are AWS's public
/// parameters: they name AWS's AMIs, and nobody else can write them (Systems Manager User Guide,
/// "Working with public parameters").
const PUBLIC: &str = "/aws/service/";

/// What an image's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedImage<'a> {
    /// An AMI, by its identifier.
    Image(&'a str),
    /// A public parameter of AWS's, which never names an AMI of one's own.
    Public,
    /// A parameter of one's own in its latest version, whose value `DescribeImageReferences` tells.
    Parameter,
    /// A parameter by version or label, one of another account, or a shape that Holdfast does not
    /// know: nothing that can be listed tells which AMI it is.
    Hidden,
}

impl<'a> NamedImage<'a> {
    /// Reads a name; `account` is one's own, where it is known.
    pub(super) fn read(name: &'a str, account: Option<&str>) -> Self {
        if name.starts_with(ImageId::PREFIX) {
            return Self::Image(name);
        }
        let Some(parameter) = name.strip_prefix(RESOLVE) else {
            return Self::Hidden;
        };
        if !parameter.starts_with("arn:") {
            return Self::parameter(parameter);
        }
        // arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME, the name without its leading slash.
        let mut parts = parameter.splitn(6, ':').skip(2);
        let (service, _region, owner) = (parts.next(), parts.next(), parts.next());
        let resource = parts.next().and_then(|r| r.strip_prefix("parameter"));
        match (service, owner, resource) {
            (Some("ssm"), Some(""), Some(path)) if path.starts_with(PUBLIC) => Self::Public,
            (Some("ssm"), Some(owner), Some(path)) if Some(owner) == account => {
                Self::parameter(path)
            }
            _ => Self::Hidden,
        }
    }

    fn parameter(name: &str) -> Self {
        if name.starts_with(PUBLIC) {
            Self::Public
        } else if name.is_empty() || name.contains(':') {
            Self::Hidden
        } else {
            Self::Parameter
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NamedImage::{self, Hidden, Image, Parameter, Public};

    #[test]
    fn a_parameter_is_read_by_its_owner_its_version_and_its_label() {
        for (name, expected) in [
            ("ami-1", Image("ami-1")),
            ("resolve:ssm:/golden", Parameter),
            ("resolve:ssm:golden", Parameter),
            ("resolve:ssm:/golden:3", Hidden),
            ("resolve:ssm:golden:stable", Hidden),
            ("resolve:ssm:/aws/service/ami-amazon-linux-latest/x", Public),
            (
                "resolve:ssm:/aws/service/ami-amazon-linux-latest/x:7",
                Public,
            ),
            // AWS reserves the names, but only those under `service` are its own.
            ("resolve:ssm:/aws/golden", Parameter),
            (
                "resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/golden",
                Parameter,
            ),
            (
                "resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/golden:3",
                Hidden,
            ),
            (
                "resolve:ssm:arn:aws:ssm:eu-central-1:999999999999:parameter/golden",
                Hidden,
            ),
            (
                "resolve:ssm:arn:aws:ssm:eu-central-1::parameter/aws/service/x",
                Public,
            ),
            ("resolve:ssm:arn:aws:ssm", Hidden),
            ("resolve:ssm:", Hidden),
            ("resolve:other:/golden", Hidden),
            ("", Hidden),
        ] {
            let read = NamedImage::read(name, Some("111122223333"));
            assert_eq!(read, expected, "{name}");
        }
        let own = "resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/golden";
        assert_eq!(NamedImage::read(own, None), Hidden, "whose is not known");
    }
}
