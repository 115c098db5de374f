//! Backups that a change of an instance's state asks for.
//!
//! Events come late, twice, out of order or never (EventBridge User Guide, "Events from AWS
//! services": EC2's are best effort), so what is made goes by the instance as EC2 describes it at
//! the time of the call. `LaunchTime` begins anew with every start (EC2 API Reference, `Instance`),
//! and between two launches an instance boots once, stops at most once and is interrupted at most
//! once. So a bake for the same trigger at or after the launch is the bake of this very change,
//! whatever the time of its event.

mod lost;
mod standing;
mod turn;

pub use lost::{Lost, candidate, lost, not_rebooted};
pub use standing::{LAG, Standing, standing};
pub use turn::{Turn, cooling, matters_since, turn};
