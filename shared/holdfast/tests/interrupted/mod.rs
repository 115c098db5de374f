//! Runs that are killed at any call, that overlap, and that find the account changed between two
//! calls: nothing here knows what the runs do.

pub mod cases;
pub mod gate;
mod guests;
pub mod ports;
pub mod stamped;
