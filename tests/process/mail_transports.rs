//! Tests of letters through real mail servers, Debian's Postfix and Exim, on loopback (R48, R49).
//!
//! Each test starts an instance of its own in a new folder, with its settings, its queue, and a
//! mailbox that takes every letter. Both servers must be started as root, and drop their
//! privileges. Where a server is not installed its test is skipped with a message;
//! `TEST_REQUIRE=postfix,exim` requires both. Debian's packages of the two conflict: Exim may be
//! unpacked under `target/exim` instead, see `.ci/run`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mail_parser::MessageParser;
use serde_json::{Value, json};

use crate::program::{Program, free_port, wait_until};
use crate::service::{program, skip};
use crate::smtp::Authority;
use crate::{ADA, PASSWORD, sign_up};

const BOB: &str = "bob@example.org";
const NAME: &str = "Bücher & Söhne, Inc.";

/// Shell script that runs its arguments until its input ends: the test's end in any way ends it.
const KEEPER: &str = r#""$@" & server=$!; read -r _; kill "$server"; wait "$server""#;

/// The step at which a server refuses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum At {
    Recipient,
    Content,
    /// RCPT of an address that begins with `poison`.
    Poisoned,
}

/// The server's answer at each refused step.
type Refusals = Arc<Mutex<BTreeMap<At, &'static str>>>;

/// A mail server that accepts letters to example.org, behind STARTTLS.
struct Server {
    port: u16,
    folder: tempfile::TempDir,
    refusals: Refusals,
    /// User name and password in the URL, if the server has users.
    login: &'static str,
    keeper: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl Server {
    /// A folder with a certificate, for a server that runs as `user`.
    fn prepare(user: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::TempDir::new().expect("a folder");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("a folder for all");
        let authority = Authority::create();
        let (certificate, key) = authority.certificate("localhost");
        for (name, pem) in
            [("ca.pem", authority.pem()), ("cert.pem", certificate), ("key.pem", key)]
        {
            std::fs::write(folder.path().join(name), pem).expect("a file");
        }
        for name in ["mail", "spool", "data", "queue", "etc", "key.pem"] {
            let path = folder.path().join(name);
            if !name.contains('.') {
                std::fs::create_dir(&path).expect("a folder");
            }
            if !matches!(name, "queue" | "etc") {
                run(Command::new("chown").arg(user).arg(&path));
            }
        }
        let refusals = Refusals::default();
        Self { port: free_port(), folder, refusals, login: "", keeper: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let text = text
            .replace("@FOLDER@", &self.folder.path().display().to_string())
            .replace("@PORT@", &self.port.to_string());
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn keep(&mut self, command: &[&str]) {
        let log = std::fs::File::create(self.path("output")).expect("a file");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn();
        self.keeper = Some(keeper.expect("a shell"));
        wait_until("the mail server greets", || {
            let stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut greeting = String::new();
            BufReader::new(stream).read_line(&mut greeting).ok()?;
            greeting.starts_with("220").then_some(())
        });
    }

    /// Sets the refusal from now on.
    fn refuses(&self, at: At, words: Option<&'static str>) {
        let mut refusals = self.refusals.lock().expect("no test panics here");
        refusals.remove(&at);
        refusals.extend(words.map(|words| (at, words)));
        for (at, name) in [(At::Recipient, "recipient"), (At::Content, "content")] {
            for (class, verb) in [('4', "defer"), ('5', "deny")] {
                let file = self.path(&format!("{verb}-{name}"));
                let _ = std::fs::remove_file(&file);
                if let Some(words) = refusals.get(&at).filter(|words| words.starts_with(class)) {
                    std::fs::write(&file, words).expect("a file");
                }
            }
        }
    }

    fn settings(&self, ca_file: bool) -> Vec<(&'static str, String)> {
        let url = format!("smtp://{}localhost:{}?tls=required", self.login, self.port);
        let mut settings = vec![
            ("VESTIBULE_NAME", NAME.to_owned()),
            ("VESTIBULE_PUBLIC_URL", "https://konten.bücher.example/auf/langem/weg".to_owned()),
            ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
            ("VESTIBULE_MAIL__SMTP_URL", url),
            ("VESTIBULE_MAIL__FROM", format!("{NAME} <konto@bücher.example>")),
        ];
        if ca_file {
            settings.push(("VESTIBULE_MAIL__CA_FILE", self.path("ca.pem").display().to_string()));
        }
        settings
    }

    /// The letters to the address, as in the mailbox.
    fn letters_to(&self, address: &str) -> Vec<String> {
        let to = format!("To: {address}\n");
        ["mail/new", "mail/all/new"]
            .iter()
            .filter_map(|folder| std::fs::read_dir(self.path(folder)).ok())
            .flatten()
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
            .map(|letter| letter.replace("\r\n", "\n"))
            .filter(|letter| letter.contains(&to))
            .collect()
    }

    fn letter_to(&self, address: &str) -> String {
        wait_until(&format!("there is a letter to {address}"), || self.letters_to(address).pop())
    }
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().expect("a program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a user with this name exists, and the test runs as root.
fn may_run_as(user: &str) -> Result<(), String> {
    if id(&["-u"]).as_deref() != Some("0") {
        return Err("it has to be started as root".to_owned());
    }
    id(&["-u", user]).map(drop).ok_or(format!("there is no user {user}"))
}

fn postfix() -> Option<Server> {
    let master = Path::new("/usr/lib/postfix/sbin/master");
    let missing = match master.is_file() && program(&["postfix"]).is_some() {
        true => may_run_as("postfix").err(),
        false => Some("it is not installed".to_owned()),
    };
    if let Some(reason) = missing {
        skip("postfix", &reason);
        return None;
    }
    let mut server = Server::prepare("postfix");
    let policy = policy(Arc::clone(&server.refusals));
    let own = |argument| id(&[argument, "postfix"]).expect("the user is there");
    let settings = POSTFIX.replace("@POLICY@", &policy.to_string());
    let settings = settings.replace("@UID@", &own("-u")).replace("@GID@", &own("-g"));
    server.write("etc/main.cf", &settings);
    server.write("etc/master.cf", POSTFIX_SERVICES);
    let etc = server.path("etc").display().to_string();
    run(Command::new("postfix").args(["-c", &etc, "check"]));
    server.keep(&["/usr/lib/postfix/sbin/master", "-d", "-c", &etc]);
    Some(server)
}

fn exim() -> Option<Server> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/exim/usr/sbin/exim4");
    let binary = if unpacked.is_file() { Some(unpacked) } else { program(&["exim4", "exim"]) };
    let Some(binary) = binary else {
        skip("exim", "it is neither installed nor unpacked under target/exim");
        return None;
    };
    if let Err(reason) = may_run_as("Debian-exim") {
        skip("exim", &reason);
        return None;
    }
    let mut server = Server::prepare("Debian-exim");
    server.login = "ada:right@";
    let binary = binary.display().to_string();
    server.write("exim.conf", &EXIM.replace("@BINARY@", &binary));
    run(Command::new("chown").arg("Debian-exim").arg(server.folder.path()));
    let settings = server.path("exim.conf").display().to_string();
    server.keep(&[&binary, "-C", &settings, "-bdf"]);
    Some(server)
}

/// A policy server: Postfix asks it at RCPT and at the end of each letter whether to accept.
/// Returns its port.
fn policy(refusals: Refusals) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let refusals = Arc::clone(&refusals);
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a socket");
                let (mut is_content, mut is_poisoned) = (false, false);
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    match line.split_once('=') {
                        Some(("protocol_state", state)) => is_content = state == "END-OF-MESSAGE",
                        Some(("recipient", to)) => is_poisoned = to.starts_with("poison"),
                        Some(_) => {}
                        None => {
                            let at = match (is_content, is_poisoned) {
                                (true, _) => At::Content,
                                (false, true) => At::Poisoned,
                                (false, false) => At::Recipient,
                            };
                            let refusals = refusals.lock().expect("no test panics here");
                            let action = refusals.get(&at).copied().unwrap_or("DUNNO");
                            let _ = write!(answers, "action={action}\n\n");
                        }
                    }
                }
            });
        }
    });
    port
}

