//! The log of the service: text on a terminal, JSON otherwise; and panics as lines of it. Beside a
//! command it is only what goes wrong.

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
    // an error here is another subscriber, and then that one logs
    let _ = if json {
        let lines = lines.json().flatten_event(true).with_current_span(false);
        registry().with(lines).with(filter).try_init()
    } else {
        registry().with(lines).with(filter).try_init()
    };
    // an error here is another logger, and then that one hears Rocket
    let _ = log::set_boxed_logger(Box::new(NoopLogger));
    log_panics();
    Ok(())
}

/// Reads what is logged.
pub fn check(settings: &LogSettings, figment: &Figment) -> Result<Targets, SettingError> {
    filter(&settings.level).ok_or_else(|| {
        let wanted = "expected error, warn, info, debug, or a filter such as info,sqlx=warn";
        SettingError::new(figment, "vestibule.log.level", wanted)
    })
}

/// Starts logging beside a command: warnings, on standard error, away from what was asked for.
pub fn start_for_command() {
    let _ = fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    let _ = log::set_boxed_logger(Box::new(NoopLogger));
}

/// Levels, for all or for a target each, between commas. `None` for anything else: what is misspelt
/// would hear nothing.
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

/// A panic is a line in the log that says where. What it says is left out unless it is a constant:
/// it may have been made of somebody's data.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, words = constant(panic.payload()), "panic");
    }));
}

fn constant(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or_default()
}

/// Hears what is logged with the `log` crate, and that is Rocket: it repeats whole URIs, and there
/// are tokens in links; and a line for each refused guard, which anybody can cause.
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
    fn a_filter_is_levels_and_targets_and_nothing_else() {
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
    fn r55_a_panic_tells_constants_and_nothing_that_was_made_of_data() {
        let words = |panic: fn()| constant(&*std::panic::catch_unwind(panic).unwrap_err());
        assert_eq!(words(|| panic!("a constant")), "a constant");
        let made: fn() = || std::panic::panic_any(format!("password {}", "hunter2"));
        assert_eq!(words(made), "");
    }
}
