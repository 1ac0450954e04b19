//! Diagnosis of a failed test letter: finds the setting to change.
//!
//! lettre's errors name the step that failed, and seldom the reason. After a failure on the way to
//! the mail server, the operator's test letter therefore asks the server for its capabilities: in
//! the clear and encrypted, with any certificate accepted. The diagnosis compares the answers with
//! the settings. It sends no user and no password.

use std::time::Duration;

use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::commands::Ehlo;
use tokio::time::timeout;

use crate::config::{Encryption, SmtpServer};
use crate::mail::advice::{Diagnosis, RefusalReason};
use crate::mail::delivery_failure::{CertificateFault, ConnectionError, DeliveryFailure, Stage};
use crate::mail::smtp::Smtp;

/// Longest time for each connection that asks for capabilities.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Capabilities in the server's answer to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EhloResponse {
    starttls: bool,
    /// Mechanisms of AUTH (RFC 4954 §3).
    mechanisms: Vec<String>,
}

/// Capabilities that the server offers to any client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Capabilities {
    /// In the clear; `None` if the server does not greet.
    clear: Option<EhloResponse>,
    /// Encrypted from the first byte, or after STARTTLS.
    encrypted: Option<EhloResponse>,
    /// The server speaks TLS from the first byte.
    is_implicit: bool,
    /// The certificate's issuer is its own subject.
    is_self_signed: bool,
}

impl Smtp {
    /// Diagnoses a failure. Connects to the mail server again if its capabilities matter.
    pub async fn diagnose(&self, failure: &DeliveryFailure, sender: &str) -> Option<Diagnosis> {
        let is_probed = matches!(
            failure.stage,
            Stage::Greeting | Stage::Encryption | Stage::Authentication | Stage::Sender
        );
        let capabilities =
            if is_probed { self.capabilities().await } else { Capabilities::default() };
        diagnosis(failure, &self.0.server, &capabilities, sender)
    }

    async fn capabilities(&self) -> Capabilities {
        let host = self.0.server.host.clone();
        let tls = TlsParametersBuilder::new(host)
            .dangerous_accept_invalid_certs(true)
            .dangerous_accept_invalid_hostnames(true)
            .build();
        let Ok(tls) = tls else { return Capabilities::default() };
        let mut capabilities = Capabilities::default();
        if let Ok(Some(mut connection)) = timeout(PROBE_TIMEOUT, self.probe(None)).await {
            let ehlo = self.ehlo(&mut connection).await;
            let starttls = ehlo.starttls;
            capabilities.clear = Some(ehlo);
            let hello = &self.0.hello_name;
            if starttls
                && let Ok(Ok(())) =
                    timeout(PROBE_TIMEOUT, connection.starttls(tls.clone(), hello)).await
            {
                capabilities.is_self_signed = is_self_signed(&connection);
                capabilities.encrypted = Some(self.ehlo(&mut connection).await);
            }
        } else if let Ok(Some(mut connection)) = timeout(PROBE_TIMEOUT, self.probe(Some(tls))).await
        {
            capabilities.is_implicit = true;
            capabilities.is_self_signed = is_self_signed(&connection);
            capabilities.encrypted = Some(self.ehlo(&mut connection).await);
        }
        capabilities
    }

    async fn probe(&self, tls: Option<TlsParameters>) -> Option<AsyncSmtpConnection> {
        let addresses = self.0.addresses().await.ok()?;
        let (within, hello) = (Some(PROBE_TIMEOUT), &self.0.hello_name);
        let connected =
            AsyncSmtpConnection::connect_tokio1(addresses.as_slice(), within, hello, tls, None);
        connected.await.ok()
    }

    async fn ehlo(&self, connection: &mut AsyncSmtpConnection) -> EhloResponse {
        let mut ehlo = EhloResponse::default();
        let hello = connection.command(Ehlo::new(self.0.hello_name.clone()));
        let Ok(Ok(reply)) = timeout(PROBE_TIMEOUT, hello).await else { return ehlo };
        for line in reply.message() {
            let mut words = line.split_ascii_whitespace().map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => ehlo.starttls = true,
                Some("AUTH") => ehlo.mechanisms.extend(words.filter(|word| is_token(word))),
                _ => {}
            }
        }
        ehlo
    }
}