#[test]
fn r48_r49_letters_pass_through_postfix() {
    let Some(server) = postfix() else { return };
    letters_pass(&server);
    // S17: Postfix's answer for some recipients delays no other letter
    server.refuses(At::Poisoned, Some("421 4.3.2 closing"));
    let program = Program::start(&server.settings(true));
    for number in 0..12 {
        sign_up(&program, &format!("poison{number}@example.org"));
    }
    sign_up(&program, "honest@example.org");
    server.letter_to("honest@example.org");
    let waiting = program.exec(&["mail", "list", "--waiting", "--json"], "").document();
    assert_eq!(waiting["letters"].as_array().map(Vec::len), Some(12), "{waiting}");
}

#[test]
fn r48_r49_letters_pass_through_exim() {
    let Some(server) = exim() else { return };
    letters_pass(&server);
}

fn letters_pass(server: &Server) {
    // the certificate is valid only for clients that trust its authority
    let stranger = Program::prepare(&server.settings(false));
    let said = stranger.exec(&["mail", "test", ADA, "--json"], "");
    let verdict: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(verdict["setting"], "vestibule.mail.ca_file", "{verdict}");
    assert_eq!(verdict["stage"], "encryption", "{verdict}");
    drop(stranger);

    let program = Program::start(&server.settings(true));
    let verdict = program.exec(&["mail", "test", "test@example.org", "--json"], "").document();
    assert_eq!(verdict["taken"], true, "{verdict}");
    server.letter_to("test@example.org");
    for (language, email) in [("de", ADA), ("en", BOB)] {
        sign_up_in(&program, language, email);
        let link = whole_link(&server.letter_to(email), language);
        let token = link.split_once("token=").expect("a token").1;
        let answer = program.post_json("/v1/activations", &json!({ "token": token }));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    // greylisting: the server accepts the letter later
    server.refuses(At::Recipient, Some("450 4.2.0 greylisted"));
    sign_up(&program, "grey@example.org");
    assert_waiting(&program, "grey@example.org", "greylisted");
    server.refuses(At::Recipient, None);
    server.letter_to("grey@example.org");

    // a quota on the service, temporary and then permanent: no letter is given up for it
    for (words, people) in [
        ("452 4.2.2 quota of the hour", ["a@example.org", "b@example.org"]),
        ("552 5.2.2 quota of the day", ["c@example.org", "d@example.org"]),
    ] {
        server.refuses(At::Content, Some(words));
        for email in people {
            sign_up(&program, email);
        }
        for email in people {
            assert_waiting(&program, email, "quota");
        }
        server.refuses(At::Content, None);
        for email in people {
            server.letter_to(email);
            assert_eq!(server.letters_to(email).len(), 1);
        }
    }
    let dead = program.exec(&["mail", "list", "--dead", "--json"], "").document();
    assert_eq!(dead["letters"], json!([]));
}

fn sign_up_in(program: &Program, language: &str, email: &str) {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let request = format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Language: {language}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(program.raw(&request).map(|answer| answer.status), Some(202));
}

/// Checks that the letter waits, and that these are the server's last words.
fn assert_waiting(program: &Program, email: &str, words: &str) {
    wait_until(&format!("the letter to {email} waits"), || {
        let list = program.exec(&["mail", "list", "--waiting", "--match", email, "--json"], "");
        let list = list.document();
        let said = list["letters"][0]["last_words"].as_str()?;
        said.contains(words).then_some(())
    });
}

/// The link of a letter. Checks that it is whole on one line of the source, and in both decoded
/// parts.
fn whole_link(source: &str, language: &str) -> String {
    let parsed = MessageParser::new().parse(source).expect("a message");
    let text = parsed.body_text(0).expect("a text part").replace("\r\n", "\n");
    let html = parsed.body_html(0).expect("an HTML part").replace("\r\n", "\n");
    let link = text.lines().find(|line| line.contains("/activate?token=")).expect("a link");
    assert!(link.starts_with("https://konten.xn--bcher-kva.example/auf/langem/weg/"), "{link}");
    assert!(html.contains(&format!("<a href=\"{link}\"")), "{html}");
    assert!(html.lines().any(|line| line == link), "{html}");
    assert!(source.is_ascii() && source.lines().any(|line| line == link), "{source}");
    assert!(!source.contains("quoted-printable"), "{source}");
    assert!(parsed.subject().is_some_and(|subject| subject.contains(NAME)), "{source}");
    let from = parsed.from().and_then(|from| from.first()).expect("a sender");
    assert_eq!(from.name(), Some(NAME));
    assert_eq!(from.address(), Some("konto@xn--bcher-kva.example"));
    assert!(source.contains(&format!("Content-Language: {language}\n")), "{source}");
    link.to_owned()
}

const POSTFIX: &str = "\
compatibility_level = 3.6
queue_directory = @FOLDER@/queue
data_directory = @FOLDER@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = @FOLDER@/log
maillog_file_prefixes = @FOLDER@
virtual_mailbox_domains = example.org
virtual_mailbox_base = @FOLDER@/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:@UID@
virtual_gid_maps = static:@GID@
smtpd_tls_cert_file = @FOLDER@/cert.pem
smtpd_tls_key_file = @FOLDER@/key.pem
smtpd_tls_security_level = encrypt
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:@POLICY@
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:@POLICY@
";

const POSTFIX_SERVICES: &str = "\
@PORT@ inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

const EXIM: &str = "\
primary_hostname = mail.example.org
exim_user = Debian-exim
exim_group = Debian-exim
exim_path = @BINARY@
keep_environment =
spool_directory = @FOLDER@/spool
log_file_path = @FOLDER@/log-%slog
pid_file_path = @FOLDER@/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = @PORT@
deliver_drop_privilege = true
disable_ipv6
tls_advertise_hosts = *
tls_certificate = @FOLDER@/cert.pem
tls_privatekey = @FOLDER@/key.pem
acl_smtp_rcpt = rcpt
acl_smtp_data = data
host_lookup =
rfc1413_query_timeout = 0s
begin acl
rcpt:
  defer condition = ${if exists{@FOLDER@/defer-recipient}}
        message = ${readfile{@FOLDER@/defer-recipient}{}}
  deny condition = ${if exists{@FOLDER@/deny-recipient}}
        message = ${readfile{@FOLDER@/deny-recipient}{}}
  deny !authenticated = *
        message = sign in first
  accept domains = example.org
data:
  defer condition = ${if exists{@FOLDER@/defer-content}}
        message = ${readfile{@FOLDER@/defer-content}{}}
  deny condition = ${if exists{@FOLDER@/deny-content}}
        message = ${readfile{@FOLDER@/deny-content}{}}
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = @FOLDER@/mail
  maildir_format
  create_directory
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{ada}}{eq{$auth3}{right}}}}
  server_advertise_condition = ${if def:tls_in_cipher}
";
