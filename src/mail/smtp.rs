//! SMTP client: hands letters to a mail server (RFC 5321).
//!
//! The module runs the dialogue step by step with lettre's connections and commands, without
//! lettre's pool. lettre's pool takes a connection back in the middle of a dialogue if its user
//! stops waiting. The next user then reads the late answer as the answer to its own command, and in
//! the end reports a refusal of a letter that was taken.

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

use crate::config::{Encryption, MailSettings, SmtpServer, SmtpUrlError, host_name};
use crate::mail::delivery_failure::{CertificateFault, ConnectionError, DeliveryFailure, Stage};
use crate::storage::chain;

/// Longest time to connect to one of several addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for an idle connection to answer before it is used again, and for a connection to
/// answer QUIT.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that has been idle for longer is not used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the transport in the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error(transparent)]
    SmtpUrl(#[from] SmtpUrlError),
    #[error("the file cannot be read: {0}")]
    CaFile(#[source] io::Error),
    #[error("expected certificates as PEM: -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl TransportError {
    /// The setting to correct.
    pub fn key(&self) -> &'static str {
        match self {
            Self::SmtpUrl(_) | Self::Tls(_) => "vestibule.mail.smtp_url",
            Self::CaFile(_) | Self::NoCertificate => "vestibule.mail.ca_file",
        }
    }
}

/// A mail server, and the connections to it. Cheap to clone.
#[derive(Clone)]
pub struct Smtp(pub(super) Arc<SmtpClient>);

pub(super) struct SmtpClient {
    pub(super) server: SmtpServer,
    /// Parameters of TLS, if the connection is encrypted.
    tls: Option<TlsParameters>,
    pub(super) hello_name: ClientId,
    timeout: Duration,
    /// Idle connections, each with the time of its last use, on the monotonic clock.
    idle: Mutex<Vec<(OpenConnection, Instant)>>,
    /// Number of open connections, idle ones included.
    held: Arc<AtomicUsize>,
}

/// An open connection, which counts until it is dropped.
struct OpenConnection {
    connection: AsyncSmtpConnection,
    counted: Arc<AtomicUsize>,
}

impl OpenConnection {
    fn new(connection: AsyncSmtpConnection, counted: &Arc<AtomicUsize>) -> Self {
        counted.fetch_add(1, Ordering::SeqCst);
        Self { connection, counted: Arc::clone(counted) }
    }
}

impl Drop for OpenConnection {
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
    /// The client for the mail server in the settings. It connects at the first letter.
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
        Ok(Self(Arc::new(SmtpClient { server, tls, hello_name, timeout, idle, held })))
    }

    /// Hands the letter over. `Ok` means that the server has taken it. `patience` limits the time
    /// for the server's answer to a recipient.
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
    DeliveryFailure::new(stage, "the mail server did not answer in time")
        .of(Some(ConnectionError::TimedOut))
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

impl SmtpClient {
    /// Hands the letter over, on an idle connection if there is one. `stage` always holds the
    /// current step, so that a caller which stops waiting can read it.
    ///
    /// A used connection may be at fault itself: servers take only so many letters and mistakes on
    /// one connection. Only a failure on a new connection therefore counts against a letter or the
    /// server.
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
        self.hand_over_by(OpenConnection::new(connection, &self.held), message, patience, stage)
            .await
    }

    /// Hands the letter over on this connection. A connection is not used again after a refusal:
    /// its next reply may refer to the refusal.
    async fn hand_over_by(
        &self,
        mut held: OpenConnection,
        message: &Message,
        patience: Duration,
        stage: &mut Stage,
    ) -> Result<(), DeliveryFailure> {
        let outcome = converse(&mut held.connection, message, patience, stage).await;
        match &outcome {
            Ok(()) => self.idle().push((held, Instant::now())),
            // a silent server would not answer QUIT
            Err(failure) if failure.connection_error == Some(ConnectionError::TimedOut) => {
                drop(held);
            }
            Err(_) => {
                // QUIT in the background, so that the letter does not wait for it
                tokio::spawn(async move { timeout(REPLY_TIMEOUT, held.connection.quit()).await });
            }
        }
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(OpenConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was used lately and still answers.
    async fn idle_connection(&self) -> Option<OpenConnection> {
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
        // from here on a timeout means that the server was reached, and was slow to greet
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

/// Whether a failed connection is a failed handshake: the bytes that were read are no TLS, or no
/// valid TLS.
fn is_about_tls(error: &Error) -> bool {
    io_error(error).is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The I/O error at any depth of the chain.
fn io_error(error: &Error) -> Option<&io::Error> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.into_iter().find_map(|cause| cause.downcast_ref())
}

/// The error of the connection itself, if there is one.
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
        // an authority with the name of a known one and another key
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
