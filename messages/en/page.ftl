### The pages.

page-footer = { $service } never asks for your password by email.
page-error-prefix = Error:
page-address = Email address
page-browser = Browser
page-new-password = New password
page-password-rules =
    At least { $min_length } characters. Several words in a row do well, spaces included; capitals,
    digits and symbols are welcome but not needed. Passwords that many people have, your email address,
    your name and the name { $service } are not accepted.
page-not-you = Was it not you?
page-send-new-link = Send me a new link
page-send-again = Send the link again
page-forgotten-password = Choose a new password
page-close = You may close this page.

## What can be wrong with a field

error-password-too-short =
    A password has at least { $min_length } characters; a few words in a row do well.
error-password-too-long = A password has at most { $max_length } characters.
error-password-nul = A password cannot hold the NUL character.
error-password-contains-address =
    This password is your email address, or little more: it would be the first guess. Take four or more
    words that have nothing to do with each other or with you, or let a password manager make one.
error-password-contains-name =
    This password is your name, or little more: it would be the first guess. Take four or more words that
    have nothing to do with each other or with you, or let a password manager make one.
error-password-contains-service-name =
    This password is the name of this service, or little more: it would be the first guess. Take four or
    more words that have nothing to do with each other or with you, or let a password manager make one.
error-password-common =
    This password is one that many people have, or little more than one: it would be guessed soon. Take four or more words that have nothing to do with each other or with you, or let a password
    manager make one.
error-password-pattern =
    This password is a row of keys, or something short repeated: it would be guessed soon. Take four or
    more words that have nothing to do with each other or with you, or let a password manager make one.

## The link of a sign-up

activate = Confirm your email address
activate-contested =
    A sign-up with your email address is waiting, but we cannot tell whether its password is yours:
    after it another sign-up was made, or a new password was asked for. So no password counts yet. The
    email came to you, so you choose the password now.
activate-waiting =
    A sign-up with your email address is waiting. If you made it, confirm that the address is yours, and
    your account is ready.
activate-signed-up = Signed up
activate-contested-since = Password in doubt since
activate-set-password = Set password and confirm
activate-confirm = Confirm my email address
activate-not-you =
    If you did not sign up, do not confirm. Drop the sign-up instead, and no account is made from it.
activate-disavow = This wasn’t me

activated = Your email address is confirmed
    .title = Email address confirmed
activated-already = Your email address was already confirmed
    .title = Already confirmed
activated-ready = The account for { $email } is ready.
activated-some-time = That was done earlier.
activated-nothing-left = Nothing is left to do here.
activated-sign-in =
    You can sign in now, here or in the app where you signed up, with your email address and your
    password.

address-taken = This email address already has an account
    .title = You already have an account
address-taken-why =
    The account came to be in another way in the meantime, so this link is not needed. Nothing was
    changed.
address-taken-advice =
    Sign in with the account that the address has, here or in your app.

disavowed = The sign-up is dropped
    .title = Sign-up dropped
disavowed-thanks =
    Thank you for telling us. No account was made with it, and nothing further will happen. There is
    nothing else to do; you may close this page.

link-expired = This link has expired
    .title = Link expired
link-expired-why =
    For your safety, the links in our emails work for a limited time. We can send a new one to the
    address that the sign-up was made with.

link-unknown = This link does not work
    .title = Link not recognised
link-unknown-why =
    It may not be whole: some mail programs break a long link over two lines. Copy all of it from the
    email into the address bar, and try again.
link-unknown-advice =
    If that does not help, tell us your email address. We then send you a new link, by which
    you choose a password.
link-unknown-change =
    If that does not help, ask for the change of your email address again, in your account.

new-link-sent = Look in your mailbox
new-link-sent-what =
    If the old link was still waiting to be used, a fresh email is on its way to the address that it was
    sent to. Open the link in it. You may close this page.
new-link-sent-advice =
    Has nothing come after a few minutes? Look among the spam. If it is not there either, we
    can send it again.

## The link of a forgotten password

reset-password = Choose a new password
reset-password-what = For the account with the email address { $email }.
reset-password-set = Set the new password
reset-password-ends =
    Once the password is changed, every sign-in to the account ends, and you sign in again with the new
    one. If you did not ask for this, close the page: nothing has changed.

password-reset-done = Your password is changed
password-reset-done-ended = Every sign-in to your account has ended, on all devices.
password-reset-done-sign-in = Sign in again with the new password where you want to. You may close this page.

reset-link-expired =
    For your safety, the links in our emails work for a limited time. We can send a new one to the
    address of the account.

reset-link-used = This link was already used
    .title = Link already used
reset-link-used-why =
    Such a link changes a password once. If you want to change it again, or if it was not you who used
    the link, ask for a new one.

