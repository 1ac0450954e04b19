### Die E-Mails.

# mit Ausrufezeichen: danach beginnt ein Satz, auch wo es keine Anrede gibt
mail-greeting = Guten Tag!
mail-button-fails = Falls die Schaltfläche nicht funktioniert, kopieren Sie bitte diesen Link in die Adresszeile Ihres Browsers:

mail-fact-when = Zeitpunkt
mail-fact-browser = Browser
mail-fact-app = App
mail-fact-ended = Beendet
mail-fact-signed-up = Registriert
mail-fact-new-address = Neue E-Mail-Adresse

## An die Person, die sich registriert hat.

mail-activation-subject = Bestätigen Sie Ihre E-Mail-Adresse für { $service }
mail-activation-heading = Bestätigen Sie Ihre E-Mail-Adresse
mail-activation-lead =
    Jemand, höchstwahrscheinlich Sie selbst, hat sich mit dieser E-Mail-Adresse registriert. Um zu
    bestätigen, dass sie Ihnen gehört, öffnen Sie bitte diesen Link und klicken Sie auf der Seite auf
    die Schaltfläche.
mail-activation-button = E-Mail-Adresse bestätigen
mail-activation-valid = Der Link ist { $span } lang gültig. Danach bietet die Seite einen neuen an.
mail-activation-not-you = Das waren nicht Sie?
    .advice =
        Wählen Sie auf derselben Seite „Das war ich nicht“, oder unternehmen Sie einfach nichts. Solange
        die Adresse nicht bestätigt ist, wird kein Konto angelegt.

## An die Person, mit deren Adresse sich jemand noch einmal registrieren wollte.

mail-account-exists-subject = Sie haben bereits ein Konto bei { $service }
mail-account-exists-heading = Sie haben bereits ein Konto
mail-account-exists-lead =
    Jemand, vielleicht Sie selbst, wollte sich mit dieser E-Mail-Adresse registrieren. Zu ihr gibt es
    bereits ein Konto; deshalb wurde nichts geändert.
mail-account-exists-was-you = Waren Sie es selbst?
    .advice =
        Melden Sie sich einfach mit Ihrem bestehenden Konto an. Falls Sie Ihr Passwort vergessen haben,
        können Sie hier ein neues wählen:
mail-account-exists-not-you = Das waren nicht Sie?
    .advice =
        Sie brauchen nichts zu unternehmen. Wer immer es war, hat nichts über Ihr Konto erfahren.

## An die Person, deren Adresse jemand für ein anderes Konto verwenden wollte.

mail-address-in-use-subject =
    Zu Ihrer E-Mail-Adresse gibt es bereits ein Konto bei { $service }
mail-address-in-use-heading = Zu Ihrer E-Mail-Adresse gibt es bereits ein Konto
mail-address-in-use-lead =
    Jemand, vielleicht Sie selbst, wollte diese E-Mail-Adresse für ein anderes Konto verwenden. Zu ihr
    gibt es bereits ein eigenes Konto; deshalb wurde nichts geändert.
mail-address-in-use-was-you = Waren Sie es selbst?
    .advice =
        Wählen Sie für das andere Konto eine andere E-Mail-Adresse, oder löschen Sie zuvor das Konto,
        das zu dieser gehört.
mail-address-in-use-not-you = Das waren nicht Sie?
    .advice =
        Sie brauchen nichts zu unternehmen. Wer immer es war, hat nichts über Ihr Konto erfahren.

## An die Person, bei deren Anmeldung ein altes Refresh-Token verwendet wurde.

mail-session-ended-subject = Eine Ihrer Anmeldungen bei { $service } wurde beendet
mail-session-ended-heading = Eine Ihrer Anmeldungen wurde beendet
mail-session-ended-lead =
    Wir haben vorsichtshalber eine Ihrer Anmeldungen beendet. Ein Schlüssel, der bereits durch einen
    neueren ersetzt war, wurde noch einmal verwendet. Das geschieht, wenn ihn jemand kopiert hat;
    manchmal wurde auch nur ein Gerät aus einer alten Sicherung wiederhergestellt.
mail-session-ended-more =
    Mit dieser Anmeldung kommt niemand mehr in Ihr Konto. Ihr Passwort wurde nicht geändert.
