### Die Seiten.

page-footer = { $service } fragt in E-Mails niemals nach Ihrem Passwort.
page-error-prefix = Fehler:
page-address = E-Mail-Adresse
page-browser = Browser
page-new-password = Neues Passwort
page-password-rules =
    Mindestens { $min_length } Zeichen. Gut sind mehrere Wörter hintereinander, auch mit Leerzeichen;
    Großbuchstaben, Ziffern und Sonderzeichen sind willkommen, aber nicht nötig. Passwörter, die viele
    Leute haben, Ihre E-Mail-Adresse, Ihr Name und der Name { $service } werden nicht angenommen.
page-not-you = Das waren nicht Sie?
page-send-again = Link noch einmal senden
page-send-new-link = Neuen Link zusenden
page-forgotten-password = Neues Passwort wählen
page-close = Sie können diese Seite schließen.

## Was an einem Feld falsch sein kann

error-password-too-short =
    Ein Passwort hat mindestens { $min_length } Zeichen; gut sind ein paar Wörter hintereinander.
error-password-too-long = Ein Passwort hat höchstens { $max_length } Zeichen.
error-password-nul = Ein Passwort darf das NUL-Zeichen nicht enthalten.
error-password-contains-address =
    Dieses Passwort ist Ihre E-Mail-Adresse oder kaum mehr als sie: Es würde als Erstes erraten. Nehmen
    Sie vier oder mehr Wörter, die weder miteinander noch mit Ihnen zu tun haben, oder lassen Sie einen
    Passwortmanager eines erzeugen.
error-password-contains-name =
    Dieses Passwort ist Ihr Name oder kaum mehr als er: Es würde als Erstes erraten. Nehmen Sie vier oder
    mehr Wörter, die weder miteinander noch mit Ihnen zu tun haben, oder lassen Sie einen Passwortmanager
    eines erzeugen.
error-password-contains-service-name =
    Dieses Passwort ist der Name dieses Dienstes oder kaum mehr als er: Es würde als Erstes erraten.
    Nehmen Sie vier oder mehr Wörter, die weder miteinander noch mit Ihnen zu tun haben, oder lassen Sie
    einen Passwortmanager eines erzeugen.
error-password-common =
    Dieses Passwort haben viele Leute, oder es ist kaum mehr als ein solches: Es würde bald erraten. Nehmen Sie vier oder mehr Wörter, die weder miteinander noch mit Ihnen zu tun haben,
    oder lassen Sie einen Passwortmanager eines erzeugen.
error-password-pattern =
    Dieses Passwort ist eine Reihe von Tasten oder wiederholt etwas Kurzes: Es würde bald erraten. Nehmen
    Sie vier oder mehr Wörter, die weder miteinander noch mit Ihnen zu tun haben, oder lassen Sie einen
    Passwortmanager eines erzeugen.

## Der Link einer Registrierung

activate = Bestätigen Sie Ihre E-Mail-Adresse
activate-contested =
    Eine Registrierung mit Ihrer E-Mail-Adresse wartet auf Bestätigung, aber wir können nicht erkennen, ob
    ihr Passwort von Ihnen stammt: Danach gab es eine weitere Registrierung, oder es wurde ein neues
    Passwort angefordert. Deshalb gilt noch kein Passwort. Die E-Mail ging an Sie, also wählen Sie jetzt
    das Passwort.
activate-waiting =
    Eine Registrierung mit Ihrer E-Mail-Adresse wartet auf Bestätigung. Wenn sie von Ihnen stammt,
    bestätigen Sie, dass die Adresse Ihnen gehört, und Ihr Konto ist bereit.
activate-signed-up = Registriert
activate-contested-since = Passwort ungewiss seit
activate-set-password = Passwort festlegen und bestätigen
activate-confirm = E-Mail-Adresse bestätigen
activate-not-you =
    Wenn Sie sich nicht registriert haben, bestätigen Sie nicht. Verwerfen Sie stattdessen die
    Registrierung; dann wird daraus kein Konto.
