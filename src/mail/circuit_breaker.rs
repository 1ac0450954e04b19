//! Circuit breaker for the mail server: decides which letters may be tried, and when.
//!
//! The breaker tells two kinds of failure apart:
//!
//! - *Outage*: the server is unreachable, or refuses before a recipient is named. All deliveries
//!   pause, and one letter at a time probes. The pause doubles up to `PROBE_INTERVAL` (20 s). While
//!   the server refuses our user and password, the pause doubles up to `LOGIN_PROBE_INTERVAL` (10
//!   min), because providers lock accounts after repeated failed logins.
//! - *Refusal at RCPT or DATA*: no answer stops other letters, because one recipient may be its
//!   cause (S17). The refused letters wait by themselves, see [`refusals`](crate::mail::refusals).
//!   When the server takes a letter, all refused letters are due again. A letter that is refused
//!   again after that is at fault itself, and waits as long as its own tries say (R48), until the
//!   server has taken no letter for an hour.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::DeliveryFailure;
use crate::mail::delivery_failure::ReplyCode;
use crate::mail::refusals::{
    PROBE_INTERVAL, Recovered, RefusalOutcome, Refusals, RefusedAgain, Reply, is_due,
};
use crate::model::LetterKind;
use crate::storage::{ClaimedLetter, LetterId, RefusedLetter};

/// Longest pause between two probes while the server refuses our user and password.
const LOGIN_PROBE_INTERVAL: Duration = Duration::from_secs(600);

/// Pause before the next try of a letter for which the server allowed no connection.
const ANOTHER_CONNECTION: Duration = Duration::from_secs(2);

/// State of the mail server as the last deliveries showed it. All deliveries of a courier share
/// the state.
#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<BreakerState>);

#[derive(Debug, Default)]
struct BreakerState {
    outage: Option<Outage>,
    refusals: Option<Refusals>,
    refused_again: RefusedAgain,
    connections: Option<Connections>,
}

/// Number of connections that the server takes from us at once, learned when it refused one more.
#[derive(Clone, Copy, Debug)]
struct Connections {
    most: usize,
    /// When the courier may try one connection more.
    more_at: Timestamp,
}

impl BreakerState {
    /// Records the server's answer to the letter's recipient. Returns the refusals since the server
    /// last took a letter, and whether this recipient is the second one with the same answer.
    fn record_reply(
        &mut self,
        letter: &ClaimedLetter,
        reply: Reply,
        now: Timestamp,
    ) -> (&mut Refusals, bool) {
        let refusals = self.refusals.get_or_insert_with(|| Refusals::new(now));
        let is_news = refusals.record_reply(reply, &letter.email);
        (refusals, is_news)
    }
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    pause: Duration,
    next_probe: Timestamp,
    /// The server is reachable, and refuses our user and password.
    refuses_login: bool,
}

impl Outage {
    /// Longest pause between two probes.
    fn longest(refuses_login: bool) -> Duration {
        if refuses_login { LOGIN_PROBE_INTERVAL } else { PROBE_INTERVAL }
    }

    /// Logs the stage and the code only. The server's words may hold personal data; the outbox
    /// keeps them.
    fn log(failure: &DeliveryFailure, refuses_login: bool) {
        let (stage, code) = (failure.stage.as_str(), failure.code);
        match refuses_login {
            true => tracing::error!(
                stage,
                code,
                "the mail server refuses the user and the password of mail.smtp_url; letters wait \
                 until the setting is corrected and the service restarted"
            ),
            false => tracing::warn!(stage, code, "the mail server is unavailable; letters wait"),
        }
    }
}

impl CircuitBreaker {
    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all letters wait because of an outage.
    pub fn is_open(&self) -> bool {
        self.state().outage.is_some()
    }

    /// Whether a letter may probe now during an outage; `None` without an outage. Probes go one at
    /// a time: a server that hangs gets the next probe only after the last one has ended.
    pub(super) fn may_probe(&self, now: Timestamp, on_their_way: usize) -> Option<bool> {
        self.state().outage.map(|outage| {
            let longest = Outage::longest(outage.refuses_login);
            is_due(outage.next_probe, now, longest) && on_their_way == 0
        })
    }

