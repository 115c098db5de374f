//! Adding and removing tags.

structures! {
    /// Adds tags to resources.
    CreateTags {
        /// At most 1,000 resources.
        resources: Vec<String>,
        /// Keys and values.
        tags: Vec<(String, String)>,
    }
    /// Removes tags from resources.
    DeleteTags {
        /// At most 1,000 resources.
        resources: Vec<String>,
        /// Keys; with a value, only where the tag has it; without any, all user tags.
        tags: Vec<(String, Option<String>)>,
    }
}
