//! What outside EC2 refers to images, and references as `DescribeImageReferences` lists them.

use holdfast_core::id::ImageId;
use jiff::Timestamp;

/// A type of resource that may refer to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferrerType {
    /// Instances.
    Instance,
    /// Launch templates.
    LaunchTemplate,
    /// Parameters of Systems Manager.
    Parameter,
    /// Image recipes of Image Builder.
    ImageRecipe,
    /// Container recipes of Image Builder.
    ContainerRecipe,
}

impl ReferrerType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::Instance,
        Self::LaunchTemplate,
        Self::Parameter,
        Self::ImageRecipe,
        Self::ContainerRecipe,
    ];

    /// EC2's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "ec2:Instance",
            Self::LaunchTemplate => "ec2:LaunchTemplate",
            Self::Parameter => "ssm:Parameter",
            Self::ImageRecipe => "imagebuilder:ImageRecipe",
            Self::ContainerRecipe => "imagebuilder:ContainerRecipe",
        }
    }
}

/// A resource that refers to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The image.
    pub image: ImageId,
    /// Type of the resource.
    pub resource_type: ReferrerType,
    /// ARN of the resource.
    pub arn: String,
}

/// A parameter of Systems Manager that holds the identifier of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its values, oldest first; version 1 is the first.
    pub values: Vec<String>,
    /// When it was last changed.
    pub changed: Timestamp,
}

impl Parameter {
    /// The value that a selector names: a version's number, or none for the latest.
    #[must_use]
    pub fn value(&self, version: Option<&str>) -> Option<&str> {
        match version {
            None => self.values.last(),
            Some(number) => {
                let index: usize = number.parse().ok()?;
                self.values.get(index.checked_sub(1)?)
            }
        }
        .map(String::as_str)
    }
}

/// A recipe of Image Builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// Such as `1.0.0`.
    pub version: String,
    /// The AMI it starts from; for a container recipe, the AMI of the instance that builds and
    /// tests it.
    pub parent: String,
    /// Whether it makes containers.
    pub container: bool,
}