activate-disavow = Das war ich nicht

activated = Ihre E-Mail-Adresse ist bestätigt
    .title = E-Mail-Adresse bestätigt
activated-already = Ihre E-Mail-Adresse war bereits bestätigt
    .title = Bereits bestätigt
activated-ready = Das Konto für { $email } ist bereit.
activated-some-time = Das ist bereits früher geschehen.
activated-nothing-left = Hier ist nichts mehr zu tun.
activated-sign-in =
    Sie können sich jetzt mit Ihrer E-Mail-Adresse und Ihrem Passwort anmelden, hier oder in der App, in
    der Sie sich registriert haben.

address-taken = Zu dieser E-Mail-Adresse gibt es bereits ein Konto
    .title = Sie haben bereits ein Konto
address-taken-why =
    Das Konto ist inzwischen auf anderem Weg entstanden; deshalb wird dieser Link nicht gebraucht. Es
    wurde nichts geändert.
address-taken-advice =
    Melden Sie sich mit dem Konto an, das zu der Adresse gehört, hier oder in Ihrer App.

disavowed = Die Registrierung ist verworfen
    .title = Registrierung verworfen
disavowed-thanks =
    Vielen Dank für den Hinweis. Es wurde kein Konto daraus, und es geschieht nichts weiter. Sie
    brauchen nichts mehr zu tun und können diese Seite schließen.

link-expired = Dieser Link ist abgelaufen
    .title = Link abgelaufen
link-expired-why =
    Zu Ihrer Sicherheit sind die Links in unseren E-Mails nur begrenzte Zeit gültig. Wir können einen
    neuen an die Adresse senden, mit der die Registrierung vorgenommen wurde.

link-unknown = Dieser Link funktioniert nicht
    .title = Link nicht erkannt
link-unknown-why =
    Vielleicht ist er nicht vollständig: Manche E-Mail-Programme brechen einen langen Link auf zwei
    Zeilen um. Kopieren Sie ihn ganz aus der E-Mail in die Adresszeile und versuchen Sie es noch einmal.
link-unknown-advice =
    Wenn das nicht hilft, nennen Sie uns Ihre E-Mail-Adresse. Wir senden Ihnen dann einen neuen
    Link, über den Sie ein Passwort wählen.
link-unknown-change =
    Wenn das nicht hilft, fordern Sie die Änderung Ihrer E-Mail-Adresse in Ihrem Konto noch einmal an.

new-link-sent = Sehen Sie in Ihrem Postfach nach
new-link-sent-what =
    Wenn der alte Link noch gebraucht wird, ist eine neue E-Mail an dieselbe Adresse unterwegs. Öffnen
    Sie den Link darin. Diese Seite können Sie schließen.
new-link-sent-advice =
    Nach ein paar Minuten ist nichts angekommen? Sehen Sie im Spam-Ordner nach. Ist die E-Mail auch dort
    nicht, können wir sie noch einmal senden.

## Der Link eines vergessenen Passworts

reset-password = Wählen Sie ein neues Passwort
reset-password-what = Für das Konto mit der E-Mail-Adresse { $email }.
reset-password-set = Neues Passwort festlegen
reset-password-ends =
    Sobald das Passwort geändert ist, enden alle Anmeldungen bei diesem Konto, und Sie melden sich mit
    dem neuen Passwort wieder an. Wenn Sie das nicht angefordert haben, schließen Sie die Seite: Es hat
    sich nichts geändert.

password-reset-done = Ihr Passwort ist geändert
password-reset-done-ended = Alle Anmeldungen bei Ihrem Konto wurden beendet, auf allen Geräten.
password-reset-done-sign-in =
    Melden Sie sich mit dem neuen Passwort dort wieder an, wo Sie möchten. Diese Seite können Sie
    schließen.

reset-link-expired =
    Zu Ihrer Sicherheit sind die Links in unseren E-Mails nur begrenzte Zeit gültig. Wir können einen
    neuen an die Adresse des Kontos senden.

