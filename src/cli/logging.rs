//! Logging of the program.
//!
//! The service logs text to a terminal, and JSON otherwise; a panic is a line of the log. Other
//! commands log warnings only.

use std::any::Any;
use std::io::IsTerminal;

use figment::Figment;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};
use vestibule::config::{LogFormat, LogSettings, SettingError};

/// Starts logging to standard output.
pub fn start(settings: &LogSettings, figment: &Figment) -> Result<(), SettingError> {
    let filter = check(settings, figment)?;
    let is_terminal = std::io::stdout().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt::layer().with_ansi(is_terminal);
    // an error here means that another subscriber is installed, which then logs
    let _ = if json {
        let lines = lines.json().flatten_event(true).with_current_span(false);
        registry().with(lines).with(filter).try_init()
    } else {
        registry().with(lines).with(filter).try_init()
    };
    // an error here means that another logger is installed, which then gets Rocket's log
    let _ = log::set_boxed_logger(Box::new(NoopLogger));
    log_panics();
    Ok(())
}

/// Parses the filter in the settings.
pub fn check(settings: &LogSettings, figment: &Figment) -> Result<Targets, SettingError> {
    filter(&settings.level).ok_or_else(|| {
        let wanted = "expected error, warn, info, debug, or a filter such as info,sqlx=warn";
        SettingError::new(figment, "vestibule.log.level", wanted)
    })
}

/// Starts logging for a command other than `serve`: warnings, on standard error, separate from the
/// result.
pub fn start_for_command() {
    let _ = fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    let _ = log::set_boxed_logger(Box::new(NoopLogger));
}

/// Parses a filter: levels between commas, each for all targets or for one target. `None` for any
/// other text, because a misspelt filter would log nothing.
fn filter(level: &str) -> Option<Targets> {
    let mut filter = Targets::new();
    for part in level.split(',').map(str::trim) {
        filter = match part.split_once('=') {
            None if part.is_empty() => return None,
            None => filter.with_default(part.parse::<LevelFilter>().ok()?),
            Some((target, level)) => {
                let is_path = |b: u8| b.is_ascii_alphanumeric() || b"_:-".contains(&b);
                if target.is_empty() || !target.bytes().all(is_path) || level.is_empty() {
                    return None;
                }
                filter.with_target(target, level.parse::<LevelFilter>().ok()?)
            }
        };
    }
    Some(filter)
}

/// Logs a panic as one line with its place. The message is included only if it is a constant,
/// because it may contain personal data otherwise.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, words = constant(panic.payload()), "panic");
    }));
}

fn constant(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or_default()
}

/// Drops the records of the `log` crate, which are Rocket's. Rocket logs whole URIs, and links
/// contain tokens. Rocket also logs a line for each refused guard, which any client can cause.
struct NoopLogger;

impl log::Log for NoopLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_filter_accepts_levels_and_targets_only() {
        let hears = |level: &str, target: &str, of: tracing::Level| {
            filter(level).unwrap().would_enable(target, &of)
        };
        use tracing::Level;
        assert!(
            hears("info", "vestibule", Level::INFO) && !hears("info", "vestibule", Level::DEBUG)
        );
        assert!(hears("info, other=warn", "vestibule", Level::INFO));
        assert!(!hears("info, other=warn", "other::part", Level::INFO));
        assert!(hears("other=debug,WARN", "other::part", Level::DEBUG));
        assert!(!hears("vestibule::request=info", "other", Level::ERROR));
        assert!(!hears("off", "vestibule", Level::ERROR));
        for wrong in [
            "",
            "loud",
            "info,",
            ",info",
            "vestibule=loud",
            "x=",
            "=info",
            "[span]=debug",
            "info,x[y]=debug",
            "a b=info",
            "info;other=warn",
        ] {
            assert!(filter(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn r55_panic_logs_constant_messages_only() {
        let words = |panic: fn()| constant(&*std::panic::catch_unwind(panic).unwrap_err());
        assert_eq!(words(|| panic!("a constant")), "a constant");
        let made: fn() = || std::panic::panic_any(format!("password {}", "hunter2"));
        assert_eq!(words(made), "");
    }
}
