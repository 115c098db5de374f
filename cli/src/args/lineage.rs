//! Arguments of `lineage`.

use clap::{Args, ValueEnum};

use super::resource;

/// Examples of `lineage`, shown below its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast lineage snap-0123456789abcdef0
  holdfast lineage i-0123456789abcdef0 \\
      | jq -r '.edges[] | [.from, .kind, .to] | @tsv'
  holdfast lineage ami-0123456789abcdef0 --format table
  holdfast lineage --format dot | dot -Tsvg > lineage.svg

Follows what it came from, and what came from it, each all the way, with what is recorded of what is \
gone. Without an identifier: everything that EC2 lists now in the account and Region.";

/// Arguments of `lineage`.
#[derive(Args, Debug)]
pub struct LineageArguments {
    /// snap-…, ami-…, vol-… or i-… [default: everything that EC2 lists]
    #[arg(value_name = "ID", value_parser = resource)]
    pub id: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
}

/// How a part of the lineage is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For programs: nodes and edges
    #[default]
    Json,
    /// For Graphviz
    Dot,
    /// For people: a relation a line
    Table,
}
