//! A table in Markdown.

/// A table that grows by rows.
#[derive(Clone, Debug)]
pub struct Table {
    text: String,
}

impl Table {
    /// With its heading; the first column is text, the others are figures.
    pub fn new(heading: &[&str]) -> Self {
        let mut table = Self { text: String::new() };
        table.row(heading.iter().map(ToString::to_string));
        table.row((0..heading.len()).map(|column| if column == 0 { "---" } else { "--:" }.to_owned()));
        table
    }

    /// The same with text in every column.
    pub fn of_text(heading: &[&str]) -> Self {
        let mut table = Self { text: String::new() };
        table.row(heading.iter().map(ToString::to_string));
        table.row(heading.iter().map(|_| "---".to_owned()));
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        for cell in cells {
            self.text.push_str("| ");
            self.text.push_str(&cell.replace('|', "\\|").replace('\n', " "));
            self.text.push(' ');
        }
        self.text.push_str("|\n");
    }

    /// The table as it stands.
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell_on_one_line() {
        let mut table = Table::new(&["who", "figure"]);
        table.row(["a|b\nc".to_owned(), "1".to_owned()]);
        assert_eq!(table.finish(), "| who | figure |\n| --- | --: |\n| a\\|b c | 1 |\n");
    }
}
