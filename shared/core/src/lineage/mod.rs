//! Records that outlive the resources: the lineage graph and the run ledger.
//!
//! Plain data and total transition functions; how they are stored is the adapter's business.

pub mod graph;
pub mod ledger;

pub use graph::{Consistency, Edge, EdgeKind, Node, NodeKind, NodeState, lists_have_caught_up};
pub use ledger::{SlotRecord, SlotState, SlotStep};
