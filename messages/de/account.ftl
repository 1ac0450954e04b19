### Die Seiten des Kontos.

## Hereinkommen

account-sign-in = Anmelden
account-password = Passwort
account-sign-in-question = Mit einem bestehenden Konto anmelden
account-sign-up = Registrieren
account-sign-up-question = Ein Konto anlegen
account-sign-up-what =
    Sie erhalten eine E-Mail mit einem Link. Bestätigen Sie damit, dass die Adresse Ihnen gehört, und Ihr
    Konto ist bereit.
account-name-optional = Name (wenn Sie möchten)
account-forgotten = Passwort vergessen
account-forgotten-question = Passwort vergessen?
account-forgotten-what =
    Nennen Sie uns die Adresse Ihres Kontos, und wir senden Ihnen eine E-Mail mit einem Link, über den Sie
    ein neues Passwort wählen. Bis Sie ihn verwenden, ändert sich nichts.
account-forgotten-send = Link senden
account-letter-sent = Sehen Sie in Ihr Postfach
account-letter-sent-sign-up =
    Eine E-Mail an { $email } ist unterwegs. Öffnen Sie den Link darin, um Ihre Adresse zu bestätigen.
    Diese Seite können Sie schließen.
account-letter-sent-forgotten =
    Wenn es ein Konto mit der Adresse { $email } gibt, ist eine E-Mail unterwegs. Öffnen Sie den Link
    darin, um ein neues Passwort zu wählen. Diese Seite können Sie schließen.
account-letter-sent-nothing =
    Nach ein paar Minuten ist nichts angekommen? Sehen Sie im Spam-Ordner nach, und prüfen Sie die
    Schreibweise der Adresse.

error-sign-in-refused = Adresse und Passwort passen nicht zusammen.
error-sign-in-unconfirmed =
    Das Passwort stimmt, aber die Adresse ist noch nicht bestätigt: Öffnen Sie den Link in unserer E-Mail.
    Wenn Sie sie nicht finden, registrieren Sie sich mit demselben Passwort noch einmal; dann kommt eine
    neue.
error-current-password-wrong = Das ist nicht Ihr aktuelles Passwort.
error-email-malformed = Eine Adresse hat ein @ und etwas auf jeder Seite davon.
error-email-too-long = Eine Adresse hat höchstens 254 Zeichen, davon höchstens 64 vor dem @.
error-email-local-part =
    Vor dem @ stehen in einer Adresse Buchstaben von a bis z, Ziffern, Punkte und einige andere Zeichen.
error-email-domain = Nach dem @ steht in einer Adresse ein Domainname wie example.org.
error-email-unchanged = Diese Adresse hat Ihr Konto bereits.
error-name-too-long = Ein Name hat höchstens 100 Zeichen.
error-name-control-characters = Ein Name ist eine einzige Zeile Text.

## Das Konto

account = Ihr Konto
account-sign-out = Abmelden
account-since = Seit
account-pending-email = Zu bestätigen
account-name = Name
account-language = Sprache
account-language-of-browser = Die Sprache des Browsers
account-save = Speichern
account-sessions = Wo Sie angemeldet sind
account-sessions-none = Keine App ist mit Ihrem Konto angemeldet.
account-session-since = Angemeldet am { $date }
account-session-used = Zuletzt verwendet am { $date }
account-session-end = Abmelden
account-end-all = Überall abmelden
account-end-all-hint = Jede App muss sich neu anmelden, und auch Sie hier.
account-more = Weiteres
account-done-saved = Gespeichert.
account-done-password =
    Ihr Passwort ist geändert. Überall sonst sind Sie abgemeldet; eine E-Mail darüber ist unterwegs.
account-done-email =
    Sehen Sie in das Postfach der neuen Adresse: Sie gilt, sobald Sie den Link öffnen, den wir dorthin
    gesendet haben.
account-done-session = Dort abgemeldet.

## Änderungen

account-change-password = Passwort ändern
account-change-password-what = Hier bleiben Sie angemeldet. Überall sonst müssen Sie sich neu anmelden.
account-current-password = Aktuelles Passwort
account-change-email = Adresse ändern
account-change-email-what =
    Ihr Konto hat die Adresse { $email }. Wir senden einen Link an die neue Adresse; sie gilt, sobald Sie
    ihn öffnen und bestätigen. An die jetzige geht eine Mitteilung.
account-new-email = Neue Adresse
account-change-email-send = Link senden

## Gehen

account-export = Alles herunterladen, was über Sie gespeichert ist
account-delete = Konto löschen
account-delete-what =
    Das Konto mit der Adresse { $email } und alles, was Sie nennt, wird sofort gelöscht. Das lässt sich
    nicht rückgängig machen.
account-delete-export = Möchten Sie eine Kopie behalten?
account-delete-for-good = Mein Konto endgültig löschen
account-deleted = Ihr Konto ist gelöscht
account-deleted-what =
    Alles, was Sie nannte, ist gelöscht. Eine letzte E-Mail sagt es Ihnen; wenn sie versandt ist, vergessen
    wir auch ihre Adresse.

## Was geschehen ist

account-events = Was geschehen ist
account-events-what =
    Das Neueste zuerst. Wenn etwas davon nicht Sie waren, ändern Sie Ihr Passwort.
account-events-none = Nichts, was noch festgehalten ist.
account-events-earlier = Früheres
account-event-app = Über { $app }
account-event-address = Von { $address }

actor-owner = Durch Sie
actor-client = Durch eine App
actor-operator = Durch den Betreiber des Dienstes
actor-stranger = Durch jemanden, der nicht angemeldet war
actor-service = Durch den Dienst selbst

event-sign-up = Registrierung
event-sign-up-dropped = Registrierung verworfen
event-activation = Adresse bestätigt
event-sign-in = Anmeldung
event-sign-in-failed = Anmeldeversuch mit falschem Passwort
event-password-refused = Falsches aktuelles Passwort
event-sign-out = Abmeldung
event-sign-out-everywhere = Überall abgemeldet
event-access-token-revoked = Zugang einer App widerrufen
event-refresh-token-stolen = Anmeldung zur Sicherheit beendet
event-profile-changed = Name oder Sprache geändert
event-password-changed = Passwort geändert
event-password-reset-requested = Link für ein neues Passwort angefordert
event-password-reset = Neues Passwort über einen Link gewählt
event-email-change-requested = Änderung der Adresse angefordert
event-email-change-stopped = Änderung der Adresse aufgehalten
event-email-changed = Adresse geändert
event-data-exported = Kopie Ihrer Daten heruntergeladen
event-account-created = Konto angelegt
event-account-disabled = Konto gesperrt
event-account-enabled = Konto entsperrt
event-account-deleted = Konto gelöscht
