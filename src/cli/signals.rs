//! The signals that ask the process to end.

/// Number of SIGINT.
#[cfg(not(unix))]
const INTERRUPT: u8 = 2;

/// Listens for SIGTERM, SIGINT and SIGHUP (the terminal was closed); the future returns the number of
/// the first. After this call, none of these signals ends the process by itself.
#[cfg(unix)]
pub fn listen() -> std::io::Result<impl Future<Output = u8>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        let kind = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = hang_up.recv() => SignalKind::hangup(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX)
    })
}

#[cfg(not(unix))]
pub fn listen() -> std::io::Result<impl Future<Output = u8>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        INTERRUPT
    })
}

/// The signal of `listening`. If no signal can be received, this waits for ever, and the command
/// goes on to its end.
pub async fn wait(listening: std::io::Result<impl Future<Output = u8>>) -> u8 {
    match listening {
        Ok(signal) => signal.await,
        Err(_) => std::future::pending().await,
    }
}
