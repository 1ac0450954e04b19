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
account-name-optional = Name (freiwillig)
account-forgotten = Passwort vergessen
account-forgotten-question = Passwort vergessen?
account-forgotten-what =
    Nennen Sie uns die E-Mail-Adresse Ihres Kontos, und wir senden Ihnen eine E-Mail mit einem Link,
    über den Sie ein neues Passwort wählen. Bis Sie ihn verwenden, ändert sich nichts.
account-forgotten-send = Link senden
account-letter-sent = Sehen Sie in Ihrem Postfach nach
account-letter-sent-sign-up =
    Eine E-Mail an { $email } ist unterwegs. Öffnen Sie den Link darin, um Ihre Adresse zu bestätigen.
    Diese Seite können Sie schließen.
account-letter-sent-once-more =
    Wenn eine Registrierung mit { $email } noch wartet, ist eine weitere E-Mail unterwegs. Öffnen Sie den
    Link darin oder in einer früheren, um Ihre Adresse zu bestätigen. Diese Seite können Sie schließen.
account-letter-sent-forgotten =
    Wenn es ein Konto mit der E-Mail-Adresse { $email } gibt oder eine Registrierung wartet, ist eine
    E-Mail unterwegs. Öffnen Sie den Link darin, um ein neues Passwort zu wählen. Diese Seite können Sie
    schließen.
account-letter-sent-nothing =
    Nach ein paar Minuten ist nichts angekommen? Sehen Sie im Spam-Ordner nach, und prüfen Sie die
    Schreibweise der Adresse.
account-letter-sent-again = E-Mail-Adresse noch einmal eingeben
account-waiting = Warten Sie auf unsere E-Mail?
account-waiting-what =
    Wenn Sie sich registriert haben und unsere E-Mail nicht angekommen ist, können wir den Link noch einmal
    senden, an { $email }. Dort wählen Sie ein neues Passwort.

error-sign-in-refused =
    E-Mail-Adresse und Passwort passen nicht zusammen, oder die Adresse ist noch nicht bestätigt. Wenn Sie
    sich gerade erst registriert haben, öffnen Sie zuerst den Link in unserer E-Mail. Wenn Sie nicht sicher
    sind, wählen Sie ein neues Passwort.
error-current-password-wrong = Das ist nicht Ihr aktuelles Passwort.
error-email-malformed = Eine E-Mail-Adresse enthält genau ein @, mit etwas davor und etwas dahinter.
error-email-too-long = Eine E-Mail-Adresse hat höchstens 254 Zeichen, davon höchstens 64 vor dem @.
error-email-local-part =
    Vor dem @ sind nur Buchstaben von a bis z, Ziffern, Punkte und einige andere Zeichen möglich.
error-email-domain = Nach dem @ muss ein Domainname wie example.org stehen.
error-email-invisible-character =
    In dieser E-Mail-Adresse steht ein Leerzeichen oder ein unsichtbares Zeichen, wie es beim Kopieren hineingeraten kann. Tippen Sie sie stattdessen ein.
error-email-unchanged = Diese E-Mail-Adresse hat Ihr Konto bereits.
error-name-too-long = Ein Name darf höchstens 100 Zeichen haben.
error-name-control-characters = Ein Name darf nur aus einer einzigen Zeile Text bestehen.

## Das Konto

account = Ihr Konto
account-go = Zu Ihrem Konto
account-sign-out = Abmelden
account-since = Angelegt
account-pending-email = Noch nicht bestätigt
account-pending-hint = Bis die neue Adresse bestätigt ist, können Sie die Änderung zurückziehen.
account-withdraw = Zurückziehen
account-name = Name
account-language = Sprache
account-language-of-browser = Wie im Browser eingestellt
account-save = Speichern
account-sessions = Wo Sie angemeldet sind
account-sessions-none = Keine App ist mit Ihrem Konto angemeldet.
account-session-page = Diese Kontoseite
account-session-here = Dieser Browser
account-session-since = Seit dem { $date }
account-session-used = Zuletzt: { $date }
account-session-end = Abmelden
account-end-all = Überall abmelden
account-end-all-hint = Damit sind Sie in allen Apps abgemeldet, und auch hier.
account-more = Was Sie noch tun können
account-done-saved = Gespeichert.
account-done-password =
    Ihr Passwort ist geändert. Überall sonst sind Sie abgemeldet; eine E-Mail darüber ist unterwegs.
