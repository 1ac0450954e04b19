//! Lists that are printed page by page, as a table or as one JSON document. A list is never in
//! memory as a whole.

use std::fmt::Display;

use serde::Serialize;

use super::CommandError;
use super::error::failed;
use super::output::print_part;
use super::table::Table;

/// Number of items to read and print at a time.
pub const PAGE: usize = 500;

/// An item of a list: a row of a table with `N` columns, and a JSON object.
pub trait Listed<const N: usize>: Serialize {
    /// The heads of the columns.
    const HEAD: [&'static str; N];
    /// Name of the list's member in the JSON document.
    const MEMBER: &'static str;
    /// Name of the items, in the plural.
    const NAME: &'static str;

    fn row(&self) -> [String; N];
}

/// A list that is printed in part.
pub struct Listing<const N: usize> {
    json: bool,
    table: Table<N>,
    member: &'static str,
    name: &'static str,
    count: usize,
}

impl<const N: usize> Listing<N> {
    /// An empty list of such items.
    pub fn of<T: Listed<N>>(json: bool) -> Self {
        Self { json, table: Table::new(T::HEAD), member: T::MEMBER, name: T::NAME, count: 0 }
    }

    /// Prints further items. `false` if the reader has closed its pipe.
    pub fn print<T: Listed<N>>(&mut self, items: &[T]) -> Result<bool, CommandError> {
        print_part(&self.text_of(items)?)
    }

    fn text_of<T: Listed<N>>(&mut self, items: &[T]) -> Result<String, CommandError> {
        if items.is_empty() {
            return Ok(String::new());
        }
        let text = match self.json {
            true => self.objects(items)?,
            false => {
                let rows: Vec<_> = items.iter().map(T::row).collect();
                self.table.page(&rows) + "\n"
            }
        };
        self.count += items.len();
        Ok(text)
    }

    fn objects<T: Serialize>(&self, items: &[T]) -> Result<String, CommandError> {
        let mut text = String::new();
        for (index, item) in items.iter().enumerate() {
            text.push_str(if self.count + index == 0 { "" } else { "," });
            text.push_str("\n    ");
            let object = serde_json::to_string_pretty(item).map_err(|error| failed(&error))?;
            text.push_str(&object.replace('\n', "\n    "));
        }
        Ok(if self.count == 0 { format!("{}{text}", self.beginning()) } else { text })
    }

    fn beginning(&self) -> String {
        format!("{{\n  \"{}\": [", self.member)
    }

    /// Prints the end of a complete list.
    pub fn end(self) -> Result<(), CommandError> {
        print_part(&self.ending("", "")).map(|_| ())
    }

    /// Prints the end of a list; if there are further items, `next` is the item to continue from.
    pub fn end_before(self, next: Option<impl Display>) -> Result<(), CommandError> {
        print_part(&self.ending_before(next)).map(|_| ())
    }

    fn ending_before(&self, next: Option<impl Display>) -> String {
        match next {
            Some(id) => self.ending(
                &format!(",\n  \"next\": \"{id}\""),
                &format!("\nThere are more {}: --after {id}\n", self.name),
            ),
            None => self.ending(",\n  \"next\": null", ""),
        }
    }

    fn ending(&self, member: &str, words: &str) -> String {
        match (self.json, self.count) {
            (true, 0) => format!("{}]{member}\n}}\n", self.beginning()),
            (true, _) => format!("\n  ]{member}\n}}\n"),
            (false, 0) => format!("No {}.\n", self.name),
            (false, _) => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Pet {
        id: u8,
        name: &'static str,
    }

    impl Listed<2> for Pet {
        const HEAD: [&'static str; 2] = ["ID", "NAME"];
        const MEMBER: &'static str = "pets";
        const NAME: &'static str = "pets";

        fn row(&self) -> [String; 2] {
            [self.id.to_string(), self.name.to_owned()]
        }
    }

    const PETS: [Pet; 3] =
        [Pet { id: 1, name: "a\n\"b" }, Pet { id: 20, name: "" }, Pet { id: 3, name: "c" }];

    /// The output for the pets in pages of this size, without the end.
    fn printed(json: bool, pets: &[Pet], page: usize) -> (Listing<2>, String) {
        let mut listing = Listing::of::<Pet>(json);
        let pages = pets.chunks(page).map(|page| listing.text_of(page).unwrap());
        let text = pages.collect();
        (listing, text)
    }

    #[test]
    fn s11_pages_of_a_list_form_one_json_document() {
        for count in 0..=PETS.len() {
            let whole = json!({ "pets": &PETS[..count], "next": null });
            for page in 1..=3 {
                let (listing, mut text) = printed(true, &PETS[..count], page);
                text.push_str(&listing.ending_before(None::<u8>));
                assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), whole);
                // in the layout of documents that are written as a whole
                let laid_out = serde_json::to_string_pretty(&PETS[..count]).unwrap();
                let laid_out = laid_out.replace('\n', "\n  ");
                assert_eq!(text, format!("{{\n  \"pets\": {laid_out},\n  \"next\": null\n}}\n"));
            }
        }
        let (listing, text) = printed(true, &PETS[..1], 1);
        let more = format!("{text}{}", listing.ending_before(Some(7)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&more).unwrap()["next"], "7");
        let (listing, text) = printed(true, &[], 1);
        assert_eq!(text + &listing.ending("", ""), "{\n  \"pets\": []\n}\n");
    }

    #[test]
    fn s11_pages_of_a_list_form_one_table() {
        let (listing, text) = printed(false, &PETS, 2);
        assert_eq!(text, "ID  NAME\n1   a\u{fffd}\"b\n20\n3   c\n");
        assert_eq!(listing.ending_before(None::<u8>), "");
        assert_eq!(listing.ending_before(Some(3)), "\nThere are more pets: --after 3\n");
        let (listing, text) = printed(false, &[], 2);
        assert_eq!(text + &listing.ending_before(None::<u8>), "No pets.\n");
    }
}
