//! Parameters of a Query request: consumed one by one, and none may be left over.

use std::collections::BTreeMap;

use holdfast_sim::ApiError;

/// Parameters by name, below a prefix.
#[derive(Debug)]
pub(crate) struct Params {
    prefix: String,
    left: BTreeMap<String, String>,
}

impl Params {
    /// Reads a form-encoded body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut left = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if left.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(ApiError::new(
                    "InvalidQueryParameter",
                    format!("The parameter {name} is given twice"),
                ));
            }
        }
        Ok(Self {
            prefix: String::new(),
            left,
        })
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.left.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, ApiError> {
        let path = format!("{}{name}", self.prefix);
        self.text(name).ok_or_else(|| ApiError::missing(&path))
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.invalid(name, other)),
        }
    }

    pub(crate) fn number<N: std::str::FromStr>(
        &mut self,
        name: &str,
    ) -> Result<Option<N>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.invalid(name, &text)),
            },
        }
    }

    fn invalid(&self, name: &str, value: &str) -> ApiError {
        ApiError::invalid_value(format!(
            "Value ({value}) for parameter {}{name} is invalid.",
            self.prefix
        ))
    }

    /// `NAME.1`, `NAME.2`, … in the order of their numbers.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let indices: BTreeMap<u32, String> = self
            .left
            .keys()
            .filter_map(|key| {
                let index = key.strip_prefix(name)?.strip_prefix('.')?;
                Some((index.parse().ok()?, key.clone()))
            })
            .collect();
        indices
            .into_values()
            .filter_map(|key| self.left.remove(&key))
            .collect()
    }

    /// Reads `NAME.…` with `read`; none when there is no such parameter.
    pub(crate) fn structure<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let mut inner = self.below(name);
        if inner.left.is_empty() {
            return Ok(None);
        }
        let value = read(&mut inner)?;
        inner.finish()?;
        Ok(Some(value))
    }

    /// Reads `NAME.1.…`, `NAME.2.…`, … with `read`, in the order of their numbers.
    pub(crate) fn structures<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Self) -> Result<T, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        let mut all = self.below(name);
        let mut indices: Vec<u32> = all
            .left
            .keys()
            .filter_map(|key| key.split_once('.')?.0.parse().ok())
            .collect();
        indices.sort_unstable();
        indices.dedup();
        let mut values = Vec::new();
        for index in indices {
            values.extend(all.structure(&index.to_string(), &read)?);
        }
        all.finish()?;
        Ok(values)
    }

    /// Takes everything below `NAME.` out.
    fn below(&mut self, name: &str) -> Self {
        let start = format!("{name}.");
        let keys: Vec<String> = self
            .left
            .range(start.clone()..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&start))
            .cloned()
            .collect();
        let left = keys
            .into_iter()
            .filter_map(|key| {
                let value = self.left.remove(&key)?;
                Some((key.strip_prefix(&start)?.to_owned(), value))
            })
            .collect();
        Self {
            prefix: format!("{}{start}", self.prefix),
            left,
        }
    }

    /// Refuses what nobody has consumed.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::new(
                "UnknownParameter",
                format!("The parameter {}{name} is not recognized", self.prefix),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let mut p = Params::read(b"Id.10=c&Id.2=b&Id.1=a&Id.x=rest").unwrap();
        assert_eq!(p.list("Id"), ["a", "b", "c"]);
        let error = p.finish().unwrap_err();
        assert_eq!(error.code, "UnknownParameter");
        assert!(error.message.contains("Id.x"), "{error}");
    }

    #[test]
    fn what_is_left_over_in_a_structure_is_refused_with_its_path() {
        let mut p = Params::read(b"Filter.1.Name=a&Filter.1.Value.1=b&Filter.1.Odd=c").unwrap();
        let error = p
            .structures("Filter", |f| Ok((f.text("Name"), f.list("Value"))))
            .unwrap_err();
        assert!(error.message.contains("Filter.1.Odd"), "{error}");
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert!(Params::read(b"a=1&a=2").is_err());
    }

    #[test]
    fn truth_values_and_numbers_are_exact() {
        let mut p = Params::read(b"a=true&b=yes&c=5&d=five").unwrap();
        assert_eq!(p.boolean("a").unwrap(), Some(true));
        assert!(p.boolean("b").is_err());
        assert_eq!(p.number::<i32>("c").unwrap(), Some(5));
        assert!(p.number::<i32>("d").is_err());
        assert_eq!(p.boolean("e").unwrap(), None);
    }
}