account-done-email =
    Sehen Sie im Postfach der neuen Adresse nach: Sie gilt, sobald Sie den Link in unserer E-Mail öffnen
    und bestätigen.
account-done-withdrawn = Zurückgezogen. Ihre E-Mail-Adresse bleibt, wie sie ist.
account-done-session = Dort sind Sie jetzt abgemeldet.
account-done-out = Sie sind abgemeldet.
account-done-everywhere = Sie sind überall abgemeldet, auch hier.
account-done-resumed = Sie sind wieder angemeldet. Noch wurde nichts gespeichert: Sehen Sie Ihre Eingaben durch, und senden Sie sie noch einmal ab.
account-unsaved =
    Ihre Anmeldung war abgelaufen; deshalb wurde nichts gespeichert oder geändert. Melden Sie sich noch einmal an. Ihre
    Eingaben bleiben erhalten, außer Passwörtern.
account-done-ended =
    Sie sind hier nicht mehr angemeldet: Die Anmeldung endet nach 20 Minuten ohne Aktivität, spätestens
    nach zwei Stunden, und wenn Sie sich von anderswo abmelden. Melden Sie sich erneut an, um
    fortzufahren.

## Änderungen

account-change-password = Passwort ändern
account-change-password-what = Hier bleiben Sie angemeldet. Überall sonst müssen Sie sich neu anmelden.
account-current-password = Aktuelles Passwort
account-change-email = E-Mail-Adresse ändern
account-change-email-what =
    Ihr Konto hat die Adresse { $email }. Wir senden einen Link an die neue; sie gilt, sobald Sie ihn
    öffnen und bestätigen. Die bisherige Adresse erhält eine Mitteilung.
account-new-email = Neue E-Mail-Adresse
account-change-email-send = Link senden

## Gehen

account-export = Alles herunterladen, was über Sie gespeichert ist
account-delete = Konto löschen
account-delete-what =
    Das Konto mit der E-Mail-Adresse { $email } und alle Daten über Sie werden sofort gelöscht. Das
    lässt sich nicht rückgängig machen.
account-delete-export = Möchten Sie eine Kopie behalten?
account-delete-for-good = Mein Konto endgültig löschen
account-deleted = Ihr Konto ist gelöscht
account-deleted-what =
    Ihre Daten sind gelöscht. Eine letzte E-Mail bestätigt es Ihnen; danach löschen wir auch diese
    Adresse.

## Was geschehen ist

account-events = Aktivitäten
account-events-what =
    Das Neueste zuerst. Wenn etwas davon nicht von Ihnen stammt, ändern Sie Ihr Passwort.
account-events-none = Hier ist nichts verzeichnet.
account-events-earlier = Ältere anzeigen
account-sessions-earlier = Ältere Anmeldungen
account-event-app = App { $app }

actor-owner = Durch Sie
actor-client = Durch eine App
actor-operator = Durch den Betreiber
actor-stranger = Vielleicht nicht durch Sie
actor-service = Automatisch

event-sign-up = Registrierung
event-sign-up-dropped = Registrierung verworfen
event-activation = E-Mail-Adresse bestätigt
event-sign-in = Anmeldung
event-sign-in-failed = Fehlgeschlagene Anmeldung
event-password-refused = Falsches aktuelles Passwort eingegeben
event-sign-out = Abmeldung
event-sign-out-everywhere = Überall abgemeldet
event-session-evicted = Abgemeldet: zu viele Anmeldungen zugleich
event-access-token-revoked = Zugang einer App widerrufen
event-refresh-token-stolen = Anmeldung zur Sicherheit beendet
event-profile-changed = Name oder Sprache geändert
event-password-changed = Passwort geändert
event-password-reset-requested = Link für ein neues Passwort angefordert
event-password-reset = Neues Passwort über einen Link gewählt
event-email-change-requested = Änderung der E-Mail-Adresse angefordert
event-email-change-stopped = Änderung der E-Mail-Adresse gestoppt
event-email-changed = E-Mail-Adresse geändert
event-data-exported = Kopie Ihrer Daten heruntergeladen
event-account-created = Konto angelegt
event-account-disabled = Konto gesperrt
event-account-enabled = Konto entsperrt
event-account-deleted = Konto gelöscht
event-client-added = App registriert
event-client-secret-rotated = App hat ein neues Geheimnis
event-client-disabled = App gesperrt
event-client-enabled = App entsperrt
event-client-removed = App entfernt
