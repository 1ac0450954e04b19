//! A scripted mail server: it speaks SMTP (RFC 5321) on a port of this machine, keeps every letter
//! that it accepts, and asks a script at each step for its next act.
//!
//! Each connection has a thread, and the code is synchronous, so that tests of every kind can use
//! it.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]
#![expect(clippy::expect_used, reason = "this is how a test fails")]

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};
use socket2::{Domain, Socket, Type};

/// A step of a conversation: the client's last command, before the server's answer.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The client has connected, and waits for the greeting.
    Connected,
    Hello,
    StartTls,
    Auth {
        user: &'a str,
        password: &'a str,
    },
    Sender(&'a str),
    Recipient(&'a str),
    /// The client wants to send the letter.
    Data,
    /// The client has sent the final dot.
    Letter(&'a Letter),
}

impl Step<'_> {
    /// The name of the command, or of the event without one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth { .. } => "AUTH",
            Self::Sender(_) => "MAIL",
            Self::Recipient(_) => "RCPT",
            Self::Data => "DATA",
            Self::Letter(_) => "letter",
        }
    }
}

/// The server's act at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Acts as a working server does.
    Behave,
    /// Sends this answer, such as `450 4.2.1 later`. After a 421 it hangs up.
    Say(&'static str),
    /// Sends nothing more, and does not hang up either.
    Hang,
    /// Hangs up without an answer and without any effect.
    HangUp,
    /// Executes the command, and hangs up instead of answering: at the final dot it accepts the
    /// letter.
    LoseTheAnswer,
    /// Behaves, with this pause before each byte of its answer.
    Slowly(Duration),
}

type Script = Arc<dyn Fn(Step<'_>) -> Act + Send + Sync>;

/// A letter that the server accepted.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    /// With its angle brackets.
    pub message_id: String,
    /// The content without the dots that SMTP adds (RFC 5321 §4.5.2).
    pub raw: String,
    pub at: Instant,
    /// The client got no answer to the final dot.
    pub answer_lost: bool,
}

/// The encryption that the server offers.
#[derive(Clone)]
enum Encryption {
    None,
    StartTls(Arc<ServerConfig>),
    Implicit(Arc<ServerConfig>),
}

struct Shared {
    encryption: Encryption,
    state: Mutex<State>,
    taken: Condvar,
}

struct State {
    script: Script,
    is_open: bool,
    letters: Vec<Letter>,
    /// All commands of clients; of letters, only their end.
    commands: Vec<String>,
    logins: Vec<Login>,
    /// The mechanisms of AUTH, in the clear and encrypted.
    mechanisms: [&'static str; 2],
    /// The open connections, by number.
    connections: BTreeMap<usize, TcpStream>,
    /// How many connections there have been.
    connected: usize,
    /// How many connections may be open at once.
    most: usize,
}

/// A password that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub encrypted: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Dropping it closes its port and its connections.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    port: Mutex<Port>,
}

