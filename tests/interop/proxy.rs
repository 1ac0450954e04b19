//! Tests of forward authentication: real reverse proxies with the configurations in `deploy/`, in
//! front of a static file and an application. They ask the service before they let a request
//! through.
//!
//! The tests use the installed nginx and Caddy, and the Caddy of `compose.yaml` if `scripts/caddy`
//! has built it; `TEST_REQUIRE=nginx,caddy,pinned-caddy` requires all three.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::service::{self, Answer, PASSWORD, Service};

const SECRET: &str = "for members only";

#[test]
fn forward_authentication_works_behind_each_proxy() {
    with_each(
        |nginx| check_proxy(|site, service| Proxy::nginx(nginx, site, service)),
        |caddy| check_proxy(|site, service| Proxy::caddy(caddy, site, service)),
    );
}

/// Calls one function with nginx and the other with each Caddy, as far as they are installed.
pub fn with_each(with_nginx: impl FnOnce(&Path), with_caddy: impl Fn(&Path)) {
    if let Some(program) = nginx() {
        with_nginx(&program);
    }
    for program in [caddy(), pinned_caddy()].into_iter().flatten() {
        with_caddy(&program);
    }
}

/// The installed nginx.
pub fn nginx() -> Option<PathBuf> {
    // Debian keeps it in a folder that is on root's path only
    let elsewhere = || Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.is_file());
    let found = service::program(&["nginx"]).or_else(elsewhere);
    found.or_else(|| skip("nginx", "nginx is not installed"))
}

/// The installed Caddy.
pub fn caddy() -> Option<PathBuf> {
    service::program(&["caddy"]).or_else(|| skip("caddy", "Caddy is not installed"))
}

/// The Caddy of the version in `compose.yaml`, which `scripts/caddy` builds.
pub fn pinned_caddy() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop/caddy");
    let built = folder.join(pinned_version()).join("caddy");
    let reason = "`bash scripts/caddy` builds it";
    Some(built).filter(|path| path.is_file()).or_else(|| skip("pinned-caddy", reason))
}

/// The version of Caddy in `compose.yaml`, such as `2.11.9`.
pub fn pinned_version() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml");
    let compose = std::fs::read_to_string(file).expect("compose.yaml");
    let (_, tag) = compose.split_once("image: docker.io/library/caddy:").expect("Caddy's image");
    let (version, _) = tag.split_once('-').expect("a version, and the image's base");
    version.to_owned()
}

fn skip(what: &str, reason: &str) -> Option<PathBuf> {
    service::skip(what, reason);
    None
}

/// The servers behind the proxy.
struct Site {
    directory: TempDir,
    /// The port of an application that answers with the request that it got.
    application: u16,
}

impl Site {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let root = directory.path().join("site");
        std::fs::create_dir_all(root.join("public")).expect("a folder");
        std::fs::write(root.join("secret.html"), SECRET).expect("a file");
        std::fs::write(root.join("public/hello.html"), "hello, everybody").expect("a file");
        Self { directory, application: echo() }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("site")
    }
}

/// Starts an application that answers each request with that request. It ends with the test.
pub fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or_default() <= 2 {
                    break;
                }
                let line = line.to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or_default();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let seen = format!("{head}\n{}", String::from_utf8_lossy(&body));
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{seen}",
                seen.len()
            );
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    port
}

/// A running proxy, killed when dropped.
pub struct Proxy {
    pub name: String,
    process: Child,
    pub port: u16,
    log: PathBuf,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

impl Proxy {
    fn nginx(program: &Path, site: &Site, service: &Service) -> Self {
        let folder = site.directory.path();
        let port = service::free_port();
        let shipped = std::fs::read_to_string(shipped("nginx/protected-site.conf"));
        let mut configuration = shipped.expect("the configuration");
        for (shown, here) in [
            ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
            ("127.0.0.1:8000", format!("127.0.0.1:{}", service.port)),
            ("127.0.0.1:9000", format!("127.0.0.1:{}", site.application)),
            ("/srv/site", site.root().display().to_string()),
        ] {
            assert_eq!(configuration.matches(shown).count(), 1, "{shown}");
            configuration = configuration.replace(shown, &here);
        }
        Self::run_nginx(program, &configuration, port, folder)
    }

