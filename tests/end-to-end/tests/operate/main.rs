//! The commands by which backups are looked at and operated: the real binary against the local AWS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod looking;
mod running;
mod schema;
mod simulating;
mod sweeping;
mod unpinning;

use holdfast_end_to_end::World;
use serde_json::Value;

/// What a command printed and how it ended.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    /// The report of a command that was asked for JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }
}

fn holdfast(world: &World, arguments: &[&str]) -> Ran {
    let output = world.holdfast(arguments);
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