/// Whether a word may be a mechanism's name (RFC 4422 §3.1). No other word of the server is
/// repeated.
fn is_token(word: &str) -> bool {
    word.len() <= 20 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn is_self_signed(connection: &AsyncSmtpConnection) -> bool {
    let Ok(der) = connection.peer_certificate() else { return false };
    let der = rustls::pki_types::CertificateDer::from(der);
    webpki::EndEntityCert::try_from(&der)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

const URL: Option<&str> = Some("vestibule.mail.smtp_url");
const CA_FILE: Option<&str> = Some("vestibule.mail.ca_file");
const FROM: Option<&str> = Some("vestibule.mail.from");

fn diagnosis(
    failure: &DeliveryFailure,
    server: &SmtpServer,
    capabilities: &Capabilities,
    sender: &str,
) -> Option<Diagnosis> {
    let SmtpServer { host, port, encryption, login } = server;
    let say = |seen: String, setting, advice: String| Some(Diagnosis { seen, setting, advice });
    let connection_error = failure.connection_error;
    let behind_starttls = capabilities.clear.as_ref().is_some_and(|ehlo| ehlo.starttls);
    let is_encrypted = matches!(encryption, Encryption::StartTls | Encryption::Implicit)
        || (*encryption == Encryption::Opportunistic && behind_starttls);
    let elsewhere = "set ?tls=required, with the submission port, usually 587, or smtps:// \
                     with 465";
    if let Some(refused) = RefusalReason::of(failure, is_encrypted) {
        return Some(refused.diagnosis(sender, login.is_some()));
    }
    match (failure.stage, failure.code) {
        (Stage::Lookup, _) => say(
            format!("the name `{host}` has no address"),
            URL,
            "correct the host, or repair the name resolution of this machine".to_owned(),
        ),
        (Stage::Connection, _) if connection_error == Some(ConnectionError::Refused) => say(
            format!("nothing listens at port {port} of `{host}`"),
            URL,
            "start the mail server, or correct host and port: usually 465 for smtps://, 587 for \
             smtp:// with ?tls=required, and 25 without a user and a password"
                .to_owned(),
        ),
        (Stage::Connection, _) if connection_error == Some(ConnectionError::TimedOut) && *port == 25 => say(
            format!("port 25 of `{host}` does not answer; many networks block that port"),
            URL,
            elsewhere.to_owned(),
        ),
        (Stage::Connection, _) if connection_error == Some(ConnectionError::TimedOut) => say(
            format!("port {port} of `{host}` does not answer"),
            URL,
            "correct host and port, or allow this machine through the firewall".to_owned(),
        ),
        (Stage::Connection, _) => say(
            format!("port {port} of `{host}` cannot be reached"),
            URL,
            "correct host and port, or repair the network of this machine".to_owned(),
        ),
        (Stage::Greeting, _) if capabilities.is_implicit && *encryption != Encryption::Implicit => say(
            format!("the server speaks TLS from the first byte at port {port}, and smtp:// waits for a greeting"),
            URL,
            format!("use smtps:// instead of smtp://, with the port {port} and without ?tls"),
        ),
        (Stage::Encryption | Stage::Greeting, _)
            if *encryption == Encryption::Implicit && capabilities.clear.is_some() =>
        {
            let advice = match behind_starttls {
                true => format!("use smtp:// with the port {port} and ?tls=required instead of smtps://"),
                false => "the server offers no encryption at this port: correct the port, usually 465 for \
                          smtps://"
                    .to_owned(),
            };
            say(
                format!("the server greets in the clear at port {port}, and smtps:// is TLS from the first byte"),
                URL,
                advice,
            )
        }
        (Stage::Encryption, _) if let Some(ConnectionError::Certificate(fault)) = connection_error => {
            certificate(fault, host, capabilities)
        }
        (Stage::Encryption, None) if capabilities.clear.as_ref().is_some_and(|ehlo| !ehlo.starttls) => say(
            format!("the server offers no STARTTLS at port {port}"),
            URL,
            "correct the port (587, or smtps:// with 465), or set ?tls=none if the network to the \
             server is safe"
                .to_owned(),
        ),
        (Stage::Encryption, Some(_)) => say(
            "the server offers STARTTLS, and refuses it".to_owned(),
            None,
            "repair the encryption of the server: perhaps its certificate or key is not \
             valid".to_owned(),
        ),
        (Stage::Encryption, None) => say(
            "the server and the service have no TLS version or cipher in common".to_owned(),
            None,
            "read the error above; the server must support TLS 1.2 or 1.3".to_owned(),
        ),
        (Stage::Authentication, None) => sign_in(is_encrypted, capabilities),
        (Stage::Authentication, Some(530 | 538)) if !is_encrypted => say(
            "the server accepts passwords over encrypted connections only".to_owned(),
            URL,
            "set ?tls=required".to_owned(),
        ),
        (Stage::Authentication, Some(500..)) => say(
            "the server does not accept the user and the password".to_owned(),
            URL,
            "correct them; in the URL, special characters are written as %40 for @, %3A for :, %2F for /. \
             Some providers require an app password"
                .to_owned(),
        ),
        (Stage::Authentication, Some(_)) => say(
            "the server cannot check the user and the password at present".to_owned(),
            None,
            "wait: the service retries by itself, this command does not".to_owned(),
        ),
        (Stage::Sender, Some(code @ (530 | 538 | 554)))
            if !is_encrypted
                && behind_starttls
                && (code == 538 || code == 530 && login.is_some() || is_about_tls(&failure.words)) =>
            say(
            "the server accepts letters over encrypted connections only".to_owned(),
            URL,
            "set ?tls=required".to_owned(),
        ),
        (Stage::Sender | Stage::Recipient, Some(530)) if login.is_none() => say(
            "the server accepts letters of signed-in users only".to_owned(),
            URL,
            "put the user and the password into the URL: smtp://user:password@host".to_owned(),
        ),
        (Stage::Sender, Some(500..)) => say(
            format!("the server refuses the sender `{sender}`"),
            FROM,
            "use an address that this server, or the user that signs in, may send from".to_owned(),
        ),
        (Stage::Recipient, Some(500..)) => say(
            "the server refuses this recipient".to_owned(),
            None,
            "try another address; if the server refuses every address, ask the operator of the \
             server"
                .to_owned(),
        ),
        (Stage::Content, Some(500..)) => say(
            format!("the server refuses the content of the letter from `{sender}`"),
            FROM,
            "read the server's reply above; if it is about SPF, DKIM or DMARC, use a sender whose \
             domain permits this server"
                .to_owned(),
        ),
        (Stage::Recipient | Stage::Content, Some(400..=499)) => say(
            "the server refuses the letter temporarily".to_owned(),
            None,
            "wait, if the server greylists: the service retries by itself, this command does not"
                .to_owned(),
        ),
        (Stage::Greeting, None) if capabilities.clear.is_none() && failure.is_hang_up() => say(
            format!("the server closes the connection to port {port} of `{host}` without a greeting"),
            None,
            "ask the operator of the server whether this machine may connect, and how often at \
             once".to_owned(),
        ),
        (Stage::Greeting, None) if capabilities.clear.is_none() => say(
            format!("port {port} of `{host}` does not greet as a mail server does"),
            URL,
            "correct host and port, or check the mail server".to_owned(),
        ),
        (Stage::Greeting | Stage::Sender, Some(_)) => say(
            "the server refuses this machine at present".to_owned(),
            None,
            "read the server's reply above, and ask the operator of the server whether this \
             machine may send".to_owned(),
        ),
        _ => None,
    }
}

/// Whether the words are about TLS. The codes do not tell: 530 and 554 have other meanings as well.
fn is_about_tls(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["tls", "ssl", "encrypt"].iter().any(|word| words.contains(word))
}

fn certificate(
    fault: CertificateFault,
    host: &str,
    capabilities: &Capabilities,
) -> Option<Diagnosis> {
    let say = |seen: &str, setting, advice: String| {
        Some(Diagnosis { seen: seen.to_owned(), setting, advice })
    };
    match fault {
        CertificateFault::Expired => say(
            "the server's certificate has expired, or is not valid yet",
            None,
            "renew the certificate on the server; if it is new, check the clock of this \
             machine".to_owned(),
        ),
        CertificateFault::WrongName => say(
            "the server's certificate is for another name",
            URL,
            format!("use the name in the certificate instead of `{host}`"),
        ),
        CertificateFault::Authority => say(
            "the server uses a CA certificate as its own",
            None,
            "give the server a certificate of its own (basicConstraints CA:FALSE), and name its issuer in \
             vestibule.mail.ca_file"
                .to_owned(),
        ),
        CertificateFault::UnknownIssuer if capabilities.is_self_signed => say(
            "the server's certificate is self-signed",
            CA_FILE,
            "name a PEM file with this certificate".to_owned(),
        ),
        CertificateFault::UnknownIssuer => say(
            "the server's certificate is signed by an unknown authority",
            CA_FILE,
            "name a PEM file with the certificate of this authority, and let the server send the \
             intermediate certificates"
                .to_owned(),
        ),
        CertificateFault::Other => say(
            "the server's certificate is not valid",
            None,
            "read the error above, and replace the certificate on the server".to_owned(),
        ),
    }
}

/// Diagnoses a failed login without a reason from the server. Most often the server offers no
/// mechanism that the service knows. `None` if the server's capabilities are unknown.
fn sign_in(is_encrypted: bool, capabilities: &Capabilities) -> Option<Diagnosis> {
    let say = |seen: String, advice: &str| {
        Some(Diagnosis { seen, setting: URL, advice: advice.to_owned() })
    };
    let knows =
        |ehlo: &EhloResponse| ehlo.mechanisms.iter().any(|name| name == "PLAIN" || name == "LOGIN");
    let here =
        if is_encrypted { capabilities.encrypted.as_ref() } else { capabilities.clear.as_ref() };
    if !is_encrypted && capabilities.encrypted.as_ref().is_some_and(knows) {
        return say(
            "the server accepts sign-ins after STARTTLS only".to_owned(),
            "set ?tls=required",
        );
    }
    match here {
        None => None,
        Some(ehlo) if knows(ehlo) => Some(Diagnosis {
            seen: "the server did not answer when the user signed in".to_owned(),
            setting: None,
            advice: "read the log of the server: perhaps its password service is unavailable"
                .to_owned(),
        }),
        Some(ehlo) if ehlo.mechanisms.is_empty() => say(
            "the server has no sign-in at this port".to_owned(),
            "leave out the user and the password, or use a submission port, 587 or 465",
        ),
        Some(ehlo) => say(
            format!(
                "the server offers the mechanisms {}, and the service supports PLAIN and LOGIN",
                ehlo.mechanisms.join(", ")
            ),
            "use a server or a port that offers PLAIN or LOGIN",
        ),
    }
}
