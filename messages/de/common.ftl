### Was E-Mails und Seiten gemeinsam haben.

# Die Sprache, in ihr selbst.
language-name = Deutsch

# 23. November 2026 um 09:41 UTC
date = { $day }. { $month ->
        [1] Januar
        [2] Februar
        [3] März
        [4] April
        [5] Mai
        [6] Juni
        [7] Juli
        [8] August
        [9] September
        [10] Oktober
        [11] November
       *[12] Dezember
    } { $year } um { $time } UTC

# Zeitspannen, im Akkusativ: Der Link ist … lang gültig.
span-seconds = { $count ->
        [one] { $count } Sekunde
       *[other] { $count } Sekunden
    }
span-minutes = { $count ->
        [one] { $count } Minute
       *[other] { $count } Minuten
    }
span-hours = { $count ->
        [one] { $count } Stunde
       *[other] { $count } Stunden
    }
span-days = { $count ->
        [one] { $count } Tag
       *[other] { $count } Tage
    }
