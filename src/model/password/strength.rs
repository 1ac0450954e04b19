//! Password strength: finds passwords on the blocklist, and passwords made of one entry and little
//! else.
//!
//! NIST SP 800-63B-4 §3.1.1.2 compares the whole password with the list, not words inside it. So a
//! password is refused only if every character is accounted for. The check accounts for the
//! variations that guessing programs try after the bare list:
//!
//! - repetitions;
//! - the owner's names;
//! - rows of the keyboard;
//! - digits and signs around the entry.

use zeroize::Zeroizing;

use super::blocklist::{entries_at, fold, holds, lower};

/// A remainder of this many characters is too long to guess.
pub(super) const REMAINDER_LIMIT: usize = 8;

/// Number of entries in one guess. Two entries would be too many guesses to try, and honest people
/// do combine two.
const MAX_ENTRIES: usize = 1;

/// Shortest entry with a letter that counts. Shorter ones are part of every text.
const MIN_ENTRY_LENGTH: usize = 3;

/// Shortest row, in characters.
const MIN_ROW_LENGTH: usize = 3;

/// Rows that people type along, in either direction.
const KEYBOARD_ROWS: [&str; 23] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    // QWERTY, QWERTZ and AZERTY, and the digits with the shift key held
    "qwertyuiop[]",
    "qwertzuiopü+",
    "azertyuiop",
    "asdfghjkl;'",
    "asdfghjklöä",
    "qsdfghjklm",
    "zxcvbnm,./",
    "yxcvbnm,.-",
    "wxcvbn,;:!",
    "!@#$%^&*()",
    "!\"§$%&/()=",
    // downwards
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "1qay",
    // two rows by turns
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
];

/// Reason why a password is guessable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weakness {
    /// The password is an entry, or an entry and little else.
    Listed,
    /// The password consists of rows of the keyboard and repetitions alone.
    Pattern,
}

/// Text as lists of characters: as typed, in lower case, and as looked up.
pub(super) struct FoldedText {
    typed: Zeroizing<Vec<char>>,
    folded: Zeroizing<Vec<char>>,
}

impl FoldedText {
    pub(super) fn new(text: &str) -> Self {
        Self::of(text.chars().map(lower).collect())
    }

    fn of(typed: Vec<char>) -> Self {
        let folded = typed.iter().map(|c| fold(*c)).collect();
        Self { typed: Zeroizing::new(typed), folded: Zeroizing::new(folded) }
    }

    pub(super) fn folded(&self) -> &[char] {
        &self.folded
    }

    fn without_separators(&self) -> Self {
        let is_kept = |c: &char| !matches!(c, ' ' | '-' | '_' | '.' | ',');
        Self::of(self.typed.iter().copied().filter(is_kept).collect())
    }

    /// The unit that a text repeats; the last repetition may be partial. Only for characters that
    /// every keyboard has: there are too many others to try.
    fn unit(&self) -> Option<Self> {
        let typed = &self.typed;
        let repeats = |length: &usize| typed[*length..] == typed[..typed.len() - length];
        let unit = &typed[..(1..=typed.len() / 2).find(repeats)?];
        unit.iter().all(char::is_ascii).then(|| Self::of(unit.to_vec()))
    }
}

/// Weakness of `text`, at any length that a password may have. `words` are the folded names of its
/// owner, and combine with any entry.
pub(super) fn weakness(text: &FoldedText, words: &[Vec<char>]) -> Option<Weakness> {
    if holds(&text.folded) {
        return Some(Weakness::Listed);
    }
    let covered = cover(text, words).or_else(|| {
        let bare = text.without_separators();
        (bare.typed.len() < text.typed.len()).then(|| cover(&bare, words))?
    });
    covered.or_else(|| {
        let unit = text.unit()?;
        if unit.typed.len() < REMAINDER_LIMIT {
            Some(Weakness::Pattern)
        } else {
            cover(&unit, words)
        }
    })
}

