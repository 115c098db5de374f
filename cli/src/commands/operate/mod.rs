//! The commands by which backups are looked at and operated.

pub mod completions;
pub mod events;
pub mod ls;
pub mod run;
pub mod runs;
pub mod sweep;
pub mod unpin;
