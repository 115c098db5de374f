//! What both sides are expected to answer, and which of them is right where they differ.

use std::fmt;

/// Which side answers as EC2 documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The simulated account.
    Simulated,
    /// moto.
    Moto,
    /// Neither of them.
    Neither,
    /// AWS does not document it; a real account would have to be asked.
    Unknown,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulated => "simulated is right",
            Self::Moto => "moto is right",
            Self::Neither => "neither is right",
            Self::Unknown => "unknown",
        })
    }
}

/// A listed difference: who is right, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which side is right.
    pub right: Right,
    /// The documentation that says so, in a few words.
    pub because: &'static str,
}

/// The expected answers to one thing that a scenario asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What is asked; unique in its scenario.
    pub asked: &'static str,
    /// The simulated account's answer.
    pub simulated: &'static str,
    /// moto's answer.
    pub moto: &'static str,
    /// Present exactly where the two answers differ.
    pub difference: Option<Difference>,
}

/// Both answer the same.
#[must_use]
pub const fn agree(asked: &'static str, answer: &'static str) -> Expected {
    Expected {
        asked,
        simulated: answer,
        moto: answer,
        difference: None,
    }
}

/// They differ.
#[must_use]
pub const fn differ(
    asked: &'static str,
    simulated: &'static str,
    moto: &'static str,
    right: Right,
    because: &'static str,
) -> Expected {
    Expected {
        asked,
        simulated,
        moto,
        difference: Some(Difference { right, because }),
    }
}
