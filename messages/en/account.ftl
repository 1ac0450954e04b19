### The pages of the account.

## Coming in

account-sign-in = Sign in
account-password = Password
account-sign-in-question = Sign in with an account that you have
account-sign-up = Sign up
account-sign-up-question = Sign up for an account
account-sign-up-what =
    You will get an email with a link. Open it to confirm that the address is yours, and your account is
    ready.
account-name-optional = Name (optional)
account-forgotten = Forgotten password
account-forgotten-question = Forgotten your password?
account-forgotten-what =
    Tell us the email address of your account, and we send you an email with a link to choose a new
    password. Until you use it, nothing changes.
account-forgotten-send = Send me the link
account-letter-sent = Look in your mailbox
account-letter-sent-sign-up =
    An email is on its way to { $email }. Open the link in it to confirm your address. You may close
    this page.
account-letter-sent-once-more =
    If a sign-up with { $email } still waits, another email is on its way. Open the link in it, or in an
    earlier one, to confirm your address. You may close this page.
account-letter-sent-forgotten =
    If there is an account at { $email }, or a sign-up that waits, an email is on its way. Open the link
    in it to choose a new password. You may close this page.
account-letter-sent-nothing =
    Nothing there after a few minutes? Look into the spam folder, and whether the address is spelled right.
account-letter-sent-again = Enter the email address again
account-waiting = Are you waiting for our email?
account-waiting-what =
    If you have signed up and our email has not come, we can send the link again, to { $email }. Behind it
    you choose a new password.

error-sign-in-refused =
    Email address and password do not belong together, or the address has yet to be confirmed. If you have
    just signed up, open the link in our email first. If you are not sure, choose a new password.
error-current-password-wrong = That is not your current password.
error-email-malformed =
    An email address has one @, with something on each side of it.
error-email-too-long =
    An email address has at most 254 characters, at most 64 of them before the @.
error-email-local-part =
    Before the @, an email address has letters a to z, digits, dots and a few other signs.
error-email-domain =
    After the @, an email address has a domain name such as example.org.
error-email-invisible-character =
    There is a blank or an invisible character inside this email address, as copying may leave one. Type it instead.
error-email-unchanged = That is the email address that your account has already.
error-name-too-long = A name has at most 100 characters.
error-name-control-characters = A name is one line of text.

## The account

account = Your account
account-go = Go to your account
account-sign-out = Sign out
account-since = Created
account-pending-email = Not confirmed yet
account-pending-hint = The change can be withdrawn until the new address is confirmed.
account-withdraw = Withdraw
account-name = Name
account-language = Language
account-language-of-browser = Same as the browser
account-save = Save
account-sessions = Where you are signed in
account-sessions-none = No app is signed in with your account.
account-session-page = This account page
account-session-here = This browser
account-session-since = Since { $date }
account-session-used = Last used { $date }
account-session-end = Sign out
account-end-all = Sign out everywhere
account-end-all-hint = This signs you out of every app, and here as well.
account-more = What else you can do
account-done-saved = Saved.
account-done-password =
    Your password is changed. Everywhere else you are signed out, and we have told you so by email.
account-done-email =
    Look in the mailbox of the new address: it takes effect once you open the link in our email and
    confirm.
account-done-withdrawn = Withdrawn. Your email address stays as it is.
account-done-session = You are signed out there.
account-done-out = You are signed out.
account-done-everywhere = You are signed out everywhere, and here as well.
account-done-resumed = You are signed in again. Nothing was saved yet: look at what you typed, and send it again.
account-unsaved =
    Your sign-in had ended, so nothing was saved or changed. Sign in again. Your entries are kept, except
    passwords.
account-done-ended =
    You are not signed in here any more: that ends after 20 minutes without use, after two hours in any
    case, and when you sign out from somewhere else. Sign in again to go on.

## Changes

account-change-password = Change password
account-change-password-what = You stay signed in here. Everywhere else you have to sign in again.
account-current-password = Current password
account-change-email = Change email address
account-change-email-what =
    Your account is at { $email }. We send a link to the new address, which takes effect when you open it
    and confirm, and a notice to the present one.
account-new-email = New email address
account-change-email-send = Send the link

## Leaving

account-export = Download all that is stored about you
account-delete = Delete account
account-delete-what =
    The account at { $email } and all data about you is deleted at once. This cannot be undone.
account-delete-export = Do you want to keep a copy?
account-delete-for-good = Delete my account for good
account-deleted = Your account is deleted
account-deleted-what =
    Your data is deleted. One last email tells you so; after that we delete this address as well.

## What happened

account-events = What happened
account-events-what = The latest first. If something here was not you, change your password.
account-events-none = Nothing is recorded.
account-events-earlier = Earlier
account-sessions-earlier = Earlier sign-ins
account-event-app = App { $app }

actor-owner = By you
actor-client = By an app
actor-operator = By the people who run the service
actor-stranger = Perhaps not by you
actor-service = By the service itself

event-sign-up = Sign-up
event-sign-up-dropped = Sign-up dropped
event-activation = Email address confirmed
event-sign-in = Signed in
event-sign-in-failed = Failed sign-in
event-password-refused = Wrong current password
event-sign-out = Signed out
event-sign-out-everywhere = Signed out everywhere
event-session-evicted = Signed out: too many sign-ins at once
event-access-token-revoked = Access of an app withdrawn
event-refresh-token-stolen = Sign-in ended for safety
event-profile-changed = Name or language changed
event-password-changed = Password changed
event-password-reset-requested = Link for a new password requested
event-password-reset = New password chosen by a link
event-email-change-requested = Change of email address requested
event-email-change-stopped = Change of email address stopped
event-email-changed = Email address changed
event-data-exported = Copy of your data downloaded
event-account-created = Account created
event-account-disabled = Account disabled
event-account-enabled = Account enabled
event-account-deleted = Account deleted
event-client-added = App registered
event-client-secret-rotated = App has a new secret
event-client-disabled = App disabled
event-client-enabled = App enabled
event-client-removed = App removed
