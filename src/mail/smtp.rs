//! Handing letters to a mail server (RFC 5321).
//!
//! The conversation is held here, step by step, with lettre's connections and commands. lettre's own
//! pool takes a connection back in the middle of a conversation if its user was not patient enough;
//! whoever gets it next takes the late answer for that to its own command, and in the end a refusal
//! for a letter that was taken.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::config::{Encryption, MailSettings, SmtpServer, host_name};
use crate::mail::delivery_failure::{CertificateFault, ConnectionError, DeliveryFailure, Stage};
use crate::mail::transport::TransportError;
use crate::storage::chain;

/// How long one of several addresses may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that was not used for a while may take to say that it is still there, and
/// one that is not used again to say goodbye.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that has been idle for so long is not used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A mail server, and the connections to it. Cheap to clone.
#[derive(Clone)]
pub struct Smtp(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) server: SmtpServer,
    /// How TLS is spoken, where it is.
    tls: Option<TlsParameters>,
    pub(super) hello_name: ClientId,
    timeout: Duration,
    /// With when they were used last, by the time that the network keeps.
    idle: Mutex<Vec<(Held, Instant)>>,
    /// How many connections are held, idle ones included.
    held: Arc<AtomicUsize>,
}

/// A connection, counted for as long as it is held.
struct Held {
    connection: AsyncSmtpConnection,
    counted: Arc<AtomicUsize>,
}

impl Held {
    fn new(connection: AsyncSmtpConnection, counted: &Arc<AtomicUsize>) -> Self {
        counted.fetch_add(1, Ordering::SeqCst);
        Self { connection, counted: Arc::clone(counted) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counted.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("server", &self.0.server).finish_non_exhaustive()
    }
}

impl Smtp {
    pub fn from_settings(settings: &MailSettings) -> Result<Self, TransportError> {
        let url = settings.smtp_url.as_deref().unwrap_or_default();
        let server = SmtpServer::parse(url)?;
        let tls = match server.encryption {
            Encryption::None => None,
            _ => Some(tls(&server, settings)?),
        };
        let hello_name = settings.hello_name.as_deref().and_then(host_name);
        let hello_name = hello_name.map(ClientId::Domain).unwrap_or_default();
        let timeout = settings.timeout.duration();
        let (idle, held) = (Mutex::default(), Arc::default());
        Ok(Self(Arc::new(Inner { server, tls, hello_name, timeout, idle, held })))
    }

    /// Hands the letter over; the server has taken it once this answers `Ok`. With `patience`, the server
    /// may take only so long to answer to a recipient.
    pub async fn send(
        &self,
        message: &Message,
        patience: Option<Duration>,
    ) -> Result<(), DeliveryFailure> {
        let mut stage = Stage::Connection;
        let patience = patience.unwrap_or(self.0.timeout);
        let handing_over = self.0.hand_over(message, patience, &mut stage);
        let handed_over = timeout(self.0.timeout, handing_over).await;
        handed_over.unwrap_or_else(|_| Err(too_long(stage)))
    }
}

fn too_long(stage: Stage) -> DeliveryFailure {
    DeliveryFailure::new(stage, "it took too long").of(Some(ConnectionError::TimedOut))
}

fn tls(server: &SmtpServer, settings: &MailSettings) -> Result<TlsParameters, TransportError> {
    let mut builder = TlsParametersBuilder::new(server.host.clone());
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(TransportError::CaFile)?;
        let has_one = pem.windows(b"BEGIN CERTIFICATE".len()).any(|w| w == b"BEGIN CERTIFICATE");
        let certificate = Certificate::from_pem(&pem).ok().filter(|_| has_one);
        builder = builder.add_root_certificate(certificate.ok_or(TransportError::NoCertificate)?);
    }
    if !server.encryption.is_verified() {
        builder =
            builder.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|error| TransportError::Tls(error.to_string()))
}

impl Inner {
    /// `stage` is always how far it got, even if nobody waits for the end.
    ///
    /// A connection that was used before may be at fault itself: servers take only so many letters and
    /// mistakes by one. So only what a new connection shows counts against a letter or the server.
    async fn hand_over(
        &self,
        message: &Message,
        patience: Duration,
        stage: &mut Stage,
    ) -> Result<(), DeliveryFailure> {
        if let Some(held) = self.idle_connection().await {
            match self.hand_over_by(held, message, patience, stage).await {
                Err(failure) if failure.is_retryable_on_new_connection() => {}
                outcome => return outcome,
            }
        }
        let connected = self.connect(stage).await;
        let others = || self.held.load(Ordering::SeqCst);
        let connection = connected.map_err(|failure| failure.beside(others()))?;
        self.hand_over_by(Held::new(connection, &self.held), message, patience, stage).await
    }

