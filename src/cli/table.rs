//! Tables of text with aligned columns.

/// Gap between two columns.
const GAP: &str = "  ";

/// Rows with aligned columns below their heads. Cells may contain text from strangers, so each cell
/// is made [`printable`].
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    Table::new(head).page(rows)
}

/// A table that is printed page by page. A column becomes wider with the first page that needs it.
pub struct Table<const N: usize> {
    /// The heads, until the first page prints them.
    head: Option<[String; N]>,
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    pub fn new(head: [&str; N]) -> Self {
        Self { head: Some(head.map(str::to_owned)), widths: [0; N] }
    }

    /// The lines of these rows. The first page begins with the heads.
    pub fn page(&mut self, rows: &[[String; N]]) -> String {
        let rows = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell)));
        let lines: Vec<[String; N]> = self.head.take().into_iter().chain(rows).collect();
        for line in &lines {
            for (width, cell) in self.widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let aligned = lines.iter().map(|line| {
            let cells = line.iter().zip(self.widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        });
        aligned.collect::<Vec<_>>().join("\n")
    }
}

/// The text without characters that control a terminal or change the order of display (UAX #9).
pub fn printable(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_trailing_blanks() {
        let rows = [["a".to_owned(), String::new()], ["übung".to_owned(), "x".to_owned()]];
        assert_eq!(table(["ID", "NAME"], &rows), "ID     NAME\na\nübung  x");
    }

    #[test]
    fn s11_table_is_printed_page_by_page() {
        let mut table = Table::new(["ID", "NAME"]);
        let row = |id: &str| [id.to_owned(), "x".to_owned()];
        assert_eq!(table.page(&[row("a")]), "ID  NAME\na   x");
        assert_eq!(table.page(&[row("long"), row("b")]), "long  x\nb     x");
        assert_eq!(table.page(&[row("c")]), "c     x");
    }

    #[test]
    fn terminal_control_characters_are_replaced() {
        let hostile = "a\u{1b}[2J\u{9b}2J\r\n\u{7f}\u{202e}b";
        assert_eq!(printable(hostile), "a\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(printable("Zoë 🐎"), "Zoë 🐎");
    }
}
