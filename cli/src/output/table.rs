//! Tables that fit a terminal, and are plain lines elsewhere.

use std::io::IsTerminal;

use super::visible;
use anstream::{AutoStream, ColorChoice};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table};

/// Columns of a terminal below which nothing is fitted; the terminal breaks its lines then. Some that
/// do not know their size say none.
const NARROWEST: u16 = 40;
/// Columns between two columns.
const GAP: usize = 2;
/// Columns that words need to be read beside the rest.
const LEAST_WORDS: usize = 30;

/// How tables are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether colours are wanted: on a terminal, without `NO_COLOR`.
    pub colour: bool,
    /// The width to fit; without one a row stays one line, however long.
    pub width: Option<u16>,
}

/// What a cell says beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// It will be there.
    Good,
    /// It will go.
    Going,
    /// Something is wrong.
    Bad,
    /// It stays, for a reason that is not a rule's.
    Held,
    /// Nothing happens.
    Quiet,
}

impl Look {
    /// The look for standard output.
    #[must_use]
    pub fn of_stdout() -> Self {
        let out = std::io::stdout();
        Self {
            colour: AutoStream::choice(&out) != ColorChoice::Never,
            width: out
                .is_terminal()
                .then(|| Table::new().width())
                .flatten()
                .filter(|width| *width >= NARROWEST),
        }
    }

    /// A cell.
    pub fn cell(self, text: impl ToString, tone: Tone) -> Cell {
        let cell = Cell::new(visible(&text.to_string()));
        if !self.colour {
            return cell;
        }
        match tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::Green),
            Tone::Going => cell.fg(Color::Yellow),
            Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            Tone::Held => cell.fg(Color::Cyan),
            Tone::Quiet => cell.add_attribute(Attribute::Dim),
        }
    }

    /// A cell without a tone.
    pub fn plain(self, text: impl ToString) -> Cell {
        self.cell(text, Tone::Plain)
    }

    /// A table without borders, a line break at its end. Its last column holds words: only they are
    /// broken where the terminal is too narrow, for an identifier in pieces can be neither copied nor
    /// searched. Where that leaves too little, the words stand below their row, and where the rest
    /// does not fit either, each cell has a line.
    #[must_use]
    pub fn table(self, header: &[&str], rows: Vec<Vec<Cell>>) -> String {
        let Some(width) = self.width else {
            return filled(self.empty(), Some(self.header(header)), rows);
        };
        let width = usize::from(width);
        let widths = widths(header, &rows);
        let words = widths.last().copied().unwrap_or_default();
        let rest = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) - words;
        if rest + words <= width {
            filled(self.empty(), Some(self.header(header)), rows)
        } else if rest + LEAST_WORDS <= width {
            let mut table = self.empty();
            self.break_last(&mut table, widths.len());
            filled(table, Some(self.header(header)), rows)
        } else if rest <= width + GAP && !rows.iter().any(|row| has_break(row)) {
            self.words_below(header, rows)
        } else {
            self.records(header, rows)
        }
    }

    /// Rows without a header, a line break at their end; what is too long is broken in the last column.
    #[must_use]
    pub fn lines(self, rows: Vec<Vec<Cell>>) -> String {
        let mut table = self.empty();
        self.break_last(&mut table, rows.iter().map(Vec::len).max().unwrap_or(0));
        filled(table, None, rows)
    }

    fn header(self, header: &[&str]) -> Vec<Cell> {
        header.iter().map(|text| self.strong(text)).collect()
    }

    fn strong(self, text: &str) -> Cell {
        match self.colour {
            true => Cell::new(text).add_attribute(Attribute::Bold),
            false => Cell::new(text),
        }
    }

    fn empty(self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if self.colour {
            table.enforce_styling();
            table.style_text_only();
        }
        table
    }

    /// Fits the last of so many columns into the width, where there is one.
    fn break_last(self, table: &mut Table, columns: usize) {
        if let Some(width) = self.width {
            table.set_width(width);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            let whole = columns.saturating_sub(1);
            table.set_constraints(vec![ColumnConstraint::ContentWidth; whole]);
        }
    }

    /// Each row without its last cell, and that one's words below.
    fn words_below(self, header: &[&str], rows: Vec<Vec<Cell>>) -> String {
        let (titles, last) = header.split_at(header.len().saturating_sub(1));
        let mut words = vec![Some(self.strong(&last.concat()))];
        let rows = rows.into_iter().map(|mut row| {
            words.push((row.len() == header.len()).then(|| row.pop()).flatten());
            row
        });
        let rows = rows.collect();
        let drawn = filled(self.empty(), Some(self.header(titles)), rows);
        let mut text = String::new();
        for (line, words) in drawn.lines().zip(words) {
            text.push_str(line);
            text.push('\n');
            if let Some(words) = words.filter(|words| !words.content().is_empty()) {
                text.push_str(&self.lines(vec![vec![Cell::new("   "), words]]));
            }
        }
        text
    }

    /// Each cell that says something in a line with its title, a blank line after each row.
    fn records(self, header: &[&str], rows: Vec<Vec<Cell>>) -> String {
        let records = rows.into_iter().map(|row| {
            let cells = header.iter().zip(row);
            let told = cells.filter(|(_, cell)| !matches!(cell.content().as_str(), "" | "-"));
            self.lines(
                told.map(|(title, cell)| vec![self.strong(title), cell])
                    .collect(),
            )
        });
        records.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a cell but the last is of more than one line.
fn has_break(row: &[Cell]) -> bool {
    let but_last = row.split_last().map_or(row, |(_, rest)| rest);
    but_last.iter().any(|cell| cell.content().contains('\n'))
}

/// How wide each column is.
fn widths(header: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let content = cell.content();
            let lines = content.lines().map(|line| line.chars().count());
            *width = lines.max().unwrap_or(0).max(*width);
        }
    }
    widths
}

