//! Lists of all pages with their samples, and of all messages that the code chooses.

use super::{FieldMessage, Sample, account, add, dev_mail, docs, links, problem, refused_form};

/// The samples of every page.
pub fn all() -> Vec<Sample> {
    let mut all = Vec::new();
    add::<links::Activate<'_>>(&mut all);
    add::<links::ActivatedPage<'_>>(&mut all);
    add::<links::AddressTaken>(&mut all);
    add::<links::Disavowed>(&mut all);
    add::<links::LinkExpired<'_>>(&mut all);
    add::<links::LinkUnknown>(&mut all);
    add::<links::NewLinkSent<'_>>(&mut all);
    add::<links::ResetPassword<'_>>(&mut all);
    add::<links::PasswordResetDone>(&mut all);
    add::<links::ChoosePassword<'_>>(&mut all);
    add::<links::PasswordChosen>(&mut all);
    add::<links::ResetLinkExpired<'_>>(&mut all);
    add::<links::ResetLinkUsed>(&mut all);
    add::<links::ConfirmEmail<'_>>(&mut all);
    add::<links::EmailConfirmed<'_>>(&mut all);
    add::<links::EmailChangeExpired<'_>>(&mut all);
    add::<links::StopEmailChange<'_>>(&mut all);
    add::<links::EmailChangeStopped>(&mut all);
    add::<links::EmailChangeTooLate>(&mut all);
    add::<links::EmailChangeTaken<'_>>(&mut all);
    add::<links::EmailStopExpired>(&mut all);
    account::add_all(&mut all);
    add::<docs::Docs>(&mut all);
    add::<problem::ProblemView<'_>>(&mut all);
    add::<refused_form::RefusedForm<'_>>(&mut all);
    add::<dev_mail::DevMail>(&mut all);
    add::<dev_mail::DevLetter>(&mut all);
    all
}

/// One of each message that the code chooses. No template names these messages.
pub fn chosen_messages() -> Vec<FieldMessage> {
    let mut all = FieldMessage::samples();
    all.extend(account::chosen_messages());
    all.extend(problem::chosen_messages());
    all.extend(refused_form::chosen_messages());
    all
}