/// The server's port. It stays reserved while the server is closed.
enum Port {
    Open(JoinHandle<()>),
    Closed(Socket),
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl SmtpServer {
    /// A server that behaves, and has no STARTTLS.
    pub fn start() -> Self {
        Self::with(Encryption::None)
    }

    /// A server that offers STARTTLS (RFC 3207).
    pub fn start_tls(authority: &Authority, host: &str) -> Self {
        Self::with(Encryption::StartTls(authority.server_config(host)))
    }

    /// A server that speaks TLS from the first byte (RFC 8314 §3.3).
    pub fn implicit_tls(authority: &Authority, host: &str) -> Self {
        Self::with(Encryption::Implicit(authority.server_config(host)))
    }

    fn with(encryption: Encryption) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = State {
            script: Arc::new(|_| Act::Behave),
            is_open: true,
            letters: Vec::new(),
            commands: Vec::new(),
            logins: Vec::new(),
            mechanisms: ["PLAIN LOGIN"; 2],
            connections: BTreeMap::new(),
            connected: 0,
            most: usize::MAX,
        };
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { encryption, state, taken: Condvar::new() });
        let port = Mutex::new(Port::Open(listen(listener, &shared)));
        Self { address, shared, port }
    }

    /// A server that shows this certificate, behind STARTTLS.
    pub fn showing(authority: &Authority, shown: Certificate) -> Self {
        Self::with(Encryption::StartTls(authority.config_showing("localhost", shown)))
    }

    /// Offers these mechanisms of AUTH, in the clear and encrypted.
    pub fn offers(&self, clear: &'static str, encrypted: &'static str) {
        self.shared.state().mechanisms = [clear, encrypted];
    }

    /// Accepts only so many connections at once, and refuses others by 421.
    pub fn limits(&self, most: usize) {
        self.shared.state().most = most;
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `smtp://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Sets the script from the next step on, also in open connections.
    pub fn plays(&self, script: impl Fn(Step<'_>) -> Act + Send + Sync + 'static) {
        self.shared.state().script = Arc::new(script);
    }

    pub fn behaves(&self) {
        self.plays(|_| Act::Behave);
    }

    /// Closes all connections, and refuses new ones from now on.
    pub fn close(&self) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let Port::Open(thread) = &*port else { return };
        self.shared.state().is_open = false;
        // wakes the thread, which then notices that it has to end
        let _ = TcpStream::connect(self.address);
        while !thread.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option of it");
        socket.bind(&self.address.into()).expect("the same port once more");
        *port = Port::Closed(socket);
        for connection in self.shared.state().connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Listens again, on the same port.
    pub fn open(&self) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let Port::Closed(socket) = &*port else { return };
        let socket = socket.try_clone().expect("the socket");
        socket.listen(128).expect("the same port once more");
        self.shared.state().is_open = true;
        *port = Port::Open(listen(socket.into(), &self.shared));
    }

    /// The letters accepted so far, in their order.
    pub fn letters(&self) -> Vec<Letter> {
        self.shared.state().letters.clone()
    }

    /// The same, and forgets them, so that a long run need not keep them all.
    pub fn take_letters(&self) -> Vec<Letter> {
        std::mem::take(&mut self.shared.state().letters)
    }

    pub fn letters_to(&self, address: &str) -> Vec<Letter> {
        let to_it = |letter: &Letter| letter.to.iter().any(|to| to == address);
        self.letters().into_iter().filter(to_it).collect()
    }

    /// Waits until there are `count` letters, for at most half a minute.
    pub fn wait_for(&self, count: usize) -> Vec<Letter> {
        let patience = Duration::from_secs(30);
        let is_less = |state: &mut State| state.letters.len() < count;
        let waited = self.shared.taken.wait_timeout_while(self.shared.state(), patience, is_less);
        let (state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!time.timed_out(), "{} letters, and not {count}", state.letters.len());
        state.letters.clone()
    }

    /// All commands of clients.
    pub fn commands(&self) -> Vec<String> {
        self.shared.state().commands.clone()
    }

    pub fn logins(&self) -> Vec<Login> {
        self.shared.state().logins.clone()
    }

    pub fn offers_starttls(&self) -> bool {
        matches!(self.shared.encryption, Encryption::StartTls(_))
    }

    /// How often a client connected.
    pub fn connected(&self) -> usize {
        self.shared.state().connected
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.close();
    }
}

fn listen(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut state = shared.state();
            if !state.is_open {
                break;
            }
            let Ok(stream) = stream else { continue };
            let Ok(handle) = stream.try_clone() else { continue };
            state.connected += 1;
            let number = state.connected;
            state.connections.insert(number, handle);
            drop(state);
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // an error ends its conversation only
                let _ = Conversation::new(stream, Arc::clone(&shared)).and_then(Conversation::hold);
                if let Some(handle) = shared.state().connections.remove(&number) {
                    let _ = handle.shutdown(Shutdown::Both);
                }
            });
        }
    })
}

/// The bytes of a conversation, encrypted or not.
struct Wire {
    socket: TcpStream,
    tls: Option<ServerConnection>,
}

impl Wire {
    fn encrypt(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        tls.complete_io(&mut self.socket)?;
        self.tls = Some(tls);
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).read(buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).flush(),
            None => self.socket.flush(),
        }
    }
}

/// One connection.
struct Conversation {
    wire: BufReader<Wire>,
    shared: Arc<Shared>,
    from: String,
    to: Vec<String>,
}

/// Whether the client got a success.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answered {
    AsUsual,
    Otherwise,
}

impl Conversation {
    fn new(socket: TcpStream, shared: Arc<Shared>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let mut wire = Wire { socket, tls: None };
        if let Encryption::Implicit(config) = &shared.encryption {
            wire.encrypt(config)?;
        }
        let wire = BufReader::new(wire);
        Ok(Self { wire, shared, from: String::new(), to: Vec::new() })
    }

    fn hold(mut self) -> io::Result<()> {
        let is_full = {
            let state = self.shared.state();
            state.connections.len() > state.most
        };
        if is_full {
            return self.say("421 4.7.0 too many connections of yours");
        }
        self.answer(Step::Connected, "220 localhost ESMTP")?;
        loop {
            let command = self.line()?;
            self.shared.state().commands.push(command.clone());
            let (verb, argument) = command.split_once(' ').unwrap_or((&command, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.hello()?,
                "STARTTLS" => self.start_tls()?,
                "AUTH" => self.auth(argument)?,
                "MAIL" => self.sender(argument)?,
                "RCPT" => self.recipient(argument)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.forget();
                    self.say("250 2.0.0 reset")?;
                }
                "NOOP" => self.say("250 2.0.0 here")?,
                "QUIT" => return self.say("221 2.0.0 goodbye"),
                _ => self.say("502 5.5.1 what?")?,
            }
        }
    }

    fn hello(&mut self) -> io::Result<()> {
        self.forget();
        let start_tls = match (&self.shared.encryption, self.is_encrypted()) {
            (Encryption::StartTls(_), false) => "250-STARTTLS\r\n",
            _ => "",
        };
        let mechanisms = self.shared.state().mechanisms[usize::from(self.is_encrypted())];
        let auth = match mechanisms {
            "" => "250 HELP".to_owned(),
            mechanisms => format!("250 AUTH {mechanisms}"),
        };
        let offers = format!("250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{start_tls}{auth}");
        self.answer(Step::Hello, &offers)?;
        Ok(())
    }

    fn start_tls(&mut self) -> io::Result<()> {
        let Encryption::StartTls(config) = self.shared.encryption.clone() else {
            return self.say("502 5.5.1 no STARTTLS here");
        };
        match self.answer(Step::StartTls, "220 2.0.0 go on")? {
            Answered::AsUsual => self.wire.get_mut().encrypt(&config),
            Answered::Otherwise => Ok(()),
        }
    }

    /// AUTH PLAIN (RFC 4616), with or without an initial response, and AUTH LOGIN.
    fn auth(&mut self, argument: &str) -> io::Result<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let (user, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = match initial {
                    "" => self.ask("334 ")?,
                    initial => decoded(initial)?,
                };
                let mut parts = response.splitn(3, '\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => (self.ask("334 VXNlcm5hbWU6")?, self.ask("334 UGFzc3dvcmQ6")?),
            _ => return self.say("504 5.5.4 no such mechanism"),
        };
        let login = Login {
            user: user.clone(),
            password: password.clone(),
            encrypted: self.is_encrypted(),
        };
        self.shared.state().logins.push(login);
        let step = Step::Auth { user: &user, password: &password };
        self.answer(step, "235 2.7.0 welcome")?;
        Ok(())
    }

    fn sender(&mut self, argument: &str) -> io::Result<()> {
        let from = path(argument);
        if self.answer(Step::Sender(&from), "250 2.1.0 ok")? == Answered::AsUsual {
            self.from = from;
        }
        Ok(())
    }

    fn recipient(&mut self, argument: &str) -> io::Result<()> {
        let to = path(argument);
        if self.answer(Step::Recipient(&to), "250 2.1.5 ok")? == Answered::AsUsual {
            self.to.push(to);
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "when it was, and not what a clock says")]
    fn data(&mut self) -> io::Result<()> {
        if self.to.is_empty() {
            return self.say("503 5.5.1 to whom?");
        }
        if self.answer(Step::Data, "354 go on")? == Answered::Otherwise {
            return Ok(());
        }
        let mut raw = String::new();
        loop {
            let line = self.line()?;
            match line.strip_prefix('.') {
                Some("") => break,
                Some(stuffed) => raw.push_str(stuffed),
                None => raw.push_str(&line),
            }
            raw.push_str("\r\n");
        }
        self.shared.state().commands.push(".".to_owned());
        let id = raw.lines().find_map(|line| line.strip_prefix("Message-ID: "));
        let letter = Letter {
            message_id: id.unwrap_or_default().trim().to_owned(),
            from: std::mem::take(&mut self.from),
            to: std::mem::take(&mut self.to),
            raw,
            at: Instant::now(),
            answer_lost: false,
        };
        self.answer(Step::Letter(&letter), "250 2.0.0 taken")?;
        Ok(())
    }

    fn forget(&mut self) {
        self.from.clear();
        self.to.clear();
    }

    fn is_encrypted(&self) -> bool {
        self.wire.get_ref().tls.is_some()
    }

    /// Acts as the script says, or gives the usual answer.
    fn answer(&mut self, step: Step<'_>, usual: &str) -> io::Result<Answered> {
        let script = Arc::clone(&self.shared.state().script);
        let act = script(step);
        // before the answer: a test whose client has the answer finds the letter here
        if let (Step::Letter(letter), Act::Behave | Act::LoseTheAnswer | Act::Slowly(_)) =
            (step, act)
        {
            let answer_lost = act == Act::LoseTheAnswer;
            self.shared.state().letters.push(Letter { answer_lost, ..letter.clone() });
            self.shared.taken.notify_all();
        }
        match act {
            Act::Behave => self.say(usual)?,
            Act::Slowly(pause) => {
                for byte in usual.bytes().chain(*b"\r\n") {
                    thread::sleep(pause);
                    self.wire.get_mut().write_all(&[byte])?;
                    self.wire.get_mut().flush()?;
                }
            }
            Act::Say(words) => {
                self.say(words)?;
                return match words.starts_with("421") {
                    true => Err(io::ErrorKind::ConnectionAborted.into()),
                    false => Ok(Answered::Otherwise),
                };
            }
            Act::Hang => {
                io::copy(&mut self.wire, &mut io::sink())?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Act::HangUp | Act::LoseTheAnswer => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(Answered::AsUsual)
    }

    fn say(&mut self, words: &str) -> io::Result<()> {
        self.wire.get_mut().write_all(format!("{words}\r\n").as_bytes())?;
        self.wire.get_mut().flush()
    }

    /// Sends a challenge, and returns the client's response.
    fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(challenge)?;
        decoded(&self.line()?)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.wire.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

/// The address in `FROM:<address> BODY=8BITMIME`.
fn path(argument: &str) -> String {
    let inside = argument.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

fn decoded(base64: &str) -> io::Result<String> {
    let bytes = STANDARD.decode(base64).map_err(io::Error::other)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The kinds of certificates that a server may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    SelfSigned,
    /// Self-signed, and of an authority, as `openssl req -x509` makes them.
    Authority,
}

/// The authority of the mail servers' certificates, which no system trusts by default.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub fn create() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of the tests");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// The authority's own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `host` and its key, in PEM.
    pub fn certificate(&self, host: &str) -> (String, String) {
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// A configuration that shows a certificate for `host`.
    fn server_config(&self, host: &str) -> Arc<ServerConfig> {
        self.config_showing(host, Certificate::Good)
    }

    fn config_showing(&self, host: &str, shown: Certificate) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        if shown == Certificate::Expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        if shown == Certificate::Authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match shown {
            Certificate::Good | Certificate::Expired => params.signed_by(&key, &self.0),
            Certificate::SelfSigned | Certificate::Authority => params.self_signed(&key),
        };
        let certificate = certificate.expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the versions of TLS")
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("a certificate and its key"))
    }
}