    /// Up to `most` refused letters to try before they are due.
    pub(super) fn probes(&self, now: Timestamp, most: usize) -> Vec<LetterId> {
        let BreakerState { refusals, refused_again, .. } = &mut *self.state();
        let probes = refusals.as_mut().map(|refusals| refusals.probes(now, most, refused_again));
        probes.unwrap_or_default()
    }

    /// Records a failure that concerns all letters. Returns the time of the next probe.
    pub(super) fn server_is_down(&self, now: Timestamp, failure: &DeliveryFailure) -> Timestamp {
        let mut state = self.state();
        let refuses_login = failure.is_login_refusal();
        if state.outage.is_none_or(|outage| outage.refuses_login != refuses_login) {
            Outage::log(failure, refuses_login);
        }
        let longest = Outage::longest(refuses_login);
        let pause = match state.outage {
            None => Duration::from_secs(1),
            // letters of one batch fail together: that is one failure
            Some(Outage { pause, next_probe, .. }) if next_probe > now => pause.min(longest),
            Some(Outage { pause, .. }) => (pause * 2).min(longest),
        };
        let next_probe = now + pause;
        state.outage = Some(Outage { pause, next_probe, refuses_login });
        next_probe
    }

    /// Records that the server refused a connection while we had `others` open. The limit of
    /// connections is then `others`, and rises by one every `PROBE_INTERVAL` (20 s). Returns the
    /// time of the letter's next try. No other letter waits for this one (S17).
    pub(super) fn limit_connections(&self, now: Timestamp, others: usize) -> Timestamp {
        let mut state = self.state();
        let before = state.connections.map(|connections| connections.most);
        let most = before.map_or(others, |before| before.min(others)).max(1);
        if before != Some(most) {
            tracing::info!(most, "the mail server limits the number of our connections");
        }
        state.connections = Some(Connections { most, more_at: now + PROBE_INTERVAL });
        now + ANOTHER_CONNECTION
    }

    /// Number of connections that the server takes from us at once, at most `limit`.
    pub(super) fn connection_limit(&self, now: Timestamp, limit: usize) -> usize {
        let mut state = self.state();
        let Some(Connections { most, more_at }) = &mut state.connections else { return limit };
        if is_due(*more_at, now, PROBE_INTERVAL) {
            *most += 1;
            *more_at = now + PROBE_INTERVAL;
        }
        let most = *most;
        state.connections.take_if(|connections| connections.most >= limit);
        most.min(limit)
    }

    /// Ends the outage: the server answered, with a refusal or not.
    pub(super) fn server_is_up(&self) {
        if self.state().outage.take().is_some() {
            tracing::info!("the mail server is available again");
        }
    }

    /// Loads the letters that were refused before this courier started and since the server last
    /// took a letter.
    pub(super) fn remember(&self, refused: &[RefusedLetter], now: Timestamp) {
        let mut state = self.state();
        for letter in refused {
            let refusals = state.refusals.get_or_insert_with(|| Refusals::new(now));
            let refusal = letter.last_error.as_deref().and_then(ReplyCode::read);
            let refusal = refusal.filter(|refusal| refusal.is_permanent());
            if refusal.is_some() {
                refusals.record_reply(refusal, &letter.email);
            }
            match (letter.is_dead, refusal) {
                (true, _) => refusals.insert_dead(letter.id, refusal),
                (false, Some(refusal)) => refusals.insert_refused(letter.id, letter.tries, refusal),
                (false, None) => refusals.insert_waiting(letter.id, letter.tries, None),
            }
        }
    }

    /// Records a temporary refusal of the letter, or a missing answer.
    pub(super) fn refused_temporarily(&self, letter: &ClaimedLetter, reply: Reply, now: Timestamp) {
        let mut state = self.state();
        let (refusals, _) = state.record_reply(letter, reply, now);
        refusals.insert_waiting(letter.id, letter.tries + 1, reply);
    }

