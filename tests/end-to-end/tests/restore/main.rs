//! `holdfast restore`: the real binary makes new things of backups, once, and touches nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instances;
mod interrupted;
mod refused;
mod sets;
mod stage;
mod volumes;
