//! Blocklist of common and breached passwords, compiled in as a table of hashes.
//!
//! `examples/blocklist.rs` makes the table from lists; `blocklist/README.md` names the lists. The
//! table holds 48 bits of a hash of each entry, sorted. So a look-up is a binary search in the
//! program's own read-only memory. Entries and looked-up texts are hashed after [`fold`], so case,
//! accents and the usual substitutions make no difference.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

type Row = [u8; 6];

static TABLE: &[u8] = include_bytes!("../../../blocklist/common-passwords.bin");

/// Longest entry, in characters.
const MAX_ENTRY_LENGTH: usize = 32;

/// Builds the table of `entries` for `blocklist/common-passwords.bin`. The table leaves out:
///
/// - entries beyond ASCII: in the lists, they are text that some program has garbled;
/// - one character repeated: the policy refuses it as a pattern, if every keyboard has the
///   character.
pub fn blocklist_table<'a>(entries: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let is_text = |entry: &&str| entry.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let fits = |entry: &&str| (1..=MAX_ENTRY_LENGTH).contains(&entry.len());
    let entries = entries.into_iter().filter(is_text).filter(fits);
    let folded = entries.map(|entry| entry.chars().map(fold).collect::<Vec<char>>());
    let folded = folded.filter(|entry| entry.iter().any(|c| *c != entry[0]));
    let row = |entry: Vec<char>| entry.into_iter().fold(Hash::EMPTY, Hash::then).row();
    let rows: BTreeSet<Row> = folded.map(row).collect();
    rows.into_iter().flatten().collect()
}

/// Whether a folded text is an entry.
pub(super) fn holds(folded: &[char]) -> bool {
    entries_at(folded).last() == Some(folded.len())
}

/// Lengths of the entries that a folded text begins with, shortest first.
pub(super) fn entries_at(folded: &[char]) -> impl Iterator<Item = usize> {
    let hashes = folded.iter().take(MAX_ENTRY_LENGTH).scan(Hash::EMPTY, |hash, c| {
        *hash = hash.then(*c);
        Some(*hash)
    });
    let (rows, _) = TABLE.as_chunks::<6>();
    let is_entry = |hash: Hash| rows.binary_search(&hash.row()).is_ok();
    (1..).zip(hashes).filter(move |(_, hash)| is_entry(*hash)).map(|(length, _)| length)
}

/// Folds a character for comparison: lower case, without accents, and equal for characters that
/// people substitute for each other, as in `p@$$w0rd`.
pub(super) fn fold(c: char) -> char {
    let plain = std::iter::once(c).nfkd().next().unwrap_or(c);
    match lower(plain) {
        '4' | '@' => 'a',
        '8' => 'b',
        '3' | '€' => 'e',
        '6' | '9' => 'g',
        '1' | '!' | '|' | 'l' => 'i',
        '0' => 'o',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '2' => 'z',
        other => other,
    }
}

/// Lower case, one character for one: the first, where lower case has several.
pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// FNV-1a over characters, with the final mix of SplitMix64. The hash spreads entries evenly, and
/// need not resist collisions: two texts with one hash are of no use to an attacker.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    const fn then(self, c: char) -> Self {
        Self((self.0 ^ c as u64).wrapping_mul(0x0100_0000_01b3))
    }

    const fn row(self) -> Row {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, e, f, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        [a, b, c, d, e, f]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<char> {
        text.chars().map(fold).collect()
    }

    #[test]
    fn r40_table_is_complete_and_sorted() {
        let (rows, rest) = TABLE.as_chunks::<6>();
        assert!(rest.is_empty());
        assert!(rows.len() > 100_000, "{} entries", rows.len());
        assert!(rows.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn r40_entries_are_found_in_every_spelling() {
        for spelling in
            ["password", "PassWord", "P@$$w0rd", "pässwörd", "ｐａｓｓｗｏｒｄ", "passworD"]
        {
            assert!(holds(&folded(spelling)), "{spelling}");
        }
        for none in ["", "no such entry", "passwor\u{444}", &"x".repeat(MAX_ENTRY_LENGTH + 1)] {
            assert!(!holds(&folded(none)), "{none}");
        }
        let found: Vec<usize> = entries_at(&folded("iloveyoumore")).collect();
        assert!(found.contains(&5) && found.contains(&8) && !found.contains(&12), "{found:?}");
    }

    #[test]
    fn r40_table_is_built_from_unique_ascii_entries() {
        let long = "x".repeat(MAX_ENTRY_LENGTH + 1);
        assert_eq!(blocklist_table(["password", "P4ssw0rd"]).len(), 6);
        assert_eq!(blocklist_table(["", "Ð¿Ñ—", "a\tb", "11lI", &long]).len(), 0);
        let table = blocklist_table(["monkey", "dragon"]);
        assert_eq!(table, blocklist_table(["dragon", "monkey"]));
        assert!(table.as_chunks::<6>().0.is_sorted());
    }
}