    /// Records a permanent refusal of the letter. Returns whether the letter is given up.
    ///
    /// The letter waits instead in these cases:
    ///
    /// - Another recipient got the same refusal since the server last took a letter.
    /// - The letter shared the same refusal with others before the server last took a letter, and
    ///   was therefore tried again.
    /// - The letter is a farewell, and the server has taken no other letter since its first
    ///   refusal. A farewell that is given up leaves no row, so it could not be tried again.
    ///
    /// None of these cases applies to a refusal that is about the address itself.
    pub(super) fn refused_permanently(
        &self,
        letter: &ClaimedLetter,
        refusal: ReplyCode,
        now: Timestamp,
    ) -> RefusalOutcome {
        let mut state = self.state();
        let shared = state.refused_again.get(&letter.id).copied();
        let (refusals, is_news) = state.record_reply(letter, Some(refusal), now);
        let is_about_us = !refusal.is_bad_address();
        if is_news && is_about_us {
            tracing::warn!(
                "the mail server refuses several recipients with the same reply; their letters wait"
            );
        }
        let waits = match shared {
            None => letter.kind == LetterKind::AccountDeleted.as_str(),
            Some(shared) => shared == Some(refusal),
        };
        if is_about_us && (waits || refusals.is_common(Some(refusal))) {
            refusals.insert_refused(letter.id, letter.tries + 1, refusal);
            return RefusalOutcome::Waits;
        }
        // a second refusal of the address itself is final
        match is_about_us || shared.is_none() {
            true => refusals.insert_dead(letter.id, Some(refusal)),
            false => refusals.remove(letter.id),
        }
        state.refused_again.remove(&letter.id);
        RefusalOutcome::Dies
    }

    /// Letters that were given up before another recipient got the same refusal. These letters must
    /// wait again. The caller may ask repeatedly.
    pub(super) fn wrongly_dead(&self) -> Vec<LetterId> {
        self.state().refusals.as_ref().map(Refusals::wrongly_dead).unwrap_or_default()
    }

    /// Whether the server took another letter after this one was given up, so that this one is
    /// tried again.
    pub(super) fn is_retried(&self, letter: LetterId) -> bool {
        self.state().refused_again.contains_key(&letter)
    }

    /// Records that the letter was given up after all of its tries.
    pub(super) fn exhausted(&self, letter: LetterId, now: Timestamp) {
        let BreakerState { refusals, refused_again, .. } = &mut *self.state();
        let was_refused_again = refused_again.remove(&letter).is_some();
        match refusals {
            Some(refusals) if was_refused_again && !refusals.is_server_at_fault(now) => {
                refusals.remove(letter);
            }
            Some(refusals) => refusals.insert_dead(letter, None),
            None => {}
        }
    }

    /// Records that the server took this letter. Returns the letters to try again.
    pub(super) fn taken(&self, letter: LetterId, now: Timestamp) -> Recovered {
        let mut state = self.state();
        state.refused_again.remove(&letter);
        let Some(mut refusals) = state.refusals.take() else { return Recovered::default() };
        refusals.remove(letter);
        refusals.recovered(&mut state.refused_again, now)
    }