    /// nginx with this configuration in its `http` block; it writes all its files in `folder`.
    pub fn run_nginx(program: &Path, configuration: &str, port: u16, folder: &Path) -> Self {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
            .concat();
        let main = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr warn;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}{configuration}}}\n",
            folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), main).expect("a file");
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        Self::start("nginx", command, port, folder)
    }

    fn caddy(program: &Path, site: &Site, service: &Service) -> Self {
        let folder = site.directory.path();
        let port = service::free_port();
        let import = shipped("caddy/protected-site.Caddyfile");
        let options = "admin off\nservers {\nmax_header_size 48KB\n}";
        let main = format!("{{\n{options}\n}}\nimport {}\n", import.display());
        std::fs::write(folder.join("Caddyfile"), main).expect("a file");
        let settings = [
            ("VESTIBULE", format!("127.0.0.1:{}", service.port)),
            ("APPLICATION", format!("127.0.0.1:{}", site.application)),
            ("ROOT", site.root().display().to_string()),
        ];
        Self::run_caddy(program, &folder.join("Caddyfile"), &settings, port, folder)
    }

    /// Caddy with this file and its settings; it writes all its files in `folder`.
    pub fn run_caddy(
        program: &Path,
        file: &Path,
        settings: &[(&str, String)],
        port: u16,
        folder: &Path,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(file)
            .env("HOME", folder)
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("SITE", format!("http://127.0.0.1:{port}"))
            .envs(settings.iter().map(|(name, value)| (name, value)));
        Self::start(&format!("Caddy ({})", program.display()), command, port, folder)
    }

    fn start(name: &str, mut command: Command, port: u16, folder: &Path) -> Self {
        let log = folder.join("log");
        let file = std::fs::File::create(&log).expect("a log");
        let process = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .expect("the proxy's program");
        let mut proxy = Self { name: name.to_owned(), process, port, log };
        let up = service::poll_until_some(|| {
            let ended = proxy.process.try_wait().expect("a child").is_some();
            assert!(!ended, "{name} does not start:\n{}", proxy.log());
            let hello = service::try_request(port, "GET", "/public/hello.html", &[], "");
            hello.is_ok().then_some(())
        });
        assert!(up.is_some(), "{name} does not answer:\n{}", proxy.log());
        proxy
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a request with the token and these headers, and checks the status.
    fn ask(&self, status: u16, path: &str, token: Option<&str>, more: &[(&str, &str)]) -> Answer {
        self.send(status, ("GET", path, ""), token, more)
    }

    fn send(
        &self,
        status: u16,
        (method, path, body): (&str, &str, &str),
        token: Option<&str>,
        more: &[(&str, &str)],
    ) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = more.to_vec();
        headers.extend(bearer.as_ref().map(|bearer| ("Authorization", bearer.as_str())));
        let answer = service::request(self.port, method, path, &headers, body);
        assert_eq!(answer.status, status, "{} {path}: {answer:?}\n{}", self.name, self.log());
        answer
    }
}

