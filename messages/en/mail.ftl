### The letters. In ASCII, so that they can travel as they are.

mail-greeting = Hello,
mail-button-fails = If the button does not work, copy this link into the address bar of your browser:

mail-fact-when = When
mail-fact-browser = Browser
mail-fact-app = App
mail-fact-ended = Ended
mail-fact-signed-up = Signed up
mail-fact-new-address = New email address

## To whoever has signed up.

mail-activation-subject = Confirm your email address for { $service }
mail-activation-heading = Confirm your email address
mail-activation-lead =
    Somebody, most likely you, signed up with this email address. To confirm that it is yours, open this
    link and press the button on the page.
mail-activation-button = Confirm my email address
mail-activation-valid = The link works for { $span }. After that, the page offers a new one.
mail-activation-not-you = Was it not you?
    .advice =
        Press "This wasn't me" on the same page, or do nothing at all. No account is made unless the
        address is confirmed.

## To the owner of an address that somebody signed up with again.

mail-account-exists-subject = You already have an account with { $service }
mail-account-exists-heading = You already have an account
mail-account-exists-lead =
    Somebody, perhaps you, tried to sign up with this email address. It already has an account, so
    nothing was changed.
mail-account-exists-was-you = Was it you?
    .advice =
        Just sign in with the account that you have. If you have forgotten your password, you can
        choose a new one here:
mail-account-exists-not-you = Was it not you?
    .advice = There is nothing to do. Whoever it was has learned nothing about your account.

## To the owner of an address that somebody wanted to move their account to.

mail-address-in-use-subject = Your email address already has an account with { $service }
mail-address-in-use-heading = Your email address already has an account
mail-address-in-use-lead =
    Somebody, perhaps you, wanted to use this email address for another account. It already has an
    account of its own, so nothing was changed.
mail-address-in-use-was-you = Was it you?
    .advice =
        Choose another email address for the other account, or first delete the account that this one
        has.
mail-address-in-use-not-you = Was it not you?
    .advice = There is nothing to do. Whoever it was has learned nothing about your account.

## To somebody of whose session an old refresh token was used.

mail-session-ended-subject = A sign-in of yours was ended at { $service }
mail-session-ended-heading = A sign-in of yours was ended
mail-session-ended-lead =
    We ended one of your sign-ins, to be on the safe side. A key that had already been replaced by a
    newer one was used again. That happens when somebody has copied it; sometimes it is only a device
    that was restored from an old backup.
mail-session-ended-more = It cannot be used any more, by anybody. Your password was not changed.
mail-session-ended-was-you = Do you recognise it?
    .advice = Just sign in again.
mail-session-ended-not-you = Do you not recognise it?
    .advice =
        Then somebody else may know your password. Tell the people who run { $service }, do not use
        the password anywhere else, and choose a new one here:

## A forgotten password.

mail-password-reset-subject = Choose a new password for { $service }
mail-password-reset-heading = Choose a new password
mail-password-reset-lead =
    Somebody, most likely you, has forgotten the password of the account with this email address. To
    choose a new one, open this link.
mail-password-reset-button = Choose a new password
mail-password-reset-valid = The link works for { $span }, and once only.
mail-password-reset-not-you = Was it not you?
    .advice =
        Do nothing. Nothing has changed: your password is the same as before, and it stays so unless
        somebody uses this link.

## The operator sends a link to choose a new password.

mail-operator-reset-subject = A link to choose a new password for { $service }
mail-operator-reset-heading = Choose a new password
mail-operator-reset-lead =
    The people who run { $service } have sent you this link. Open it to choose a new password for
    your account.
mail-operator-reset-button = Choose a new password
mail-operator-reset-valid = The link works for { $span }, and once only.
mail-operator-reset-not-you = Did you not expect this email?
    .advice =
        Ask the people who run { $service } before you open the link, in a way that you know already.

## The operator made an account.

mail-invitation-subject = Your account with { $service }
mail-invitation-heading = An account was made for you
mail-invitation-lead =
    The people who run { $service } have made an account for you, with this email address. To begin,
    open this link and choose a password.
mail-invitation-button = Choose a password
mail-invitation-valid = The link works for { $span }, and once only.
mail-invitation-not-you = Did you not expect this email?
    .advice =
        Do nothing: nobody can sign in to an account that has no password. If you want to know more,
        ask the people who run { $service }.

## Notice that the password is another.

mail-password-changed-subject = Your password at { $service } was changed
mail-password-changed-heading = Your password was changed
mail-password-changed-lead =
    The password of your account was changed by somebody who was signed in to it. All other sign-ins
    have ended.
mail-password-changed-lead-by-link =
    The password of your account was changed, through a link that we had sent to this email address. All
    sign-ins have ended.
mail-password-changed-was-you = Was it you?
    .advice = Then there is nothing else to do.
mail-password-changed-not-you = Was it not you?
    .advice =
        Then somebody else knows your old password or can read your email. Change the password of your
        mailbox, tell the people who run { $service }, and choose a new password here:

## To the new address: is it yours?

mail-email-change-subject = Confirm your new email address for { $service }
mail-email-change-heading = Confirm your new email address
mail-email-change-lead =
    Somebody, most likely you, wants to use this email address for an account with { $service }. To
    confirm that it is yours, open this link and press the button on the page.
mail-email-change-button = Confirm my new email address
mail-email-change-valid = The link works for { $span }, and once only.
mail-email-change-not-you = Was it not you?
    .advice = Do nothing. The address is not used unless it is confirmed.

## To the old address: somebody wants to change it.

mail-email-change-notice-subject = Your email address at { $service } is about to change
mail-email-change-notice-heading = Your email address is about to change
mail-email-change-notice-lead =
    Somebody who is signed in to your account wants to use another email address for it. It changes once
    the new one is confirmed, and not before.
mail-email-change-notice-was-you = Was it you?
    .advice =
        Open the link in the email to your new address. There is nothing to do here.
mail-email-change-notice-not-you = Was it not you?
    .advice =
        Then stop it: open this link and press the button on the page. After that, change your
        password.
mail-email-change-notice-button = Stop the change
mail-email-change-notice-valid = The link works for { $span }.

## To the old address: it is changed.

mail-email-changed-subject = Your email address at { $service } was changed
mail-email-changed-heading = Your email address was changed
mail-email-changed-lead =
    Your account now has a new email address. You sign in with that one, and our emails go there. This
    is the last one to the old address.
mail-email-changed-was-you = Was it you?
    .advice = Then there is nothing else to do.
mail-email-changed-not-you = Was it not you?
    .advice =
        Then somebody else may have access to your account. Tell the people who run { $service } at
        once. If the new address is yours, choose a new password here:

## The account is gone.

mail-account-deleted-subject = Your account at { $service } was deleted
mail-account-deleted-heading = Your account was deleted
mail-account-deleted-lead = Somebody who was signed in to your account has deleted it.
mail-account-deleted-lead-by-operator =
    The people who run { $service } have deleted your account.
mail-account-deleted-more =
    What belonged to it is gone, nobody can sign in to it any more, and it cannot be brought back. You
    can sign up with this email address again.
mail-account-deleted-not-you = Was it not you?
    .advice =
        Then somebody else knew your password. Tell the people who run { $service }, and change the
        password wherever else you use it.
mail-account-deleted-by-operator = Do you not know why?
    .advice = Ask the people who run { $service }.

## From the operator: a test of the mail server.

mail-trial-subject = A test from { $service }
mail-trial-heading = It works
mail-trial-lead =
    The people who run { $service } sent this email to see whether its emails arrive. This one did.
mail-trial-more = There is nothing to do. No account is affected.
