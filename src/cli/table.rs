//! Columns for people's eyes.

/// Between two columns.
const GAP: &str = "  ";

/// Rows below their heads, aligned. What stands in them may have been written by anybody.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let rows = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell)));
    let lines: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let aligned = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    });
    aligned.collect::<Vec<_>>().join("\n")
}

/// The text with nothing in it that a terminal would act upon, and nothing that would show it in
/// another order (UAX #9).
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
    fn columns_are_aligned_and_lines_have_no_tail() {
        let rows = [["a".to_owned(), String::new()], ["übung".to_owned(), "x".to_owned()]];
        assert_eq!(table(["ID", "NAME"], &rows), "ID     NAME\na\nübung  x");
    }

    #[test]
    fn nothing_that_a_terminal_would_act_upon_is_printed() {
        let hostile = "a\u{1b}[2J\u{9b}2J\r\n\u{7f}\u{202e}b";
        assert_eq!(printable(hostile), "a\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(printable("Zoë 🐎"), "Zoë 🐎");
    }
}
