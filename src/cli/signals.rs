//! The signals that ask the process to end.

/// Number of SIGINT.
#[cfg(not(unix))]
const INTERRUPT: u8 = 2;

/// Waits for SIGTERM, SIGINT or SIGHUP (the terminal was closed), and returns its number. After the
/// first call, none of these signals ends the process by itself.
#[cfg(unix)]
pub async fn wait_for_signal() -> std::io::Result<u8> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let kind = tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = hang_up.recv() => SignalKind::hangup(),
    };
    Ok(u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX))
}

#[cfg(not(unix))]
pub async fn wait_for_signal() -> std::io::Result<u8> {
    tokio::signal::ctrl_c().await.map(|()| INTERRUPT)
}
