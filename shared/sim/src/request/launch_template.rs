//! Making and deleting launch templates.

use super::TagSpecification;
use crate::model::launch_template::TemplateData;

structures! {
    /// Makes a launch template.
    CreateLaunchTemplate {
        /// Unique.
        name: String,
        /// Of version 1.
        description: Option<String>,
        /// Of version 1.
        data: TemplateData,
        /// Type `launch-template`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Adds a version to a launch template.
    CreateLaunchTemplateVersion {
        /// The template; or its name.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
        /// The version whose data is taken over where the new data is silent.
        source_version: Option<String>,
        /// Of the new version.
        description: Option<String>,
        /// What it says.
        data: TemplateData,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Deletes a launch template with all its versions.
    DeleteLaunchTemplate {
        /// The template; or its name.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
    }
}
