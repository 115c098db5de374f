//! Parts that several requests have.

structures! {
    /// Which page of a list.
    PageRequest {
        /// Items a page; absent: everything.
        max_results: Option<i32>,
        /// The token that the page before gave.
        next_token: Option<String>,
    }
    /// Tags for what a call creates, by type of resource.
    TagSpecification {
        /// Such as `snapshot`.
        resource_type: String,
        /// Keys and values.
        tags: Vec<(String, String)>,
    }
    /// A launch template and version named in a request.
    LaunchTemplateReference {
        /// Identifier; or the name.
        id: Option<String>,
        /// Name; or the identifier.
        name: Option<String>,
        /// A number, `$Latest` or `$Default` (the default).
        version: Option<String>,
    }
}

impl PageRequest {
    /// Whether the call is not paginated.
    #[must_use]
    pub fn is_whole_list(&self) -> bool {
        self.max_results.is_none() && self.next_token.is_none()
    }
}

impl TagSpecification {
    /// Tags for resources of one type.
    pub fn new<K: Into<String>, V: Into<String>>(
        resource_type: impl Into<String>,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            resource_type: resource_type.into(),
            tags: tags
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        }
    }
}