mail-session-ended-was-you = Sie erkennen die Anmeldung wieder?
    .advice = Melden Sie sich einfach erneut an.
mail-session-ended-not-you = Sie erkennen sie nicht wieder?
    .advice =
        Dann kennt möglicherweise jemand anderes Ihr Passwort. Informieren Sie den Betreiber von
        { $service }, verwenden Sie das Passwort nirgendwo sonst, und wählen Sie hier ein neues:

## Ein vergessenes Passwort.

mail-password-reset-subject = Wählen Sie ein neues Passwort für { $service }
mail-password-reset-heading = Wählen Sie ein neues Passwort
mail-password-reset-lead =
    Jemand, höchstwahrscheinlich Sie selbst, hat das Passwort des Kontos mit dieser E-Mail-Adresse
    vergessen. Um ein neues zu wählen, öffnen Sie bitte diesen Link.
mail-password-reset-button = Neues Passwort wählen
mail-password-reset-valid = Der Link ist { $span } lang gültig und funktioniert nur einmal.
mail-password-reset-not-you = Das waren nicht Sie?
    .advice =
        Dann unternehmen Sie nichts. Es hat sich nichts geändert: Ihr Passwort ist noch dasselbe und
        bleibt es auch, solange niemand diesen Link verwendet.

## Der Betreiber schickt einen Link, um ein neues Passwort zu wählen.

mail-operator-reset-subject = Ein Link zur Wahl eines neuen Passworts für { $service }
mail-operator-reset-heading = Wählen Sie ein neues Passwort
mail-operator-reset-lead =
    Der Betreiber von { $service } hat Ihnen diesen Link geschickt. Öffnen Sie ihn, um ein neues
    Passwort für Ihr Konto zu wählen.
mail-operator-reset-button = Neues Passwort wählen
mail-operator-reset-valid = Der Link ist { $span } lang gültig und funktioniert nur einmal.
mail-operator-reset-not-you = Sie haben diese E-Mail nicht erwartet?
    .advice =
        Fragen Sie beim Betreiber von { $service } nach, bevor Sie den Link öffnen, und zwar auf einem
        Weg, den Sie bereits kennen.

## Der Betreiber hat ein Konto angelegt.

mail-invitation-subject = Ihr Konto bei { $service }
mail-invitation-heading = Für Sie wurde ein Konto angelegt
mail-invitation-lead =
    Der Betreiber von { $service } hat für Sie ein Konto mit dieser E-Mail-Adresse angelegt. Um zu
    beginnen, öffnen Sie bitte diesen Link und wählen Sie ein Passwort.
mail-invitation-button = Passwort wählen
mail-invitation-valid = Der Link ist { $span } lang gültig und funktioniert nur einmal.
mail-invitation-not-you = Sie haben diese E-Mail nicht erwartet?
    .advice =
        Dann unternehmen Sie nichts: Bei einem Konto ohne Passwort kann sich niemand anmelden. Wenn Sie
        mehr wissen möchten, fragen Sie den Betreiber von { $service }.

## Hinweis, dass das Passwort ein anderes ist.

mail-password-changed-subject = Ihr Passwort bei { $service } wurde geändert
mail-password-changed-heading = Ihr Passwort wurde geändert
mail-password-changed-lead =
    Das Passwort Ihres Kontos wurde von jemandem geändert, der dort angemeldet war. Alle anderen
    Anmeldungen wurden beendet.
mail-password-changed-lead-by-link =
    Das Passwort Ihres Kontos wurde geändert, und zwar über einen Link, den wir an diese E-Mail-Adresse
    geschickt hatten. Alle Anmeldungen wurden beendet.
mail-password-changed-was-you = Waren Sie es selbst?
    .advice = Dann brauchen Sie nichts weiter zu tun.
mail-password-changed-not-you = Das waren nicht Sie?
    .advice =
        Dann kennt jemand anderes Ihr altes Passwort oder kann Ihre E-Mails lesen. Ändern Sie das
        Passwort Ihres Postfachs, informieren Sie den Betreiber von { $service }, und wählen Sie hier
        ein neues Passwort:

## An die neue Adresse: Gehört sie Ihnen?

