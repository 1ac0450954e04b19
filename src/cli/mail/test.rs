//! `vestibule mail test`: sends a test letter, and diagnoses a failure.

use figment::Figment;
use serde::Serialize;
use vestibule::mail::{DeliveryFailure, Diagnosis, TestLetterError};
use vestibule::model::{EmailAddress, Locale};
use vestibule::storage::LetterId;
use vestibule::test_letter_for_operator;

use crate::cli::CommandError;
use crate::cli::common::as_text;
use crate::cli::error::failed;
use crate::cli::output::print_result;
use crate::cli::table::printable;

#[derive(clap::Args)]
pub struct TestArguments {
    /// The recipient's address
    #[arg(value_name = "ADDRESS")]
    email: EmailAddress,
    /// The language of the letter, such as de
    #[arg(long, value_parser = Locale::parse)]
    locale: Option<Locale>,
}

#[derive(Serialize)]
struct TestReport {
    #[serde(serialize_with = "as_text")]
    email: EmailAddress,
    /// Whether the mail server has taken the letter.
    taken: bool,
    /// The letter's id, with which its Message-ID begins.
    letter: Option<String>,
    /// The step that failed, if the letter was not taken.
    stage: Option<&'static str>,
    /// The mail server's reply code.
    code: Option<u16>,
    words: Option<String>,
    /// The observation, as far as the failure was diagnosed.
    seen: Option<String>,
    /// The setting to change, if a setting helps.
    setting: Option<&'static str>,
    advice: Option<String>,
}

pub async fn run(
    figment: &Figment,
    wanted: &TestArguments,
    json: bool,
) -> Result<(), CommandError> {
    let test_letter = test_letter_for_operator(figment)?;
    match test_letter.send(&wanted.email, wanted.locale.as_ref()).await {
        Ok(letter) => report_taken(wanted, letter, json),
        Err(TestLetterError::Send(failure)) => {
            let diagnosis = test_letter.diagnose(&failure).await;
            let mut problem = format!("no letter was sent: {}", printable(&failure.to_string()));
            if let Some(Diagnosis { seen, setting, advice }) = &diagnosis {
                let setting = setting.map(|setting| format!("{setting}: ")).unwrap_or_default();
                problem.push_str(&printable(&format!("; {seen}. {setting}{advice}")));
            }
            if json {
                report_not_taken(wanted, failure, diagnosis)?;
            }
            Err(CommandError::Failed(problem))
        }
        Err(error) => Err(failed(&error)),
    }
}

fn report_taken(wanted: &TestArguments, letter: LetterId, json: bool) -> Result<(), CommandError> {
    let report = TestReport {
        email: wanted.email.clone(),
        taken: true,
        letter: Some(letter.to_string()),
        stage: None,
        code: None,
        words: None,
        seen: None,
        setting: None,
        advice: None,
    };
    print_result(json, &report, |report| {
        format!("A letter to {} was sent, with the id {letter}.", report.email.to_unicode())
    })
}

fn report_not_taken(
    wanted: &TestArguments,
    failure: DeliveryFailure,
    diagnosis: Option<Diagnosis>,
) -> Result<(), CommandError> {
    let (seen, setting, advice) = match diagnosis {
        Some(Diagnosis { seen, setting, advice }) => (Some(seen), setting, Some(advice)),
        None => (None, None, None),
    };
    let report = TestReport {
        email: wanted.email.clone(),
        taken: false,
        letter: None,
        stage: Some(failure.stage.as_str()),
        code: failure.code,
        words: Some(failure.words),
        seen,
        setting,
        advice,
    };
    print_result(true, &report, |_| String::new())
}