/// Accounts for every character, with the fewest characters that belong to neither an entry nor a
/// row.
fn cover(text: &FoldedText, words: &[Vec<char>]) -> Option<Weakness> {
    let end = text.typed.len();
    let little = REMAINDER_LIMIT.min(end / 2 + 1);
    // for each position and number of entries before it: the fewest other characters
    let mut left = vec![[little; MAX_ENTRIES + 1]; end + 1];
    left[0][0] = 0;
    for at in 0..end {
        let here = left[at];
        if here.iter().all(|others| *others >= little) {
            continue;
        }
        let (typed, folded) = (&text.typed[at..], &text.folded[at..]);
        let loose = usize::from(!typed[0].is_alphabetic());
        // a row counts as one character, and may end early where another part begins
        for length in (1..=loose).chain(MIN_ROW_LENGTH..=row_at(typed)) {
            for (used, others) in here.iter().enumerate() {
                let there = &mut left[at + length][used];
                *there = (*there).min(others + 1);
            }
        }
        let own = words.iter().filter(|word| folded.starts_with(word)).map(Vec::len);
        // a short number is in every long one
        let is_long = |length: &usize| {
            let has_letter = typed[..*length].iter().any(|c| c.is_alphabetic());
            *length >= if has_letter { MIN_ENTRY_LENGTH } else { REMAINDER_LIMIT }
        };
        let listed = entries_at(folded).filter(is_long).map(|length| (length, 1));
        for (length, entries) in listed.chain(own.map(|length| (length, 0))) {
            let part = &folded[..length];
            // a run of one character counts as a row; trying all its divisions would take long
            let is_run = part.iter().all(|c| *c == part[0]);
            let most = if is_run { 1 } else { end };
            let times = folded.chunks_exact(length).take(most).take_while(|next| *next == part);
            for to in (1..=times.count()).map(|times| at + times * length) {
                for (used, others) in here[..=MAX_ENTRIES - entries].iter().enumerate() {
                    let there = &mut left[to][used + entries];
                    *there = (*there).min(*others);
                }
            }
        }
    }
    let [rows_alone, entries @ ..] = left[end];
    if rows_alone < little {
        Some(Weakness::Pattern)
    } else {
        entries.iter().any(|others| *others < little).then_some(Weakness::Listed)
    }
}