mail-email-change-subject = Bestätigen Sie Ihre neue E-Mail-Adresse für { $service }
mail-email-change-heading = Bestätigen Sie Ihre neue E-Mail-Adresse
mail-email-change-lead =
    Jemand, höchstwahrscheinlich Sie selbst, möchte diese E-Mail-Adresse für ein Konto bei { $service }
    verwenden. Um zu bestätigen, dass sie Ihnen gehört, öffnen Sie bitte diesen Link und klicken Sie auf
    der Seite auf die Schaltfläche.
mail-email-change-button = Neue E-Mail-Adresse bestätigen
mail-email-change-valid = Der Link ist { $span } lang gültig und funktioniert nur einmal.
mail-email-change-not-you = Das waren nicht Sie?
    .advice =
        Dann unternehmen Sie nichts. Solange die Adresse nicht bestätigt ist, wird sie nicht verwendet.

## An die alte Adresse: Jemand möchte sie ändern.

mail-email-change-notice-subject = Ihre E-Mail-Adresse bei { $service } soll geändert werden
mail-email-change-notice-heading = Ihre E-Mail-Adresse soll geändert werden
mail-email-change-notice-lead =
    Jemand, der bei Ihrem Konto angemeldet ist, möchte dafür eine andere E-Mail-Adresse verwenden. Sie
    ändert sich erst, wenn die neue bestätigt ist.
mail-email-change-notice-was-you = Waren Sie es selbst?
    .advice =
        Öffnen Sie den Link in der E-Mail an Ihre neue Adresse. Hier brauchen Sie nichts zu tun.
mail-email-change-notice-not-you = Das waren nicht Sie?
    .advice =
        Dann stoppen Sie die Änderung: Öffnen Sie diesen Link und klicken Sie auf der Seite auf die
        Schaltfläche. Ändern Sie danach Ihr Passwort.
mail-email-change-notice-button = Änderung stoppen
mail-email-change-notice-valid = Der Link ist { $span } lang gültig.

## An die alte Adresse: Sie ist geändert.

mail-email-changed-subject = Ihre E-Mail-Adresse bei { $service } wurde geändert
mail-email-changed-heading = Ihre E-Mail-Adresse wurde geändert
mail-email-changed-lead =
    Ihr Konto hat jetzt eine neue E-Mail-Adresse. Sie melden sich mit dieser an, und dorthin gehen auch
    unsere E-Mails. Diese E-Mail ist die letzte an die alte Adresse.
mail-email-changed-was-you = Waren Sie es selbst?
    .advice = Dann brauchen Sie nichts weiter zu tun.
mail-email-changed-not-you = Das waren nicht Sie?
    .advice =
        Dann hat möglicherweise jemand anderes Zugriff auf Ihr Konto. Informieren Sie sofort den
        Betreiber von { $service }. Falls die neue Adresse Ihnen gehört, wählen Sie hier ein neues
        Passwort:

## Das Konto gibt es nicht mehr.

mail-account-deleted-subject = Ihr Konto bei { $service } wurde gelöscht
mail-account-deleted-heading = Ihr Konto wurde gelöscht
mail-account-deleted-lead = Jemand, der dort angemeldet war, hat Ihr Konto gelöscht.
mail-account-deleted-lead-by-operator =
    Der Betreiber von { $service } hat Ihr Konto gelöscht.
mail-account-deleted-more =
    Was dazu gehörte, ist gelöscht; niemand kann sich mehr bei diesem Konto anmelden, und es lässt sich
    nicht wiederherstellen. Mit dieser E-Mail-Adresse können Sie sich erneut registrieren.
mail-account-deleted-not-you = Das waren nicht Sie?
    .advice =
        Dann kannte jemand anderes Ihr Passwort. Informieren Sie den Betreiber von { $service }, und
        ändern Sie das Passwort überall, wo Sie es sonst noch verwenden.
mail-account-deleted-by-operator = Sie wissen nicht, warum?
    .advice = Fragen Sie den Betreiber von { $service }.

## Vom Betreiber: eine Probe des Mailservers.

mail-trial-subject = Eine Probe von { $service }
mail-trial-heading = Es funktioniert
mail-trial-lead =
    Der Betreiber von { $service } prüft mit dieser E-Mail, ob seine E-Mails ankommen. Diese ist
    angekommen.
mail-trial-more = Sie müssen nichts tun. Kein Konto ist davon betroffen.
