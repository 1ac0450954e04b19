//! The only source of time.
//!
//! Everything that needs to know the time is given a [`Clock`]. The service runs on
//! [`Clock::system`]; tests run on [`Clock::stepped`] and move it with [`Stepper::advance`], so
//! that nothing ever sleeps to see something expire.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant in UTC, counted in milliseconds since the Unix epoch; what the database stores.
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

    /// How long after `earlier` this instant is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, as JSON answers carry it.
    pub fn rfc3339(self) -> String {
        self.date_time().format(&Rfc3339).unwrap_or_default()
    }

    /// For formatting; an instant outside the years that the `time` crate knows becomes the epoch.
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

/// Tells the time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Stepped(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until its stepper moves it.
    pub fn stepped(start: Timestamp) -> (Self, Stepper) {
        let millis = Arc::new(AtomicI64::new(start.unix_millis()));
        (Self(Source::Stepped(Arc::clone(&millis))), Stepper(millis))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
            Source::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Stepped(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// What it shows, by both clocks.
    pub fn read(&self) -> Reading {
        Reading { at: self.now(), instant: self.instant() }
    }

    /// A monotonic instant, for measuring how long work took; never stepped.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// What a [`Clock`] and the monotonic clock showed, for what may not last longer whatever the clock is
/// set to.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub at: Timestamp,
    pub instant: Instant,
}

impl Reading {
    /// Whether by both clocks less than `life` has passed since this reading, and no clock went back.
    pub fn is_within(&self, life: Duration, now: &Self) -> bool {
        let by_the_clock = now.at >= self.at && now.at < self.at + life;
        by_the_clock && now.instant.duration_since(self.instant) < life
    }
}

/// Moves a stepped [`Clock`].
#[derive(Clone, Debug)]
pub struct Stepper(Arc<AtomicI64>);

impl Stepper {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Moves the clock back, as an operator or a time server may.
    pub fn step_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_moves_only_when_told() {
        let (clock, stepper) = Clock::stepped(Timestamp::from_unix_millis(1_000));
        assert_eq!(clock.now().unix_millis(), 1_000);
        stepper.advance(Duration::from_secs(2));
        assert_eq!(clock.now().unix_millis(), 3_000);
        stepper.step_back(Duration::from_secs(1));
        assert_eq!(clock.now().rfc3339(), "1970-01-01T00:00:02Z");
    }

    #[test]
    fn time_never_runs_negative_when_measured() {
        let early = Timestamp::from_unix_millis(10);
        let late = Timestamp::from_unix_millis(25);
        assert_eq!(late.since(early), Duration::from_millis(15));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