/// Length of the row, or of the run of one character, that a text begins with.
fn row_at(typed: &[char]) -> usize {
    let along = |row: &mut dyn Iterator<Item = char>| {
        typed.iter().zip(row).take_while(|(typed, next)| **typed == *next).count()
    };
    let stays = match typed.first() {
        Some(first) if first.is_ascii() => along(&mut std::iter::repeat(*first)),
        _ => 0,
    };
    let rows = KEYBOARD_ROWS.iter().flat_map(|row| {
        let places = row.char_indices().filter(|(_, c)| typed.first() == Some(c));
        places.flat_map(move |(place, c)| {
            let onwards = &row[place..];
            let back = &row[..place + c.len_utf8()];
            [along(&mut onwards.chars()), along(&mut back.chars().rev())]
        })
    });
    rows.max().unwrap_or(0).max(stays)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weakness_of(typed: &str) -> Option<Weakness> {
        weakness(&FoldedText::new(typed), &[])
    }

    #[test]
    fn r40_common_passwords_are_weak_in_every_spelling() {
        for typed in [
            "password",
            "passwordpassword",
            "P@ssw0rdP@ssw0rd",
            "Password123!!!!!",
            "!!!1234 PassWord",
            "pässwörd pässwörd",
            "p a s s w o r d 1 2 3 4",
            "letmein letmein letmein",
            "Passwort!Passwort!",
            "1q2w3e4r5t6y7u8i",
            "123456789012345",
            "qwertyuiopasdfg",
        ] {
            assert_eq!(weakness_of(typed), Some(Weakness::Listed), "{typed}");
        }
    }

    #[test]
    fn r40_keyboard_rows_and_repetitions_are_weak() {
        for typed in [
            "aaaaaaaaaaaaaaa",
            "111111111111111",
            "ZYXWVUTSRQPONMLKJIHG",
            "abcdefghijklmno!",
            "987654321098765",
            "qwertz123456789",
            "zaq12wsxcde34rfv",
            "asdfghjkl;'12345",
            "abcabcabcabcabc",
            "xq7xq7xq7xq7xq7",
            "x-x-x-x-x-x-x-x",
        ] {
            assert_eq!(weakness_of(typed), Some(Weakness::Pattern), "{typed}");
        }
    }

    #[test]
    fn r40_several_words_are_not_weak() {
        for typed in [
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "correct horse battery",
            "horse tree lakes",
            "princess sunshine",
            "another-password-1",
            "password manager rhubarb",
            "twenty-three purple bicycles",
            "das pferd frisst keinen gurkensalat",
            "пароль пароль не угадать",
            "password 83714920561738",
            "83714920561374",
            "Tr0ub4dor&3 xkcd",
            "kX3#mq9!vT",
        ] {
            assert_eq!(weakness_of(typed), None, "{typed}");
        }
    }

    /// Repeats `unit` to exactly `length` characters; the last repetition may be partial.
    fn periodic(unit: &str, length: usize) -> String {
        unit.chars().cycle().take(length).collect()
    }

    #[test]
    fn r40_s19_patterns_are_weak_at_every_length() {
        for length in [22, 63, 64, 65, 66, 127, 200, 511, crate::model::PasswordError::MAX_LENGTH] {
            for unit in ["a", "1", "Zz", "x-", "xq7", "aaaaaab", "9081726"] {
                let typed = periodic(unit, length);
                assert_eq!(weakness_of(&typed), Some(Weakness::Pattern), "{unit} to {length}");
            }
            for unit in ["password", "P@ssw0rd", "letmein ", "Passwort!", "sunshine123", "dragon "]
            {
                assert!(weakness_of(&periodic(unit, length)).is_some(), "{unit} to {length}");
            }
            // with little around it
            for typed in [
                format!("{}1!", "a".repeat(length - 2)),
                format!("!{}", "a".repeat(length - 1)),
                format!("{}{}", "a".repeat(length / 2), "b".repeat(length - length / 2)),
            ] {
                assert_eq!(weakness_of(&typed), Some(Weakness::Pattern), "{typed}");
            }
        }
        for typed in [
            "abcdefghijklmnopqrstuvwxyz".repeat(3),
            "qwertyuiop".repeat(50),
            "01234567890".repeat(40),
            format!("{}{}", "password".repeat(60), "1234567890".repeat(3)),
        ] {
            assert!(weakness_of(&typed).is_some(), "{typed}");
        }
    }

    #[test]
    fn r39_long_passphrases_are_not_weak() {
        let phrase = "the long way home goes past seven green doors, and none of them is mine; ";
        for length in [15, 40, 64, 65, 100, 300, 512] {
            assert_eq!(weakness_of(&periodic(phrase, length)), None, "{length}");
        }
    }

    #[test]
    fn r39_characters_of_no_keyboard_are_not_weak() {
        for typed in ["\u{1f40e}", "é", "字"] {
            assert_eq!(weakness_of(&typed.repeat(15)), None, "{typed}");
        }
    }

    /// Every phrase of three of these words, joined in four ways, must be accepted, for each is one
    /// of thousands.
    #[test]
    fn r40_passphrases_are_not_weak() {
        // common words on purpose, most of them on the list by themselves
        let words = [
            "apple", "battery", "bridge", "candle", "copper", "correct", "dragon", "engine",
            "flower", "garden", "guitar", "hammer", "horse", "island", "jacket", "kitchen",
            "ladder", "marble", "monkey", "needle", "orange", "pepper", "purple", "river",
            "silver", "staple", "sunshine", "thunder", "velvet", "window",
        ];
        for (at, first) in words.iter().enumerate() {
            for second in &words[..at] {
                for third in words.iter().filter(|third| *third != first && *third != second) {
                    let separator = [" ", "-", "", "1"][third.len() % 4];
                    let phrase = [*first, *second, *third].join(separator);
                    assert_eq!(weakness_of(&phrase), None, "{phrase}");
                }
            }
        }
    }

    proptest::proptest! {
        /// Passwords of a password manager.
        #[test]
        fn r40_random_passwords_are_not_weak(typed in "[a-zA-Z0-9]{14,80}|[ -~]{14,80}|[ -~]{200,512}") {
            proptest::prop_assert_eq!(weakness_of(&typed), None);
        }
    }
}
