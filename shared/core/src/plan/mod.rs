//! Decisions: what is created, what is retired, what stays and why.
//!
//! Pure functions over lists and records; nothing here is carried out.

pub mod adopt;
pub mod bake;
pub mod census;
pub mod coverage;
pub mod create;
pub mod due;
pub mod governed;
pub mod judge;
pub mod reconcile;
pub mod remedy;
pub mod reopening;
pub mod restore;
pub mod returned;
pub mod settle;