reset-link-used = Dieser Link wurde bereits verwendet
    .title = Link bereits verwendet
reset-link-used-why =
    Ein solcher Link ändert ein Passwort nur einmal. Wenn Sie es noch einmal ändern möchten oder den
    Link nicht selbst verwendet haben, fordern Sie einen neuen an.

## Der Link einer Einladung

choose-password = Wählen Sie Ihr Passwort
choose-password-what = Für Sie wurde ein Konto mit der E-Mail-Adresse { $email } angelegt.
choose-password-set = Passwort festlegen
choose-password-then =
    Danach melden Sie sich mit dieser E-Mail-Adresse und diesem Passwort an. Bis dahin kann sich niemand
    bei dem Konto anmelden. Wenn Sie das nicht erwartet haben, schließen Sie die Seite.

password-chosen = Ihr Passwort ist festgelegt
password-chosen-sign-in =
    Sie können sich jetzt mit Ihrer E-Mail-Adresse und diesem Passwort anmelden. Diese Seite können
    Sie schließen.

## Die Links einer Adressänderung

email-change-when = Angefordert
confirm-email-account = Konto
confirm-email = Bestätigen Sie Ihre neue E-Mail-Adresse
confirm-email-what =
    { $new_email } soll die E-Mail-Adresse Ihres Kontos werden. Sobald Sie bestätigen, dass sie Ihnen
    gehört, melden Sie sich mit ihr an, und unsere E-Mails gehen dorthin.
confirm-email-confirm = Neue E-Mail-Adresse bestätigen
confirm-email-not-you = Bestätigen Sie nicht, und schließen Sie diese Seite. Dann ändert sich nichts.

email-confirmed = Ihre neue E-Mail-Adresse ist bestätigt
    .title = E-Mail-Adresse bestätigt
email-confirmed-already = Ihre neue E-Mail-Adresse war bereits bestätigt
    .title = Bereits bestätigt
email-confirmed-sign-in = Sie melden sich von jetzt an mit { $email } an.

email-change-expired =
    Zu Ihrer Sicherheit sind die Links in unseren E-Mails nur begrenzte Zeit gültig. Ihre E-Mail-Adresse
    wurde nicht geändert. Wir können einen neuen Link an die neue Adresse senden, oder Sie fordern die
    Änderung in Ihrem Konto noch einmal an.

stop-email-change = Stoppen Sie die Änderung Ihrer E-Mail-Adresse
stop-email-change-what =
    Jemand, der bei Ihrem Konto angemeldet ist, möchte { $new_email } als dessen E-Mail-Adresse
    verwenden. Wenn das nicht Sie waren, stoppen Sie die Änderung.
stop-email-change-stop = Änderung stoppen
stop-email-change-advice =
    Wer immer es war, hatte Zugriff auf Ihr Konto. Ändern Sie deshalb auch Ihr Passwort.

email-change-stopped = Die Änderung ist gestoppt
    .title = Änderung gestoppt
email-change-stopped-already = Die Änderung war bereits gestoppt
    .title = Bereits gestoppt
email-change-stopped-what = Ihr Konto behält seine E-Mail-Adresse.
email-change-stopped-advice =
    Wenn nicht Sie selbst die E-Mail-Adresse ändern wollten, hatte jemand anderes Zugriff auf Ihr Konto.
    Wählen Sie jetzt ein neues Passwort; damit enden alle Anmeldungen.

email-change-taken = Diese E-Mail-Adresse gehört zu einem anderen Konto
    .title = E-Mail-Adresse nicht geändert
email-change-taken-why =
    { $new_email } gehört inzwischen zu einem anderen Konto. Ihres behält seine E-Mail-Adresse.
email-change-taken-advice =
    Sie melden sich an wie bisher. Wenn Sie eine andere E-Mail-Adresse verwenden möchten, fordern Sie
    die Änderung in Ihrem Konto erneut an.

email-stop-expired =
    Die Änderung wurde nicht rechtzeitig bestätigt. Es gibt nichts mehr zu stoppen: Ihr Konto behält seine
    E-Mail-Adresse.
