//! One numeric field of a cron expression: lists, ranges, steps and names.

/// A set of small numbers, ascending and without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers(Vec<u16>);

impl Numbers {
    pub(super) fn insert(&mut self, number: u16) {
        if let Err(place) = self.0.binary_search(&number) {
            self.0.insert(place, number);
        }
    }

    pub(super) fn contains(&self, number: u16) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
}

/// What a numeric field of a cron expression may hold.
pub(super) struct NumberField {
    name: &'static str,
    min: u16,
    max: u16,
    /// Names of the numbers from `min` on; upper case.
    names: &'static [&'static str],
    /// Whether the first value follows the last, so that a range may run over the end.
    cyclic: bool,
}

/// Why an item of a field is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` in {field}: {reason} ({min}-{max}{names})")]
pub struct FieldError {
    /// The item.
    text: String,
    /// The field's name.
    field: &'static str,
    /// What is wrong with it.
    reason: &'static str,
    min: u16,
    max: u16,
    /// Such as `, SUN-SAT`.
    names: String,
}

impl NumberField {
    pub(super) const fn new(
        name: &'static str,
        min: u16,
        max: u16,
        names: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            min,
            max,
            names,
            cyclic: true,
        }
    }

    /// A field whose last value has no successor.
    pub(super) const fn linear(name: &'static str, min: u16, max: u16) -> Self {
        Self {
            name,
            min,
            max,
            names: &[],
            cyclic: false,
        }
    }

    /// How many values the field has.
    pub(super) fn size(&self) -> usize {
        usize::from(self.max - self.min) + 1
    }

    /// Reads a comma-separated list.
    pub(super) fn parse(&self, text: &str) -> Result<Numbers, FieldError> {
        let mut numbers = Numbers::default();
        for item in text.split(',') {
            self.parse_item(item, &mut numbers)?;
        }
        Ok(numbers)
    }

    /// Reads `*`, a number or name, a range, or one of these with a step, into `numbers`.
    pub(super) fn parse_item(&self, item: &str, numbers: &mut Numbers) -> Result<(), FieldError> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(item, step)?)),
            None => (item, None),
        };
        let (from, to) = if range == "*" {
            (self.min, self.max)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.number(from)?, self.number(to)?)
        } else {
            let from = self.number(range)?;
            // `0/15` counts from 0 to the end of the field.
            (from, if step.is_some() { self.max } else { from })
        };
        // EventBridge's own example `0/30 20-2 ? * MON-FRI *` runs from 20:00 over midnight.
        let wraps = from > to;
        if wraps && !self.cyclic {
            return Err(self.error(item, "the range runs backwards"));
        }
        let (upto, again) = if wraps {
            (self.max, self.min..to + 1)
        } else {
            // An empty range: nothing comes after `to`.
            (to, 0..0)
        };
        let step = usize::from(step.unwrap_or(1));
        for number in (from..=upto).chain(again).step_by(step) {
            numbers.insert(number);
        }
        Ok(())
    }

    /// Reads one number or name.
    pub(super) fn number(&self, text: &str) -> Result<u16, FieldError> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
            .and_then(|place| u16::try_from(place).ok());
        if let Some(place) = named {
            return Ok(self.min + place);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(self.error(text, "not a value of this field"));
        }
        match text.parse::<u16>() {
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            _ => Err(self.error(text, "out of range")),
        }
    }

    fn step(&self, item: &str, step: &str) -> Result<u16, FieldError> {
        let digits = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
        match step.parse::<u16>() {
            Ok(number) if digits && number > 0 && number <= self.max => Ok(number),
            _ => Err(self.error(item, "the step after `/` must be a positive number")),
        }
    }

    fn error(&self, text: &str, reason: &'static str) -> FieldError {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(", {first}-{last}"),
            _ => String::new(),
        };
        FieldError {
            text: text.chars().take(20).collect(),
            field: self.name,
            reason,
            min: self.min,
            max: self.max,
            names,
        }
    }
}
