//! Texts and reasons that many things share, each kept once and named by its place.

use std::collections::HashMap;

use holdfast::report::Reason;
use serde::Serialize;

/// No text, no reasons.
pub const NONE: i64 = -1;

/// Texts and lists of reasons.
#[derive(Debug, Default)]
pub struct Words {
    texts: HashMap<String, usize>,
    reasons: HashMap<Reason, usize>,
    lists: HashMap<Vec<usize>, usize>,
    written: Written,
    bytes: usize,
}

/// The same as the page reads it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Texts.
    pub texts: Vec<String>,
    /// Code, words or [`NONE`], and path of each reason, as places of texts.
    pub reasons: Vec<(usize, i64, Vec<usize>)>,
    /// Lists of reasons, as their places.
    pub lists: Vec<Vec<usize>>,
}

impl Words {
    /// The place of a text.
    pub fn text(&mut self, text: &str) -> usize {
        if let Some(place) = self.texts.get(text) {
            return *place;
        }
        let place = self.written.texts.len();
        self.bytes += text.len() + 3;
        self.texts.insert(text.to_owned(), place);
        self.written.texts.push(text.to_owned());
        place
    }

    /// The place of a text that may be missing, else [`NONE`].
    pub fn optional(&mut self, text: Option<&str>) -> i64 {
        text.map_or(NONE, |text| signed(self.text(text)))
    }

    /// The place of a list of reasons; [`NONE`] for an empty one.
    pub fn reasons(&mut self, reasons: &[Reason]) -> i64 {
        if reasons.is_empty() {
            return NONE;
        }
        let list: Vec<usize> = reasons.iter().map(|reason| self.reason(reason)).collect();
        if let Some(place) = self.lists.get(&list) {
            return signed(*place);
        }
        let place = self.written.lists.len();
        self.bytes += 3 + list.len() * 7;
        self.lists.insert(list.clone(), place);
        self.written.lists.push(list);
        signed(place)
    }

    fn reason(&mut self, reason: &Reason) -> usize {
        if let Some(place) = self.reasons.get(reason) {
            return *place;
        }
        let code = self.text(reason.code.as_str());
        let detail = self.optional(reason.detail.as_deref());
        let path: Vec<usize> = reason.path.iter().map(|id| self.text(id)).collect();
        let place = self.written.reasons.len();
        self.bytes += 20 + path.len() * 7;
        self.reasons.insert(reason.clone(), place);
        self.written.reasons.push((code, detail, path));
        place
    }

    /// How many bytes they take on the page, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// As the page reads them.
    #[must_use]
    pub fn written(self) -> Written {
        self.written
    }
}

/// A place as it stands beside [`NONE`].
fn signed(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use holdfast::report::ReasonCode;

    use super::*;

    #[test]
    fn what_many_share_is_written_once() {
        let mut words = Words::default();
        let mut used = Reason::with(ReasonCode::UsedByImage, "ami-1 maps it");
        used.path = vec!["snap-1".into(), "ami-1".into()];
        let pinned = Reason::of(ReasonCode::Pinned);
        let both = words.reasons(&[used.clone(), pinned.clone()]);
        assert_eq!(words.reasons(&[used, pinned.clone()]), both);
        assert_ne!(words.reasons(&[pinned]), both);
        assert_eq!(words.reasons(&[]), NONE);
        let place = words.text("ami-1");
        let written = words.written();
        assert_eq!(written.texts[place], "ami-1");
        assert_eq!((written.reasons.len(), written.lists.len()), (2, 2));
        assert_eq!(written.reasons[1], (written.texts.len() - 1, NONE, vec![]));
    }
}