email-stop-expired-advice =
    Wenn nicht Sie selbst die E-Mail-Adresse ändern wollten, hatte jemand anderes Zugriff auf Ihr Konto.
    Wählen Sie jetzt ein neues Passwort; damit enden alle Anmeldungen.

email-change-too-late = Die E-Mail-Adresse ist bereits geändert
    .title = Zu spät zum Stoppen
email-change-too-late-why =
    Die neue Adresse wurde bestätigt, bevor Sie diesen Link geöffnet haben; deshalb lässt sich die
    Änderung nicht mehr stoppen.
email-change-too-late-advice =
    Wenn das nicht Sie waren, hat möglicherweise jemand anderes Zugriff auf Ihr Konto: Informieren Sie
    sofort den Betreiber von { $service }. Falls die neue Adresse Ihnen gehört, brauchen Sie nichts zu
    tun.

## Probleme

page-problem-status = Status { $status }
page-problem-advice = Was Sie tun können
page-problem-ask = Wenn Sie um Hilfe bitten, nennen Sie diese Nummer:

## Was gerade nicht geht

refused-wait-moment = Warten Sie einen Moment, und versuchen Sie es dann noch einmal.
refused-wait-minutes = { $count ->
        [one] Warten Sie eine Minute, und versuchen Sie es dann noch einmal.
       *[other] Warten Sie { $count } Minuten, und versuchen Sie es dann noch einmal.
    }
refused-wait-hours = Warten Sie { $count } Stunden, und versuchen Sie es dann noch einmal.
refused-kept = Ihre Eingaben bleiben erhalten, außer Passwörtern.
refused-unread =
    Laden Sie dazu diese Seite neu: Ihr Browser sendet dann noch einmal, was Sie eingegeben haben. Vielleicht fragt er vorher nach.
refused-cure-password =
    So lange müssen Sie nicht warten: Ein neues Passwort, angefordert über „Passwort vergessen“, gilt sofort.
refused-cure-link =
    Haben Sie sich schon registriert, oder funktioniert Ihr Link nicht? Wir können ihn noch einmal senden. Dort wählen Sie ein Passwort.

## E-Mails, während der Entwicklung

dev-letters = E-Mails
dev-all-letters = Alle E-Mails
dev-letters-kept = Während der Entwicklung bleiben E-Mails hier und gehen nirgendwohin sonst.
dev-no-letters = Noch keine E-Mails
dev-no-letters-advice =
    Registrieren Sie jemanden und laden Sie diese Seite neu: Dann finden Sie hier die erste.
dev-letter-to = An { $to }
dev-from = Von
dev-to = An
dev-subject = Betreff
dev-date = Datum
dev-links = Links in dieser E-Mail
dev-html = HTML-Teil
dev-frame = HTML-Teil der E-Mail
dev-text = Textteil
dev-footer = Diese Seite gibt es nur während der Entwicklung.

## Die Beschreibung des Dienstes, für Entwickler

docs = API-Referenz
docs-of = Die API von { $service }
docs-lead = Jeder Aufruf mit seinen Feldern und Antworten, auf Englisch. Dies ist Version { $version }.
docs-document = Dasselbe für Programme (OpenAPI 3.1)
docs-contents = Inhalt
docs-needs-token = Braucht ein Zugriffstoken.
docs-needs-scope = Braucht ein Zugriffstoken mit dem Scope { $scope }.
docs-needs-client = Ein vertraulicher Client weist sich durch HTTP Basic aus, oder durch Id und Geheimnis im Body.
docs-needs-cookie = Für jemanden, der auf der Kontoseite angemeldet ist, durch deren Cookie.
docs-parameters = Parameter
docs-body = Body: { $kind }
docs-name = Name
docs-kind = Typ
docs-what = Bedeutung
docs-required = nötig
docs-answers = Antworten
docs-status = Status
docs-answer-fields = Felder der Antwort
docs-example = Beispiel
