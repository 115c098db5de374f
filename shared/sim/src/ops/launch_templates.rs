//! Making and deleting launch templates.

use std::collections::BTreeMap;

use holdfast_core::id::LaunchTemplateId;

use super::images::overlay;
use super::list_templates::version_not_found;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::launch_template::{LaunchTemplate, LaunchTemplateVersion, TemplateData};
use crate::request;
use crate::response::Response;
use crate::tag;

impl Account {
    pub(super) fn create_launch_template(
        &mut self,
        r: &request::CreateLaunchTemplate,
    ) -> Result<Response, ApiError> {
        let before = self.made_before("CreateLaunchTemplate", r.client_token.as_ref(), r)?;
        if let Some(template) = before
            .and_then(|made| made.first().cloned())
            .and_then(|id| self.launch_templates.get(&LaunchTemplateId::new(id)))
        {
            return Ok(Response::LaunchTemplate(Box::new(template.clone())));
        }
        // 3 to 128 characters `[B]`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
        if !(3..=128).contains(&r.name.len()) || !r.name.chars().all(plain) {
            return Err(ApiError::new(
                "InvalidLaunchTemplateName.MalformedException",
                "The launch template name is malformed.",
            ));
        }
        if self.launch_templates.values().any(|t| t.name == r.name) {
            return Err(ApiError::new(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                "Launch template name already in use.",
            ));
        }
        let tags = tag::specified(&r.tags, "launch-template", &["launch-template"])?;
        let id = LaunchTemplateId::new(self.ids.resource(LaunchTemplateId::PREFIX));
        let version = LaunchTemplateVersion {
            template: id.clone(),
            name: r.name.clone(),
            version: 1,
            default: true,
            description: r.description.clone(),
            created: self.now,
            data: r.data.clone(),
        };
        let template = LaunchTemplate {
            id: id.clone(),
            name: r.name.clone(),
            created: self.now,
            default_version: 1,
            latest_version: 1,
            versions: BTreeMap::from([(1, version)]),
            tags,
            listed_from: self.listed_from(id.as_str()),
        };
        self.launch_templates.insert(id.clone(), template.clone());
        self.remember_made(
            "CreateLaunchTemplate",
            r.client_token.as_ref(),
            r,
            vec![id.as_str().to_owned()],
        );
        Ok(Response::LaunchTemplate(Box::new(template)))
    }

    pub(super) fn create_launch_template_version(
        &mut self,
        r: &request::CreateLaunchTemplateVersion,
    ) -> Result<Response, ApiError> {
        let template = self.find_template(r.id.as_ref(), r.name.as_ref())?;
        let id = template.id.clone();
        let operation = "CreateLaunchTemplateVersion";
        if let Some(made) = self.made_before(operation, r.client_token.as_ref(), r)? {
            let version = made.first().and_then(|number| template.version(number));
            if let Some(version) = version {
                return Ok(Response::LaunchTemplateVersion(Box::new(version.clone())));
            }
        }
        let data = match &r.source_version {
            None => r.data.clone(),
            Some(source) => {
                let base = template
                    .version(source)
                    .ok_or_else(|| version_not_found(template, source))?;
                TemplateData {
                    image: r.data.image.clone().or(base.data.image.clone()),
                    instance_type: r
                        .data
                        .instance_type
                        .clone()
                        .or(base.data.instance_type.clone()),
                    mappings: overlay(&base.data.mappings, &r.data.mappings),
                }
            }
        };
        let version = LaunchTemplateVersion {
            template: id.clone(),
            name: template.name.clone(),
            version: template.latest_version + 1,
            default: false,
            description: r.description.clone(),
            created: self.now,
            data,
        };
        // As with every list, those of versions may miss what was just made.
        let change = self.change(id.as_str(), self.settings.list_lag);
        if let Some(template) = self.launch_templates.get_mut(&id) {
            self.past.launch_templates.keep(&id, template, change);
            template.latest_version = version.version;
            template.versions.insert(version.version, version.clone());
        }
        self.remember_made(
            operation,
            r.client_token.as_ref(),
            r,
            vec![version.version.to_string()],
        );
        Ok(Response::LaunchTemplateVersion(Box::new(version)))
    }

    pub(super) fn delete_launch_template(
        &mut self,
        r: &request::DeleteLaunchTemplate,
    ) -> Result<Response, ApiError> {
        let template = self.find_template(r.id.as_ref(), r.name.as_ref())?.clone();
        let deletion = self.deletion(template.id.as_str());
        self.past
            .launch_templates
            .keep(&template.id, &template, deletion);
        self.launch_templates.remove(&template.id);
        Ok(Response::LaunchTemplate(Box::new(template)))
    }
}
