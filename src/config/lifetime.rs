//! Durations as people write them in settings: `15m`, `14d`, `1h 30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::setting_error::Problem;

/// A duration in whole milliseconds, written as `15m`, `24h`, `90d` or `1h 30m`.
#[derive(Clone, Copy)]
pub struct Lifetime {
    duration: Duration,
    /// The unit in which a default is written.
    unit: Option<Unit>,
}

/// A unit, with its length in milliseconds.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Millisecond = 1,
    Second = 1_000,
    Minute = 60_000,
    Hour = 3_600_000,
    Day = 86_400_000,
}

impl Lifetime {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self { duration: Duration::from_secs(seconds), unit: None }
    }

    /// A default, which is shown in this unit.
    pub(super) const fn of(count: u64, unit: Unit) -> Self {
        Self { duration: Duration::from_millis(count * unit as u64), unit: Some(unit) }
    }

    /// The duration as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.duration
    }

    pub(super) fn at_least_a_second(self, key: &'static str) -> Result<(), Problem> {
        match self.duration < Duration::from_secs(1) {
            true => Err((key, "expected at least 1s".to_owned())),
            false => Ok(()),
        }
    }
}

impl PartialEq for Lifetime {
    fn eq(&self, other: &Self) -> bool {
        self.duration == other.duration
    }
}

impl Eq for Lifetime {}

const WANTED: &str = "a length of time with its unit, such as 30s, 15m, 24h or 90d";

/// The text is no duration, or a duration of more than 100 years.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected {WANTED}")]
pub struct LifetimeError;

impl FromStr for Lifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        let duration = humantime::parse_duration(text).map_err(|_| LifetimeError)?;
        // 100 years serve as "forever", and sums of instants stay far from overflow
        let is_too_long = duration > Duration::from_secs(100 * 366 * 24 * 3_600);
        if is_too_long { Err(LifetimeError) } else { Ok(duration.into()) }
    }
}

impl From<Duration> for Lifetime {
    fn from(duration: Duration) -> Self {
        Self { duration, unit: None }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(unit) = self.unit else {
            return humantime::format_duration(self.duration).fmt(f);
        };
        let suffix = match unit {
            Unit::Millisecond => "ms",
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
            Unit::Day => "d",
        };
        write!(f, "{}{suffix}", self.duration.as_millis() / unit as u128)
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Lifetime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTED)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Lifetime, E> {
                text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}
