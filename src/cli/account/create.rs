//! `vestibule account create`: creates an account for an address.

use serde::Serialize;
use vestibule::accounts::{AccountToCreate, Accounts, CreateError, IdOrEmail};
use vestibule::model::{EmailAddress, LetterKind, Locale, Name, NewPassword, PersonalData};

use crate::cli::common::ShownAccount;
use crate::cli::error::failed;
use crate::cli::output::print_result;
use crate::cli::{CommandError, input};

#[derive(clap::Args)]
pub struct CreateArguments {
    /// The address; the service does not ask its owner to confirm it
    email: EmailAddress,
    /// The owner's name
    #[arg(long, value_parser = name)]
    name: Option<Name>,
    /// The owner's language, such as de or en-GB
    #[arg(long, value_parser = Locale::parse)]
    locale: Option<Locale>,
    /// Read a password from the first line of standard input, instead of sending an invitation
    #[arg(long)]
    password_stdin: bool,
}

fn name(text: &str) -> Result<Name, String> {
    let name = Name::parse(text).map_err(|error| error.to_string())?;
    name.ok_or_else(|| "expected a name".to_owned())
}

#[derive(Serialize)]
struct Created {
    account: ShownAccount,
    /// The letter by which the owner chooses a password; `None` if the operator set one.
    letter: Option<&'static str>,
}

pub async fn run(
    accounts: &Accounts,
    arguments: CreateArguments,
    json: bool,
) -> Result<(), CommandError> {
    let password = match arguments.password_stdin {
        true => Some(read_password(accounts, &arguments)?),
        false => None,
    };
    let letter = password.is_none().then(|| LetterKind::Invitation.as_str());
    let wanted = AccountToCreate {
        email: arguments.email,
        name: arguments.name,
        locale: arguments.locale,
        password,
    };
    let created = accounts.create(&wanted).await;
    let id = created.map_err(|error| match error {
        CreateError::AddressTaken => {
            CommandError::Failed(format!("{} has an account already", wanted.email.to_unicode()))
        }
        CreateError::Failure(failure) => failed(&failure),
    })?;
    let created = accounts.find_named(&IdOrEmail::Id(id)).await?;
    let gone = || CommandError::Failed(format!("the account {id} was created, then deleted"));
    let account = created.ok_or_else(gone)?.into();
    print_result(json, &Created { account, letter }, |created| {
        let (id, email) = (created.account.id, created.account.email.to_unicode());
        match created.letter {
            Some(_) => format!("The account {id} is created; a letter invites {email}."),
            None => format!("The account {id} is created for {email}, with the given password."),
        }
    })
}

fn read_password(
    accounts: &Accounts,
    wanted: &CreateArguments,
) -> Result<NewPassword, CommandError> {
    let typed = input::first_line("the password")?;
    let owner = PersonalData { email: Some(&wanted.email), name: wanted.name.as_ref() };
    accounts.policy.judge(&typed, owner).map_err(|error| failed(&error))
}