    /// A connection that saw a refusal is not used again: what it says next may be about that.
    async fn hand_over_by(
        &self,
        mut held: Held,
        message: &Message,
        patience: Duration,
        stage: &mut Stage,
    ) -> Result<(), DeliveryFailure> {
        let outcome = converse(&mut held.connection, message, patience, stage).await;
        match &outcome {
            Ok(()) => self.idle().push((held, Instant::now())),
            // what is silent says no goodbye
            Err(failure) if failure.connection_error == Some(ConnectionError::TimedOut) => {
                drop(held);
            }
            Err(_) => {
                // politely, and behind the back of the letter
                tokio::spawn(async move { timeout(REPLY_TIMEOUT, held.connection.quit()).await });
            }
        }
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Held, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that was used lately, and is still there.
    async fn idle_connection(&self) -> Option<Held> {
        loop {
            let (mut held, since) = self.idle().pop()?;
            let is_there = since.elapsed() < IDLE_TIMEOUT
                && timeout(REPLY_TIMEOUT, held.connection.test_connected()).await == Ok(true);
            if is_there {
                return Some(held);
            }
        }
    }

    async fn connect(&self, stage: &mut Stage) -> Result<AsyncSmtpConnection, DeliveryFailure> {
        let Self { server, tls, hello_name, .. } = self;
        *stage = Stage::Lookup;
        let addresses = self.addresses().await?;
        // whoever is too slow for our patience from here on was reached
        *stage = Stage::Greeting;
        let implicit = tls.clone().filter(|_| server.encryption == Encryption::Implicit);
        let connected = AsyncSmtpConnection::connect_tokio1(
            addresses.as_slice(),
            Some(CONNECT_TIMEOUT.min(self.timeout / 2)),
            hello_name,
            implicit,
            None,
        );
        let mut connection = connected.await.map_err(|error| {
            let stage = match () {
                () if is_about_tls(&error) => Stage::Encryption,
                () if error.status().is_some() || error.is_response() => Stage::Greeting,
                () => Stage::Connection,
            };
            failure(stage, &error)
        })?;
        if let Some(tls) = tls.clone().filter(|_| server.encryption != Encryption::Implicit) {
            *stage = Stage::Encryption;
            if connection.can_starttls() {
                let encrypted = connection.starttls(tls, hello_name).await;
                encrypted.map_err(|error| failure(Stage::Encryption, &error))?;
            } else if server.encryption == Encryption::StartTls {
                return Err(DeliveryFailure::new(
                    Stage::Encryption,
                    "the server offers no STARTTLS",
                ));
            }
        }
        if let Some(login) = &server.login {
            *stage = Stage::Authentication;
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signed_in = connection.auth(&mechanisms, &credentials).await;
            signed_in.map_err(|error| failure(Stage::Authentication, &error))?;
        }
        Ok(connection)
    }

    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, DeliveryFailure> {
        let place = (self.server.host.clone(), self.server.port);
        let found = spawn_blocking(move || place.to_socket_addrs().map(Iterator::collect)).await;
        let found = found.map_err(io::Error::other).and_then(|found| found);
        found.map_err(|error| DeliveryFailure::new(Stage::Lookup, &error.to_string()))
    }
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    patience: Duration,
    stage: &mut Stage,
) -> Result<(), DeliveryFailure> {
    let envelope = message.envelope();
    *stage = Stage::Sender;
    let said = connection.command(Mail::new(envelope.from().cloned(), Vec::new())).await;
    said.map_err(|error| failure(Stage::Sender, &error))?;
    *stage = Stage::Recipient;
    for recipient in envelope.to() {
        let said = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
        let said = timeout(patience, said).await.map_err(|_| too_long(Stage::Recipient))?;
        said.map_err(|error| failure(Stage::Recipient, &error))?;
    }
    *stage = Stage::Content;
    let said = connection.command(Data).await;
    said.map_err(|error| failure(Stage::Content, &error))?;
    let said = connection.message(&message.formatted()).await;
    said.map(drop).map_err(|error| failure(Stage::Content, &error))
}

/// A failed handshake is told as a failed connection; what was read was then no TLS, or no good one.
fn is_about_tls(error: &Error) -> bool {
    io_error(error).is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The error of the connection below, however deep.
fn io_error(error: &Error) -> Option<&io::Error> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.into_iter().find_map(|cause| cause.downcast_ref())
}

/// What the connection says itself.
fn connection_error(error: &Error) -> Option<ConnectionError> {
    let cause = io_error(error)?;
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => Some(ConnectionError::Refused),
        io::ErrorKind::TimedOut => Some(ConnectionError::TimedOut),
        _ => match cause.get_ref()?.downcast_ref()? {
            rustls::Error::InvalidCertificate(fault) => {
                Some(ConnectionError::Certificate(fault_of(fault)))
            }
            _ => None,
        },
    }
}

fn fault_of(error: &rustls::CertificateError) -> CertificateFault {
    use rustls::CertificateError as E;

    match error {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            CertificateFault::Expired
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => CertificateFault::WrongName,
        // of an authority with the name of a known one, and another key
        E::UnknownIssuer | E::BadSignature => CertificateFault::UnknownIssuer,
        E::Other(other) if is_authority(other) => CertificateFault::Authority,
        _ => CertificateFault::Other,
    }
}

fn is_authority(other: &rustls::OtherError) -> bool {
    let error = other.0.downcast_ref::<webpki::Error>();
    matches!(error, Some(webpki::Error::CaUsedAsEndEntity))
}

fn failure(stage: Stage, error: &Error) -> DeliveryFailure {
    let code = error.status().and_then(|code| code.to_string().parse().ok());
    match (code, std::error::Error::source(error)) {
        (Some(code), Some(words)) => DeliveryFailure::answered(stage, code, &words.to_string()),
        (Some(code), None) => DeliveryFailure::answered(stage, code, ""),
        (None, Some(cause)) => {
            DeliveryFailure::new(stage, &chain(cause)).of(connection_error(error))
        }
        (None, None) => DeliveryFailure::new(stage, &error.to_string()),
    }
}
