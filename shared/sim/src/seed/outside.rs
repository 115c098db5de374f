//! Referrers that live in other services.

use crate::account::Account;
use crate::model::image_reference::{Parameter, Recipe};

impl Account {
    /// Lets a parameter of Systems Manager hold an image's identifier, as a new version where the
    /// parameter exists. Whether it is of type `text` or `aws:ec2:image` makes no difference here.
    pub fn seed_parameter(&mut self, name: impl Into<String>, image: impl Into<String>) {
        let now = self.now;
        let parameter = self
            .parameters
            .entry(name.into())
            .or_insert_with(|| Parameter {
                values: Vec::new(),
                changed: now,
            });
        parameter.values.push(image.into());
        parameter.changed = now;
    }

    /// Removes a parameter; says whether there was one.
    pub fn remove_parameter(&mut self, name: &str) -> bool {
        self.parameters.remove(name).is_some()
    }

    /// Puts a recipe of Image Builder beside the account.
    pub fn seed_image_recipe(&mut self, recipe: Recipe) {
        self.recipes.push(recipe);
    }
}
