//! What refers to images.

use super::PageRequest;

structures! {
    /// A type of resource to look for references in.
    ReferenceScope {
        /// `ec2:Instance`, `ec2:LaunchTemplate`, `ssm:Parameter`, `imagebuilder:ImageRecipe` or
        /// `imagebuilder:ContainerRecipe`.
        resource_type: String,
        /// Options by name: `state-name` of instances, `version-depth` of launch templates.
        options: Vec<(String, Vec<String>)>,
    }
    /// Lists the account's resources that refer to images.
    DescribeImageReferences {
        /// The images, 1 to 10.
        ids: Vec<String>,
        /// Look in every type of resource, with the options' defaults.
        include_all: bool,
        /// Types to look in; their options win over the defaults.
        scopes: Vec<ReferenceScope>,
        /// Page.
        page: PageRequest,
    }
}