fn filled(mut table: Table, header: Option<Vec<Cell>>, rows: Vec<Vec<Cell>>) -> String {
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    let last = table.column_count().saturating_sub(1);
    for (n, column) in table.column_iter_mut().enumerate() {
        let gap = if n < last { GAP } else { 0 };
        column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(colour: bool) -> String {
        let look = Look {
            colour,
            width: None,
        };
        let rows = vec![
            vec![look.cell("retire", Tone::Going), look.plain("snap-1")],
            vec![look.cell("kept", Tone::Quiet), look.plain("snap-22")],
        ];
        look.table(&["VERDICT", "RESOURCE"], rows)
    }

    #[test]
    fn a_table_that_is_not_on_a_terminal_is_plain_aligned_lines() {
        let lines = "VERDICT  RESOURCE\nretire   snap-1\nkept     snap-22\n";
        assert_eq!(drawn(false), lines);
    }

    #[test]
    fn a_long_row_stays_one_line_where_there_is_no_width_to_fit() {
        let look = Look {
            colour: false,
            width: None,
        };
        let long = "word ".repeat(100);
        let text = look.table(&["A"], vec![vec![look.plain(&long)]]);
        assert_eq!(text.lines().count(), 2);
    }

    const WHY: &str = "no rule of nightly-db keeps it, and nothing that was read needs it";

    /// A row of 29 columns and words, and one whose words are not known.
    fn fitted(width: u16) -> String {
        let look = Look {
            colour: false,
            width: Some(width),
        };
        let row = |verdict: &str, time: &str, why: &str| {
            let id = "snap-0123456789abcdef";
            [verdict, id, time, why].map(|text| look.plain(text)).into()
        };
        let rows = vec![row("retire", "-", WHY), row("kept", "5d", "")];
        look.table(&["VERDICT", "RESOURCE", "AGE", "WHY"], rows)
    }

    #[test]
    fn where_there_is_room_only_the_words_at_the_end_are_broken() {
        let lines = "\
VERDICT  RESOURCE               AGE  WHY
retire   snap-0123456789abcdef  -    no rule of nightly-db keeps
                                     it, and nothing that was read
                                     needs it
kept     snap-0123456789abcdef  5d
";
        assert_eq!(fitted(67), lines);
        assert_eq!(fitted(37 + 66).lines().count(), 3);
    }

    #[test]
    fn where_there_is_too_little_room_for_words_they_stand_below_their_row() {
        let lines = "\
VERDICT  RESOURCE               AGE
     WHY
retire   snap-0123456789abcdef  -
     no rule of nightly-db keeps it, and
     nothing that was read needs it
kept     snap-0123456789abcdef  5d
";
        assert_eq!(fitted(40), lines);
        assert_eq!(fitted(66).lines().count(), 6);
    }

    #[test]
    fn where_a_row_does_not_fit_each_cell_has_a_line_and_no_identifier_is_broken() {
        let look = Look {
            colour: false,
            width: Some(40),
        };
        let cells = [
            "retire",
            "snap-0123456789abcdef",
            "vol-0123456789abcdef",
            WHY,
        ];
        let row: Vec<Cell> = cells.map(|text| look.plain(text)).into();
        let header = ["VERDICT", "RESOURCE", "SOURCE", "WHY"];
        let lines = "\
VERDICT   retire
RESOURCE  snap-0123456789abcdef
SOURCE    vol-0123456789abcdef
WHY       no rule of nightly-db keeps
          it, and nothing that was read
          needs it
";
        assert_eq!(look.table(&header, vec![row.clone()]), lines);
        let both = format!("{lines}\n{lines}");
        assert_eq!(look.table(&header, vec![row.clone(), row]), both);
    }

    #[test]
    fn colours_colour_the_words_only() {
        let text = drawn(true);
        assert!(text.contains("retire\u{1b}["), "{text:?}");
        assert!(text.contains('\u{1b}'));
    }

    #[test]
    fn what_somebody_wrote_into_a_tag_cannot_steer_the_terminal() {
        let look = Look {
            colour: false,
            width: None,
        };
        let text = look.table(
            &["A"],
            vec![vec![look.plain("kept\u{1b}[2K\r\u{9b}1Aretire")]],
        );
        assert_eq!(text, "A\nkept\\u{1b}[2K\\r\\u{9b}1Aretire\n");
    }
}
