//! Tables that fit a terminal, and are plain lines elsewhere.

use std::io::IsTerminal;

use super::visible;
use anstream::{AutoStream, ColorChoice};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

/// Columns of a terminal below which a table has no cells worth reading; the terminal breaks its lines
/// then. Some that do not know their size say none.
const NARROWEST: u16 = 40;

/// How tables are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether colours are wanted: on a terminal, without `NO_COLOR`.
    pub colour: bool,
    /// Whether there is a width to fit; elsewhere a row stays one line, however long.
    pub fit: bool,
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
            fit: out.is_terminal(),
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

    /// A table without borders, a line break at its end.
    #[must_use]
    pub fn table(self, header: &[&str], rows: Vec<Vec<Cell>>) -> String {
        let mut table = self.empty();
        table.set_header(header.iter().map(|text| {
            let cell = Cell::new(text);
            if self.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        filled(table, rows)
    }

    /// Rows without a header, a line break at their end.
    #[must_use]
    pub fn lines(self, rows: Vec<Vec<Cell>>) -> String {
        filled(self.empty(), rows)
    }

    fn empty(self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        let fits = table.width().is_none_or(|width| width >= NARROWEST);
        table.set_content_arrangement(if self.fit && fits {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        });
        if self.colour {
            table.enforce_styling();
            table.style_text_only();
        }
        table
    }
}

fn filled(mut table: Table, rows: Vec<Vec<Cell>>) -> String {
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(colour: bool) -> String {
        let look = Look { colour, fit: false };
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
            fit: false,
        };
        let long = "word ".repeat(100);
        let text = look.table(&["A"], vec![vec![look.plain(&long)]]);
        assert_eq!(text.lines().count(), 2);
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
            fit: false,
        };
        let text = look.table(
            &["A"],
            vec![vec![look.plain("kept\u{1b}[2K\r\u{9b}1Aretire")]],
        );
        assert_eq!(text, "A\nkept\\u{1b}[2K\\r\\u{9b}1Aretire\n");
    }
}
