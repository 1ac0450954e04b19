//! Output of a letter for the operator.

use serde::Serialize;
use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, EmailAddress, Locale};
use vestibule::storage::{LetterId, LetterRecord, LetterState};

use crate::cli::common::{as_text, or_dash};
use crate::cli::listing::Listed;
use crate::cli::table::printable;

/// Number of characters of an error that a list shows.
const MAX_WORDS_SHOWN: usize = 60;

/// A letter for the operator; `docs/operating/mail.md` documents its members.
#[derive(Serialize)]
pub struct ShownLetter {
    #[serde(serialize_with = "as_text")]
    pub id: LetterId,
    kind: String,
    #[serde(serialize_with = "as_text")]
    pub email: EmailAddress,
    locale: Option<Locale>,
    account: Option<AccountId>,
    state: &'static str,
    created_at: Timestamp,
    /// Time of the next try, if the letter waits.
    next_try_at: Option<Timestamp>,
    tries: i64,
    sent_at: Option<Timestamp>,
    dead_at: Option<Timestamp>,
    last_words: Option<String>,
}

impl From<LetterRecord> for ShownLetter {
    fn from(letter: LetterRecord) -> Self {
        Self {
            id: letter.id,
            kind: letter.kind,
            email: letter.email,
            locale: letter.locale,
            account: letter.account,
            state: match letter.state {
                LetterState::Waiting => "waiting",
                LetterState::OnItsWay => "on-its-way",
                LetterState::Sent => "sent",
                LetterState::Dead => "dead",
                LetterState::Held => "held",
            },
            created_at: letter.created_at,
            next_try_at: (letter.state == LetterState::Waiting).then_some(letter.due_at),
            tries: letter.tries,
            sent_at: letter.sent_at,
            dead_at: letter.dead_at,
            last_words: letter.last_error,
        }
    }
}

impl Listed<8> for ShownLetter {
    const HEAD: [&'static str; 8] =
        ["ID", "ADDRESS", "KIND", "STATE", "POSTED", "TRIES", "NEXT TRY", "LAST ERROR"];
    const MEMBER: &'static str = "letters";
    const NAME: &'static str = "letters";

    fn row(&self) -> [String; 8] {
        let words = self.last_words.as_ref();
        [
            self.id.to_string(),
            self.email.to_unicode(),
            self.kind.clone(),
            self.state.to_owned(),
            self.created_at.rfc3339(),
            self.tries.to_string(),
            or_dash(self.next_try_at.map(Timestamp::rfc3339)),
            or_dash(words.map(|words| words.chars().take(MAX_WORDS_SHOWN).collect::<String>())),
        ]
    }
}

impl ShownLetter {
    pub fn in_words(&self) -> String {
        let mut lines = vec![
            format!("id          {}", self.id),
            format!("address     {}", self.email.to_unicode()),
            format!("kind        {}", printable(&self.kind)),
            format!("language    {}", or_dash(self.locale.as_ref())),
            format!("account     {}", or_dash(self.account)),
            format!("state       {}", self.state),
            format!("posted      {}", self.created_at.rfc3339()),
            format!("tries       {}", self.tries),
        ];
        let instants = [
            ("next try    ", self.next_try_at),
            ("sent        ", self.sent_at),
            ("given up    ", self.dead_at),
        ];
        for (name, instant) in instants {
            lines.extend(instant.map(|instant| format!("{name}{}", instant.rfc3339())));
        }
        lines.extend(
            self.last_words.as_ref().map(|said| format!("last error  {}", printable(said))),
        );
        lines.join("\n")
    }
}