## The link of an invitation

choose-password = Choose your password
choose-password-what = An account was made for you, with the email address { $email }.
choose-password-set = Set my password
choose-password-then =
    Once it is set, you sign in with this email address and this password. Until then nobody can sign in
    to the account. If you did not expect this, close the page.

password-chosen = Your password is set
password-chosen-sign-in =
    You can sign in now, with your email address and this password. You may close this page.

## The links of a change of address

email-change-when = Asked for
confirm-email-account = Account
confirm-email = Confirm your new email address
confirm-email-what =
    { $new_email } is to be the email address of your account. Once you confirm that it is yours, you
    sign in with it, and our emails go there.
confirm-email-confirm = Confirm my new email address
confirm-email-not-you = Do not confirm, and close this page. Then nothing changes.

email-confirmed = Your new email address is confirmed
    .title = Email address confirmed
email-confirmed-already = Your new email address was already confirmed
    .title = Already confirmed
email-confirmed-sign-in = You sign in with { $email } from now on.

email-change-expired =
    For your safety, the links in our emails work for a limited time. Your email address was not
    changed. We can send a new link to the new address, or you ask for another change in your account.

stop-email-change = Stop the change of your email address
stop-email-change-what =
    Somebody who is signed in to your account wants to use { $new_email } as its email address. If it
    was not you, stop it.
stop-email-change-stop = Stop the change
stop-email-change-advice =
    Whoever did it could get into your account. So change your password as well.

email-change-stopped = The change is stopped
    .title = Change stopped
email-change-stopped-already = The change was already stopped
    .title = Already stopped
email-change-stopped-what = Your account keeps the email address that it has.
email-change-stopped-advice =
    If it was not you who wanted to change the email address, somebody else could get into your account.
    Choose a new password now; that ends every sign-in.

email-change-taken = Another account has this email address
    .title = Email address not changed
email-change-taken-why =
    { $new_email } came to another account in the meantime. Yours keeps the email address that it has.
email-change-taken-advice =
    You sign in as before. If you want yet another email address, ask for the change again in your
    account.

email-stop-expired =
    The change was not confirmed in time, so there is nothing left to stop: your account keeps the email
    address that it has.
email-stop-expired-advice =
    If it was not you who wanted to change the email address, somebody else could get into your account.
    Choose a new password now; that ends every sign-in.

email-change-too-late = The email address is already changed
    .title = Too late to stop it
email-change-too-late-why =
    The new address was confirmed before you opened this link, so the change cannot be stopped any more.
email-change-too-late-advice =
    If it was not you, somebody else may have access to your account: tell the people who run
    { $service } at once. If the new address is yours, there is nothing to do.

## Problems

page-problem-status = Status { $status }
page-problem-advice = What to do
page-problem-ask = If you ask for help, give this number:

## Forms that are refused for now

refused-wait-moment = Wait a moment, and then try again.
refused-wait-minutes = { $count ->
        [one] Wait a minute, and then try again.
       *[other] Wait { $count } minutes, and then try again.
    }
refused-wait-hours = Wait { $count } hours, and then try again.
refused-kept = Your entries are kept, except passwords.
refused-unread =
    To try again, reload this page: your browser then sends once more what you typed. It may ask you first.
refused-cure-password =
    You need not wait for this: a new password, asked for as a forgotten one, works at once.
refused-cure-link =
    Have you signed up already, or does your link not work? We can send it again. Behind it you choose a password.

## Letters, while developing

dev-letters = Emails
dev-all-letters = All emails
dev-letters-kept =
    During development, emails are kept here and go nowhere else.
dev-no-letters = No emails yet
dev-no-letters-advice =
    Sign somebody up, then reload this page: the first one will be waiting.
dev-letter-to = To { $to }
dev-from = From
dev-to = To
dev-subject = Subject
dev-date = Date
dev-links = Links in this email
dev-html = HTML part
dev-frame = HTML part of the email
dev-text = Text part
dev-footer = This page exists only while developing.

## The description of the service, for developers

docs = API reference
docs-of = The API of { $service }
docs-lead = Every call with its fields and answers. This is version { $version }.
docs-document = The same for programs (OpenAPI 3.1)
docs-contents = Contents
docs-needs-token = Needs an access token.
docs-needs-scope = Needs an access token with the scope { $scope }.
docs-needs-client = A confidential client shows who it is by HTTP Basic, or by id and secret in the body.
docs-needs-cookie = For somebody who is signed in at the account page, by its cookie.
docs-parameters = Parameters
docs-body = Body: { $kind }
docs-name = Name
docs-kind = Type
docs-what = What it is
docs-required = needed
docs-answers = Answers
docs-status = Status
docs-answer-fields = Fields of the answer
docs-example = Example