    /// Records that the letter is no longer in the outbox.
    pub(super) fn forget(&self, letter: LetterId) {
        let mut state = self.state();
        state.refused_again.remove(&letter);
        if let Some(refusals) = &mut state.refusals {
            refusals.remove(letter);
        }
        state.refusals.take_if(|refusals| refusals.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Stage;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    /// The server gave no answer.
    const SILENCE: Reply = None;

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn id(number: u128) -> LetterId {
        LetterId::new(uuid::Uuid::from_u128(number))
    }

    /// A letter with its own recipient.
    fn letter(number: u128) -> ClaimedLetter {
        ClaimedLetter {
            id: id(number),
            lease: uuid::Uuid::nil(),
            leased_until: NOW,
            kind: "sign-up".to_owned(),
            email: format!("person{number}@example.org").parse().unwrap(),
            locale: None,
            account: None,
            facts: String::new(),
            created_at: NOW,
            due_at: NOW,
            tries: 0,
        }
    }

    fn refuse(breaker: &CircuitBreaker, letter: &ClaimedLetter, words: &str) -> RefusalOutcome {
        breaker.refused_permanently(letter, ReplyCode::read(words).unwrap(), NOW)
    }

    #[test]
    fn s15_clock_set_back_delays_no_probe() {
        let breaker = CircuitBreaker::default();
        let failure = DeliveryFailure::new(Stage::Connection, "refused");
        breaker.server_is_down(after(1_800), &failure);
        assert_eq!(breaker.may_probe(after(1_800), 0), Some(false));
        assert_eq!(breaker.may_probe(NOW, 0), Some(true));
        breaker.server_is_up();
        breaker.refused_temporarily(&letter(1), SILENCE, after(1_800));
        assert_eq!(breaker.probes(after(1_800), 1), []);
        assert_eq!(breaker.probes(NOW, 1), [id(1)]);
    }

    #[test]
    fn r48_outage_is_probed_with_pauses_that_grow_to_a_limit() {
        let breaker = CircuitBreaker::default();
        let failure = DeliveryFailure::new(Stage::Connection, "refused");
        assert_eq!(breaker.may_probe(NOW, 0), None);
        let mut now = NOW;
        for pause in [1, 2, 4, 8, 16, 20, 20] {
            let probe = breaker.server_is_down(now, &failure);
            assert_eq!(probe, now + Duration::from_secs(pause));
            // further letters of the same batch
            assert_eq!(breaker.server_is_down(now, &failure), probe);
            assert_eq!(breaker.may_probe(now, 0), Some(false));
            assert_eq!(breaker.may_probe(probe, 1), Some(false));
            assert_eq!(breaker.may_probe(probe, 0), Some(true));
            now = probe;
        }
        breaker.server_is_up();
        assert_eq!(breaker.may_probe(now, 0), None);
    }

    #[test]
    fn s17_connection_limit_is_learned_and_rises_by_one() {
        let breaker = CircuitBreaker::default();
        assert_eq!(breaker.connection_limit(NOW, 24), 24);
        assert_eq!(breaker.limit_connections(NOW, 10), after(2));
        assert_eq!(breaker.may_probe(NOW, 0), None, "nothing waits for it");
        assert_eq!(breaker.connection_limit(after(19), 24), 10);
        assert_eq!(breaker.connection_limit(after(20), 24), 11);
        assert_eq!(breaker.connection_limit(after(21), 24), 11);
        breaker.limit_connections(after(22), 10);
        assert_eq!(breaker.connection_limit(after(23), 24), 10);
        let mut most = 10;
        for step in 1..=14 {
            most = breaker.connection_limit(after(23 + step * 20), 24);
        }
        assert_eq!(most, 24);
        // the failure before the clock was set back
        breaker.limit_connections(after(1_800), 3);
        assert_eq!(breaker.connection_limit(NOW, 24), 4);
    }

    #[test]
    fn r48_refused_login_is_probed_with_longer_pauses() {
        let breaker = CircuitBreaker::default();
        let refused = DeliveryFailure::answered(Stage::Authentication, 535, "5.7.8 no");
        let mut now = NOW;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            let probe = breaker.server_is_down(now, &refused);
            assert_eq!(probe, now + Duration::from_secs(pause));
            assert_eq!(breaker.may_probe(now, 0), Some(false), "{pause}");
            assert_eq!(breaker.may_probe(probe, 0), Some(true), "{pause}");
            now = probe;
        }
        // a busy or unreachable server is probed as often as ever
        let others = [
            DeliveryFailure::answered(Stage::Authentication, 454, "4.7.0 later"),
            DeliveryFailure::answered(Stage::Greeting, 554, "no"),
            DeliveryFailure::new(Stage::Connection, "refused"),
        ];
        for failure in others {
            let probe = breaker.server_is_down(now, &failure);
            assert_eq!(probe, now + Duration::from_secs(20), "{failure}");
            now = probe;
        }
        breaker.server_is_up();
        assert_eq!(breaker.may_probe(now, 0), None);
    }

    #[test]
    fn r48_refused_letters_probe_in_turns_and_all_are_due_after_one_is_accepted() {
        let breaker = CircuitBreaker::default();
        for number in 1..=5 {
            breaker.refused_temporarily(&letter(number), SILENCE, NOW);
        }
        assert!(breaker.probes(after(19), 2).is_empty());
        assert_eq!(breaker.probes(after(20), 2), [1, 2].map(id));
        assert!(breaker.probes(after(20), 2).is_empty());
        assert!(breaker.probes(after(40), 0).is_empty());
        assert_eq!(breaker.probes(after(40), 2), [3, 4].map(id));
        assert_eq!(breaker.probes(after(60), 2), [5, 1].map(id));
        breaker.forget(id(5));
        let recovered = Recovered { waiting: [1, 2, 3].map(id).to_vec(), dead: Vec::new() };
        assert_eq!(breaker.taken(id(4), NOW), recovered);
        assert!(breaker.probes(after(1_000), 9).is_empty());
    }

    #[test]
    fn s17_letter_with_fewest_failures_probes_first() {
        let breaker = CircuitBreaker::default();
        for _ in 0..3 {
            breaker.refused_temporarily(&letter(1), SILENCE, NOW);
            breaker.refused_temporarily(&letter(2), SILENCE, NOW);
        }
        breaker.refused_temporarily(&ClaimedLetter { tries: 9, ..letter(3) }, SILENCE, NOW);
        breaker.refused_temporarily(&letter(4), SILENCE, NOW);
        assert_eq!(breaker.probes(after(20), 3), [4, 1, 2].map(id));
        // failed probes count as failures, too
        breaker.refused_temporarily(&letter(4), SILENCE, NOW);
        assert_eq!(breaker.probes(after(40), 1), [4].map(id));
        breaker.refused_temporarily(&letter(4), SILENCE, NOW);
        assert_eq!(breaker.probes(after(60), 4), [1, 2, 4, 3].map(id));
    }

    #[test]
    fn letter_refused_while_others_are_accepted_does_not_probe() {
        let breaker = CircuitBreaker::default();
        breaker.refused_temporarily(&letter(1), SILENCE, NOW);
        assert_eq!(breaker.taken(id(2), NOW).waiting, [id(1)]);
        breaker.refused_temporarily(&letter(1), SILENCE, NOW);
        assert!(breaker.probes(after(20), 9).is_empty());
        assert_eq!(breaker.taken(id(3), NOW), Recovered::default());
        // a probe is due for the other letter alone
        breaker.refused_temporarily(&letter(4), SILENCE, NOW);
        assert_eq!(breaker.probes(after(20), 9), [id(4)]);
    }

    #[test]
    fn f12_permanent_refusal_is_final_until_a_second_recipient_gets_it() {
        let breaker = CircuitBreaker::default();
        assert_eq!(refuse(&breaker, &letter(1), "554 quota"), RefusalOutcome::Dies);
        // the same recipient a second time is no evidence, and another refusal is none
        let again = ClaimedLetter { id: id(11), ..letter(1) };
        assert_eq!(refuse(&breaker, &again, "554 quota"), RefusalOutcome::Dies);
        assert_eq!(refuse(&breaker, &letter(2), "550 5.7.1 no"), RefusalOutcome::Dies);
        assert!(breaker.wrongly_dead().is_empty());
        assert_eq!(refuse(&breaker, &letter(3), "554 quota"), RefusalOutcome::Waits);
        assert_eq!(breaker.wrongly_dead(), [1, 11].map(id));
        // one probe is enough, and dead letters do not probe
        assert_eq!(breaker.probes(after(20), 9), [id(3)]);
        let recovered = breaker.taken(id(4), NOW);
        assert_eq!(recovered.waiting, [id(3)]);
        assert_eq!(recovered.dead, [1, 11].map(id), "letter 2 had a refusal of its own");
        assert_eq!([1, 2].map(|number| breaker.is_retried(id(number))), [true, false]);
        // letters that are refused again as before wait as long as their own tries say
        assert_eq!(refuse(&breaker, &letter(3), "554 quota"), RefusalOutcome::Waits);
        assert_eq!(breaker.taken(id(5), NOW), Recovered::default());
        assert_eq!(refuse(&breaker, &letter(3), "554 quota"), RefusalOutcome::Waits);
        // a refusal that no other recipient shares kills the letter
        assert_eq!(refuse(&breaker, &letter(3), "554 5.7.1 spam"), RefusalOutcome::Dies);
        assert_eq!(refuse(&breaker, &letter(1), "550 5.1.1 who?"), RefusalOutcome::Dies);
        assert!(breaker.wrongly_dead().is_empty());
    }

    #[test]
    fn f12_letter_at_fault_is_not_given_up_for_a_shared_refusal() {
        let breaker = CircuitBreaker::default();
        breaker.refused_temporarily(&letter(1), SILENCE, NOW);
        breaker.refused_temporarily(&letter(2), SILENCE, NOW);
        assert_eq!(breaker.taken(id(3), NOW).waiting, [1, 2].map(id));
        assert_eq!(refuse(&breaker, &letter(1), "554 quota"), RefusalOutcome::Dies);
        assert_eq!(refuse(&breaker, &letter(2), "554 quota"), RefusalOutcome::Waits);
        assert_eq!(breaker.wrongly_dead(), [id(1)]);
    }

    #[test]
    fn f12_letters_at_fault_probe_on_shared_refusals_and_retry_after_an_hour() {
        let breaker = CircuitBreaker::default();
        let later = ReplyCode::read("450 4.2.0 later");
        for number in 1..=2 {
            breaker.refused_temporarily(&letter(number), later, NOW);
        }
        assert_eq!(breaker.taken(id(3), NOW).waiting, [1, 2].map(id));
        breaker.refused_temporarily(&letter(1), later, NOW);
        assert_eq!(breaker.probes(after(20), 9), []);
        breaker.refused_temporarily(&letter(2), later, NOW);
        assert_eq!(breaker.probes(after(20), 9), [1, 2].map(id));
        assert_eq!(
            breaker.taken(id(3), after(30)),
            Recovered::default(),
            "their own retries decide"
        );
        for number in 1..=2 {
            breaker.refused_temporarily(&letter(number), later, after(30));
        }
        assert_eq!(breaker.taken(id(3), after(30 + 3_600)).waiting, [1, 2].map(id));
    }

    #[test]
    fn f12_several_unknown_addresses_are_given_up_and_retried_once() {
        let breaker = CircuitBreaker::default();
        for number in 1..=2 {
            assert_eq!(refuse(&breaker, &letter(number), "550 5.1.1 who?"), RefusalOutcome::Dies);
        }
        assert!(breaker.wrongly_dead().is_empty());
        assert!(breaker.probes(after(20), 9).is_empty());
        assert_eq!(breaker.taken(id(3), NOW).dead, [1, 2].map(id));
        // a letter whose refusal no other recipient shared is not tried again
        assert_eq!(refuse(&breaker, &letter(4), "550 5.1.1 who?"), RefusalOutcome::Dies);
        assert_eq!(breaker.taken(id(5), NOW), Recovered::default());
    }

    #[test]
    fn f12_letter_out_of_attempts_is_retried_after_recovery() {
        let breaker = CircuitBreaker::default();
        breaker.refused_temporarily(&letter(1), SILENCE, NOW);
        breaker.exhausted(id(1), NOW);
        assert!(breaker.probes(after(20), 9).is_empty());
        assert_eq!(breaker.taken(id(2), NOW).dead, [id(1)]);
        breaker.exhausted(id(1), NOW);
        assert_eq!(breaker.taken(id(2), NOW), Recovered::default());
    }

    #[test]
    fn f12_refused_farewell_waits() {
        let breaker = CircuitBreaker::default();
        let farewell = ClaimedLetter { kind: LetterKind::AccountDeleted.to_string(), ..letter(1) };
        assert_eq!(refuse(&breaker, &farewell, "554 quota"), RefusalOutcome::Waits);
        assert_eq!(refuse(&breaker, &farewell, "550 5.1.1 who?"), RefusalOutcome::Dies);
    }

    #[test]
    fn f12_dead_letters_are_remembered_after_a_restart() {
        let dead = |number, words: &str| RefusedLetter {
            id: id(number),
            email: letter(number).email,
            tries: 1,
            is_dead: true,
            last_error: Some(words.to_owned()),
        };
        let breaker = CircuitBreaker::default();
        breaker.remember(
            &[dead(1, "554 quota"), dead(2, "the mail server did not answer in time")],
            NOW,
        );
        assert!(breaker.wrongly_dead().is_empty());
        assert_eq!(refuse(&breaker, &letter(3), "554 quota"), RefusalOutcome::Waits);
        assert_eq!(breaker.wrongly_dead(), [id(1)]);
        assert_eq!(breaker.taken(id(4), NOW).dead, [1, 2].map(id));
    }
}