/// All promises of the configurations, with one proxy.
fn check_proxy(start: impl Fn(&Site, &Service) -> Proxy) {
    let mut service = Service::start(&[]);
    service.account("ada@example.org");
    let site = Site::new();
    let proxy = start(&site, &service);
    let token = sign_in(&service, "account.read");
    let token = token.as_str();
    let challenge = |answer: &Answer| answer.header("WWW-Authenticate").unwrap_or_default();

    // refused, with the service's own challenge
    let answer = proxy.ask(401, "/secret.html", None, &[]);
    assert_eq!(challenge(&answer), "Bearer");
    let answer = proxy.ask(401, "/secret.html", Some("vat_nonsense"), &[]);
    assert!(challenge(&answer).contains("error=\"invalid_token\""), "{answer:?}");
    proxy.send(401, ("POST", "/app/", "a=b"), None, &[]);

    // a malformed token
    let odd = [("Authorization", "Bearer a b")];
    let answer = proxy.ask(400, "/secret.html", None, &odd);
    assert!(challenge(&answer).contains("error=\"invalid_request\""), "{answer:?}");

    // let through, with the request's method and body
    let answer = proxy.ask(200, "/secret.html", Some(token), &[]);
    assert_eq!(answer.body, SECRET);
    assert_eq!(answer.header("Cache-Control").as_deref(), Some("private, no-cache"));
    proxy.send(200, ("HEAD", "/secret.html", ""), Some(token), &[]);
    let answer = proxy.send(200, ("POST", "/app/post", "a=b"), Some(token), &[]);
    assert!(answer.body.starts_with("post /app/post ") && answer.body.ends_with("\na=b"));

    // the wrong scope
    let other = sign_in(&service, "account.write");
    let answer = proxy.ask(403, "/secret.html", Some(&other), &[]);
    assert!(!answer.body.contains(SECRET));
    let said = challenge(&answer);
    assert!(said.contains("error=\"insufficient_scope\""), "{answer:?}");
    assert!(said.ends_with("scope=\"account.read\""), "{answer:?}");

    check_identity_headers(&service, &proxy, token);
    check_bypass_attempts(&proxy, token);
    check_preflights(&proxy);

    // F20: as many cookies as a host with many applications may have
    let cookies = [("Cookie", cookies())];
    let cookies = cookies.each_ref().map(|(name, value)| (*name, value.as_str()));
    let seen = proxy.ask(200, "/app/who", Some(token), &cookies).body;
    assert!(seen.contains(cookies[0].1), "{}: {} bytes", proxy.name, seen.len());
    proxy.ask(401, "/app/who", None, &cookies);

    // a revoked token is refused from the next request on
    let body = format!("client_id=web&token={token}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(service::request(service.port, "POST", "/oauth/revoke", &form, &body).status, 200);
    let answer = proxy.ask(401, "/secret.html", Some(token), &[]);
    assert!(challenge(&answer).contains("error=\"invalid_token\""), "{answer:?}");

    // without the service, the proxy refuses all requests
    let token = sign_in(&service, "account.read");
    proxy.ask(200, "/secret.html", Some(&token), &[]);
    service.stop();
    let headers = [("Authorization", format!("Bearer {token}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = service::request(proxy.port, "GET", "/secret.html", &headers, "");
    assert!((500..600).contains(&answer.status), "{answer:?}");
    assert!(!answer.body.contains(SECRET));
    proxy.ask(200, "/public/hello.html", None, &[]);
}

/// Checks that the account headers of an application come from the service only.
fn check_identity_headers(service: &Service, proxy: &Proxy, token: &str) {
    let bearer = format!("Bearer {token}");
    let me = service::request(service.port, "GET", "/v1/me", &[("Authorization", &bearer)], "");
    let account = me.json()["id"].as_str().expect("an id").to_owned();
    let forged = [
        ("X-Vestibule-Account", "forged"),
        ("x-vestibule-account", "forged"),
        // an application that turns headers into variables takes these for the same
        ("X_Vestibule_Account", "forged"),
        ("X-Vestibule_Account", "forged"),
        ("X_Vestibule-Account", "forged"),
        ("X-Vestibule-Client", "forged"),
        ("X-Vestibule-Scope", "forged"),
        // a proxy removes headers that are named here
        ("Connection", "X-Vestibule-Account, X-Vestibule-Scope"),
    ];
    let seen = proxy.ask(200, "/app/who", Some(token), &forged).body;
    let told: Vec<&str> = seen.lines().filter(|line| line.contains("vestibule")).collect();
    assert_eq!(told.len(), 3, "{}: {seen}", proxy.name);
    for line in [
        format!("x-vestibule-account: {account}"),
        "x-vestibule-client: web".to_owned(),
        "x-vestibule-scope: account.read".to_owned(),
    ] {
        assert!(told.contains(&line.as_str()), "{}: {seen}", proxy.name);
    }
    assert!(!seen.contains("forged") && !seen.contains(&token.to_lowercase()), "{seen}");
}

/// 32 KiB of cookies.
pub fn cookies() -> String {
    let cookies = (0..8).map(|number| format!("c{number}=")).map(|name| format!("{name:x<4094}"));
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    format!("{cookies:x<32768}")
}

/// F11: a browser's preflight goes to the application, and no other request does without a token.
fn check_preflights(proxy: &Proxy) {
    let origin = ("Origin", "https://app.example.org");
    let method = ("Access-Control-Request-Method", "POST");
    let headers = ("Access-Control-Request-Headers", "authorization, traceparent");
    let forged = [
        ("X-Vestibule-Account", "forged"),
        ("X_Vestibule_Account", "forged"),
        ("X-Vestibule-Client", "forged"),
        ("X-Vestibule-Scope", "forged"),
        ("Authorization", "Bearer forged"),
        ("X-HTTP-Method-Override", "forged"),
        ("X-HTTP-Method", "forged"),
        ("X-Method-Override", "forged"),
        ("X_HTTP_Method_Override", "forged"),
    ];
    let all = [&[origin, method, headers], forged.as_slice()].concat();
    let seen = proxy.send(200, ("OPTIONS", "/app/post", ""), None, &all).body;
    assert!(seen.starts_with("options /app/post "), "{}: {seen}", proxy.name);
    for line in [
        "origin: https://app.example.org",
        "access-control-request-method: post",
        "access-control-request-headers: authorization, traceparent",
    ] {
        assert!(seen.lines().any(|one| one == line), "{}: {seen}", proxy.name);
    }
    assert!(!seen.contains("forged") && !seen.contains("vestibule"), "{}: {seen}", proxy.name);

    // requests that are no preflight, or none to the application
    for (asked, headers) in [
        (("OPTIONS", "/app/post", ""), vec![]),
        (("OPTIONS", "/app/post", ""), vec![origin]),
        (("OPTIONS", "/app/post", ""), vec![method]),
        (("GET", "/app/post", ""), vec![origin, method]),
        (("POST", "/app/post", "a=b"), vec![origin, method, ("X-HTTP-Method-Override", "OPTIONS")]),
        (("GET", "/secret.html", ""), vec![origin, method]),
    ] {
        let answer = proxy.send(401, asked, None, &headers);
        assert!(!answer.body.contains(SECRET), "{answer:?}");
    }
    for path in ["/secret.html", "/", "/app/../secret.html", "/public/../secret.html", "/_check"] {
        let answer = service::request(proxy.port, "OPTIONS", path, &[origin, method], "");
        assert!(!answer.body.contains(SECRET), "{}: {path}: {answer:?}", proxy.name);
    }
}

/// Other spellings of a path, and other ways to ask, that let no request through.
fn check_bypass_attempts(proxy: &Proxy, token: &str) {
    let answer = proxy.ask(200, "/public/hello.html", None, &[]);
    assert_eq!(answer.body, "hello, everybody");
    let in_query = format!("/secret.html?access_token={token}");
    for path in [
        "//secret.html",
        "/./secret.html",
        "/secret%2ehtml",
        "/%73ecret.html",
        "/secret.html/",
        "/secret.html;/public/",
        "/secret.html?/public/hello.html",
        "/secret.html%3f/public/",
        "/secret.html%00/public/hello.html",
        "/public/../secret.html",
        "/public/./../secret.html",
        "/public//../secret.html",
        "/public/..//secret.html",
        "/public/%2e%2e/secret.html",
        "/public/%2e./secret.html",
        "/public/..%2fsecret.html",
        "/public%2f..%2fsecret.html",
        "/public/..%252fsecret.html",
        "/public/..\\secret.html",
        "/public/..%5csecret.html",
        "/public/..;/secret.html",
        "/public/x/../../secret.html",
        "/PUBLIC/../secret.html",
        "/public../secret.html",
        "http://127.0.0.1/secret.html",
        "http://127.0.0.1/public/../secret.html",
        "/_check",
        "/oauth/check",
        &in_query,
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = service::request(proxy.port, method, path, &[], "");
            assert!(!answer.body.contains(SECRET), "{}: {method} {path}", proxy.name);
            assert!(answer.status >= 400, "{}: {method} {path}: {answer:?}", proxy.name);
        }
    }
    for (name, value) in [
        ("X-Original-URI", "/public/hello.html"),
        ("X-Original-URL", "/public/hello.html"),
        ("X-Rewrite-URL", "/public/hello.html"),
        ("X-Forwarded-Uri", "/public/hello.html"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Vestibule-Account", "0199c1f2-7d1e-7cc3-98c4-dc0c0c07398f"),
        ("Connection", "Authorization"),
    ] {
        proxy.ask(401, "/secret.html", None, &[(name, value)]);
    }
    // two tokens count as none
    let both = [("Authorization", "Bearer vat_nonsense")];
    let twice = service::request(
        proxy.port,
        "GET",
        "/secret.html",
        &[both[0], ("Authorization", &format!("Bearer {token}"))],
        "",
    );
    assert!(twice.status >= 400 && !twice.body.contains(SECRET), "{twice:?}");
}

fn sign_in(service: &Service, scope: &str) -> String {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "password")
        .append_pair("client_id", "web")
        .append_pair("username", "ada@example.org")
        .append_pair("password", PASSWORD)
        .append_pair("scope", scope)
        .finish();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = service::request(service.port, "POST", "/oauth/token", &form, &body);
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}
