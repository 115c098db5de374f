//! Stable words in the place of what differs from run to run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use regex_lite::{Captures, Regex};

/// In the place of a time of this test's own day: as wide as one to the second.
const TODAY: &str = "<time-of-this-test->";
/// In the place of a later time, such as the end of a week that begins in this test.
const LATER: &str = "<later-than-today--->";
/// In the place of an age by the wall clock; a column of these is as wide as [`AGE_COLUMN`].
const AGE: &str = "<age>";
const AGE_COLUMN: usize = 10;

/// What was seen so far: a thing has the same token in every file.
pub struct Tokens {
    began: Timestamp,
    literal: Vec<(String, &'static str)>,
    seen: BTreeMap<String, String>,
    counts: BTreeMap<String, usize>,
    time: Regex,
    identifier: Regex,
    uuid: Regex,
    hash: Regex,
    port: Regex,
    size: Regex,
    age: Regex,
    moment: Regex,
    age_header: Regex,
}

impl Tokens {
    /// With words for texts that are known beforehand, such as a folder's path.
    pub fn new(literal: Vec<(String, &'static str)>) -> Self {
        let regex = |text: &str| Regex::new(text).unwrap();
        Self {
            began: Timestamp::now(),
            literal,
            seen: BTreeMap::new(),
            counts: BTreeMap::new(),
            time: regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
            identifier: regex(r"\b(snap|ami|vol|i|lt)-[0-9a-f]{17}\b"),
            uuid: regex(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
            hash: regex(r"\b[0-9a-f]{32,64}\b"),
            port: regex(r"127\.0\.0\.1:\d+"),
            size: regex(r"\d+ KiB"),
            age: regex(r"\b((?:in )?\d+[smhd](?: \d+[smhd])?(?: ago)?)( {2,}|\)|\n)"),
            moment: regex(r"(-> {2}|\()now( {2,}|\)|\n)"),
            age_header: regex(r"\bAGE {2,}"),
        }
    }

    /// The text with tokens. With `wall`, its ages are those of the wall clock.
    pub fn apply(&mut self, text: &str, wall: bool) -> String {
        let mut text = text.to_owned();
        for (words, token) in &self.literal {
            text = text.replace(words, token);
        }
        let near = SignedDuration::from_hours(36);
        let began = self.began;
        let time = |found: &Captures<'_>| {
            let time: Timestamp = found[0].parse().unwrap();
            let off = time.duration_since(began);
            let token = match off.abs() < near {
                true => TODAY,
                false if off.is_positive() => LATER,
                false => return found[0].to_owned(),
            };
            token.to_owned()
        };
        text = self.time.replace_all(&text, time).into_owned();
        text = self
            .port
            .replace_all(&text, "127.0.0.1:<port>")
            .into_owned();
        text = self.size.replace_all(&text, "<n> KiB").into_owned();
        // As wide as what they stand for: columns stay columns.
        text = self.numbered(
            &text,
            |t| &t.identifier,
            |word, n| {
                let kind = word.split('-').next().unwrap_or_default();
                let width = word.len() - kind.len() - "-new".len();
                (kind.to_owned(), format!("{kind}-new{n:0width$}"))
            },
        );
        text = self.numbered(
            &text,
            |t| &t.uuid,
            |_, n| ("uuid".to_owned(), format!("uuid{n:0>32}")),
        );
        text = self.numbered(
            &text,
            |t| &t.hash,
            |word, n| {
                let width = word.len() - "hash".len();
                ("hash".to_owned(), format!("hash{n:0width$}"))
            },
        );
        if wall {
            text = self.ages(&text);
        }
        text
    }

    fn numbered(
        &mut self,
        text: &str,
        regex: fn(&Self) -> &Regex,
        token: impl Fn(&str, usize) -> (String, String),
    ) -> String {
        let found = regex(self).find_iter(text);
        let found: Vec<String> = found.map(|found| found.as_str().to_owned()).collect();
        for word in found.into_iter().filter(|word| !is_seeded(word)) {
            if !self.seen.contains_key(&word) {
                let (kind, _) = token(&word, 0);
                let count = self.counts.entry(kind).or_default();
                *count += 1;
                let (_, token) = token(&word, *count);
                self.seen.insert(word, token);
            }
        }
        let seen = &self.seen;
        let known = |found: &Captures<'_>| {
            let word = &found[0];
            seen.get(word).map_or(word, String::as_str).to_owned()
        };
        regex(self).replace_all(text, known).into_owned()
    }

    fn ages(&self, text: &str) -> String {
        let text = self
            .age_header
            .replace_all(text, |_: &Captures<'_>| format!("{:<AGE_COLUMN$}", "AGE"));
        let age = |found: &Captures<'_>| match &found[2] {
            end @ (")" | "\n") => format!("{AGE}{end}"),
            _ => format!("{AGE:<AGE_COLUMN$}"),
        };
        // A second later it is no longer `now`.
        let text = self.moment.replace_all(&text, "${1}0s ago${2}");
        self.age.replace_all(&text, age).into_owned()
    }
}

/// Identifiers of the seeds begin with zeros, and stay as they are.
fn is_seeded(word: &str) -> bool {
    word.contains("-00000000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_one_token_as_wide_as_itself_and_what_is_fixed_stays() {
        let mut tokens = Tokens::new(vec![("/tmp/x".into(), "<folder>")]);
        let first = tokens.apply("snap-0fedcba9876543210  /tmp/x", false);
        assert_eq!(first, "snap-new00000000000001  <folder>");
        let second = "ami-0fedcba9876543210 snap-0fedcba9876543210 snap-00000000000000100";
        assert_eq!(
            tokens.apply(second, false),
            "ami-new00000000000001 snap-new00000000000001 snap-00000000000000100"
        );
        let old = "2026-03-02T10:30:00Z (53d ago)";
        assert_eq!(tokens.apply(old, false), old);
        let now = Timestamp::now();
        assert_eq!(tokens.apply(&now.to_string(), false), TODAY);
    }

    #[test]
    fn ages_by_the_wall_clock_are_one_word_and_their_column_one_width() {
        let tokens = Tokens::new(Vec::new());
        assert_eq!(
            tokens.ages(
                "ID  AGE         STATE\nx   3d 4h ago   good\ny   12d ago     bad (2h ago)\n"
            ),
            "ID  AGE       STATE\nx   <age>     good\ny   <age>     bad (<age>)\n"
        );
    }
}
