//! The only source of time.
//!
//! Code that needs the time receives a [`Clock`]. The service runs on [`Clock::system`]. Tests run
//! on [`Clock::stepped`] and move it with [`Stepper::advance`], so no test sleeps until something
//! expires.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use tokio::sync::watch;

/// Rfc3339 of the `time` crate leaves out the zeros at the end of a fraction.
const RFC3339_MILLIS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// An instant in UTC, in milliseconds since the Unix epoch. The database stores this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, always with three decimals, as in JSON answers.
    pub fn rfc3339(self) -> String {
        self.date_time().format(RFC3339_MILLIS).unwrap_or_default()
    }

    /// The date and time, for formatting. An instant outside the range of the `time` crate becomes
    /// the epoch.
    pub fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

/// A clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(TimeSource);

#[derive(Clone, Debug)]
enum TimeSource {
    System,
    Stepped(Arc<Stepped>),
}

#[derive(Debug)]
struct Stepped {
    millis: AtomicI64,
    /// The requested pauses, in order.
    pauses: Mutex<Vec<Duration>>,
    /// Whether pauses last until the stepper releases them.
    holds_pauses: watch::Sender<bool>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(TimeSource::System)
    }

    /// A clock that stays at `start` until its stepper moves it.
    pub fn stepped(start: Timestamp) -> (Self, Stepper) {
        let stepped = Arc::new(Stepped {
            millis: AtomicI64::new(start.unix_millis()),
            pauses: Mutex::default(),
            holds_pauses: watch::Sender::new(false),
        });
        (Self(TimeSource::Stepped(Arc::clone(&stepped))), Stepper(stepped))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the only reader of the system clock")]
            TimeSource::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            TimeSource::Stepped(stepped) => Timestamp(stepped.millis.load(Ordering::SeqCst)),
        }
    }

    /// Waits for `pause`. A stepped clock only records the pause, and waits while its stepper holds
    /// pauses.
    pub async fn pause(&self, pause: Duration) {
        match &self.0 {
            TimeSource::System => tokio::time::sleep(pause).await,
            TimeSource::Stepped(stepped) => {
                stepped.pauses.lock().unwrap_or_else(PoisonError::into_inner).push(pause);
                // an error means that the stepper is gone, and could not release the pause
                let _ = stepped.holds_pauses.subscribe().wait_for(|held| !held).await;
            }
        }
    }

    /// Reads both the clock and the monotonic clock.
    pub fn read(&self) -> Reading {
        Reading { at: self.now(), instant: self.instant() }
    }

    /// A monotonic instant, for measuring the duration of work. It is never stepped.
    #[expect(clippy::disallowed_methods, reason = "the only reader of the system clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// The time by a [`Clock`] and by the monotonic clock, for lifetimes that a changed clock must not
/// extend.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// By the clock.
    pub at: Timestamp,
    /// By the monotonic clock.
    pub instant: Instant,
}

impl Reading {
    /// Whether less than `life` has passed since this reading by both clocks, and no clock went
    /// back.
    pub fn is_within(&self, life: Duration, now: &Self) -> bool {
        let by_the_clock = now.at >= self.at && now.at < self.at + life;
        by_the_clock && now.instant.duration_since(self.instant) < life
    }
}

/// The largest difference between the clocks of two nodes, 60 s. A stored time further ahead was
/// stored before the clock was set back.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Moves a stepped [`Clock`].
#[derive(Clone, Debug)]
pub struct Stepper(Arc<Stepped>);

impl Stepper {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0
            .millis
            .fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Moves the clock back, as an operator or a time server may do.
    pub fn step_back(&self, by: Duration) {
        self.0
            .millis
            .fetch_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// The pauses that were requested since the last call.
    pub fn pauses(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.pauses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Holds pauses until this is called again with `false`.
    pub fn hold_pauses(&self, held: bool) {
        self.0.holds_pauses.send_replace(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stepped_clock_moves_only_by_its_stepper() {
        let (clock, stepper) = Clock::stepped(Timestamp::from_unix_millis(1_000));
        assert_eq!(clock.now().unix_millis(), 1_000);
        stepper.advance(Duration::from_secs(2));
        assert_eq!(clock.now().unix_millis(), 3_000);
        stepper.step_back(Duration::from_secs(1));
        assert_eq!(clock.now().rfc3339(), "1970-01-01T00:00:02.000Z");
    }

    #[tokio::test]
    async fn stepped_clock_records_pauses_and_holds_them_on_request() {
        use futures_util::FutureExt;

        let (clock, stepper) = Clock::stepped(Timestamp::from_unix_millis(0));
        let pause = Duration::from_secs(3_600);
        clock.pause(pause).await;
        stepper.hold_pauses(true);
        let mut held = Box::pin(clock.pause(pause * 2));
        assert!(held.as_mut().now_or_never().is_none());
        stepper.hold_pauses(false);
        held.await;
        assert_eq!(stepper.pauses(), [pause, pause * 2]);
        assert!(stepper.pauses().is_empty());
    }

    #[test]
    fn difference_of_instants_is_never_negative() {
        let early = Timestamp::from_unix_millis(10);
        let late = Timestamp::from_unix_millis(25);
        assert_eq!(late.since(early), Duration::from_millis(15));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
