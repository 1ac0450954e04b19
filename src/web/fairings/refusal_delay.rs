//! Fairing that delays frequent refusals, so that a client gains nothing by retrying at once (R51).
//!
//! A refusal costs the service little. But clients that retry at once can send so many requests
//! that the refusals cost more than the refused work. So each refusal waits longer, the more
//! refusals there are. A delayed refusal holds no place among the requests in flight.
//!
//! Only refusals of limited work are delayed: passwords to hash, letters, link attempts, and
//! requests that [`admission`] refused. Answers to bearer requests are never delayed, nor are
//! answers of OAuth endpoints except to the password grant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Header;
use rocket::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Clock, Timestamp};
use crate::metrics::RequestMetrics;
use crate::web::fairings::admission;

/// The longest delay. With it, a refusal is still answered within 100 ms (R51).
const MAX_DELAY: Duration = Duration::from_millis(90);
/// The refusals per second from which on each refusal is delayed by [`MAX_DELAY`].
const RATE_OF_MAX_DELAY: f64 = 2_000.0;
/// The time constant of the decay, in seconds: the level of refusals falls by a factor of e in this
/// time. With 1 s, the level is a rate per second.
const DECAY_SECONDS: f64 = 1.0;

/// Whether the answer is a refusal that may be delayed; kept in the request's cache.
struct Delayable(AtomicBool);

/// Marks the answer to this request as a refusal that may be delayed. Bearer requests are exempt.
pub(in crate::web) fn mark(request: &Request<'_>) {
    if admission::is_of_bearer(request) {
        return;
    }
    request.local_cache(|| Delayable(AtomicBool::new(false))).0.store(true, Ordering::Relaxed);
}

fn is_marked(request: &Request<'_>) -> bool {
    request.local_cache(|| Delayable(AtomicBool::new(false))).0.load(Ordering::Relaxed)
}

/// How to answer a refusal.
#[derive(Debug)]
enum DelayDecision {
    Immediate,
    /// After this delay. The permits limit how many refusals wait.
    After(Duration, OwnedSemaphorePermit),
    /// At once, and the connection is closed, because too many refusals wait.
    Closing,
}

/// Delays refusals by their frequency.
#[derive(Debug)]
pub(in crate::web) struct RefusalDelay {
    /// The level of refusals, and the time of the last refusal.
    recent: Mutex<(f64, Option<Timestamp>)>,
    waiting: Arc<Semaphore>,
}

impl RefusalDelay {
    /// Lets at most `most` refusals wait at a time.
    pub(in crate::web) fn of(most: usize) -> Self {
        let waiting = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { recent: Mutex::default(), waiting }
    }

    /// Counts a refusal, and decides how to answer it.
    fn refuse(&self, now: Timestamp) -> DelayDecision {
        let delay = self.delay(now);
        if delay.is_zero() {
            return DelayDecision::Immediate;
        }
        match Arc::clone(&self.waiting).try_acquire_owned() {
            Ok(permit) => DelayDecision::After(delay, permit),
            Err(_) => DelayDecision::Closing,
        }
    }

    /// The delay in whole milliseconds, the resolution of timers. So the first few refusals do not
    /// wait.
    fn delay(&self, now: Timestamp) -> Duration {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, last) = *recent;
        // if the clock was set back, no time has passed
        let passed = last.map_or(Duration::ZERO, |last| now.since(last));
        let level = level * (-passed.as_secs_f64() / DECAY_SECONDS).exp();
        *recent = (level + 1.0, Some(now));
        let share = (level / RATE_OF_MAX_DELAY).min(1.0);
        Duration::from_millis((MAX_DELAY.as_millis() as f64 * share) as u64)
    }
}

#[rocket::async_trait]
impl Fairing for RefusalDelay {
    fn info(&self) -> Info {
        Info { name: "refusal delay", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(clock) = request.rocket().state::<Clock>().filter(|_| is_marked(request)) else {
            return;
        };
        let metrics = request.rocket().state::<RequestMetrics>();
        match self.refuse(clock.now()) {
            DelayDecision::Immediate => {}
            DelayDecision::After(delay, _permit) => {
                metrics.inspect(|metrics| metrics.refusal_delayed());
                admission::release_early(request);
                clock.pause(delay).await;
            }
            DelayDecision::Closing => {
                metrics.inspect(|metrics| metrics.refusal_closed());
                response.set_header(Header::new("Connection", "close"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000_000);

    fn after(refusals: usize) -> RefusalDelay {
        let delay = RefusalDelay::of(1);
        for _ in 0..refusals {
            delay.delay(NOW);
        }
        delay
    }

    #[test]
    fn s20_delay_grows_with_frequent_refusals_up_to_90_ms() {
        for (before, millis) in [(0, 0), (22, 0), (23, 1), (200, 9), (1_000, 45), (9_000, 90)] {
            assert_eq!(after(before).delay(NOW), Duration::from_millis(millis), "{before}");
        }
    }

    #[test]
    fn s20_single_refusal_is_not_delayed() {
        let delay = after(2_000);
        assert_eq!(delay.delay(NOW + Duration::from_secs(1)), Duration::from_millis(33));
        assert_eq!(delay.delay(NOW + Duration::from_secs(10)), Duration::ZERO);
        // one refusal per second never waits
        let delay = RefusalDelay::of(1);
        for second in 0..1_000 {
            assert!(delay.delay(NOW + Duration::from_secs(second)).is_zero());
        }
    }

    #[test]
    fn s20_clock_set_back_does_not_lengthen_delays() {
        let delay = after(1_000);
        let before = NOW - Duration::from_secs(86_400);
        assert_eq!(delay.delay(before), Duration::from_millis(45));
        assert_eq!(delay.delay(before + Duration::from_secs(10)), Duration::ZERO);
        assert_eq!(delay.delay(NOW), Duration::ZERO);
    }

    #[test]
    fn s20_refusals_beyond_the_limit_of_waiters_are_answered_at_once_and_close() {
        let delay = RefusalDelay::of(2);
        for _ in 0..100 {
            delay.delay(NOW);
        }
        let waiting = [delay.refuse(NOW), delay.refuse(NOW)];
        assert!(
            waiting.iter().all(|manner| matches!(manner, DelayDecision::After(..))),
            "{waiting:?}"
        );
        assert!(matches!(delay.refuse(NOW), DelayDecision::Closing));
        drop(waiting);
        assert!(matches!(delay.refuse(NOW), DelayDecision::After(..)));
        // a refusal without a delay never closes its connection
        let (delay, lone) = (RefusalDelay::of(0), NOW);
        assert!(matches!(delay.refuse(lone), DelayDecision::Immediate));
    }
}
