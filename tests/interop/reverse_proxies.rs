//! Tests of the real nginx and the real Caddy in front of the service, with their configurations in
//! `deploy/`: slow senders are disconnected, only the proxy sets the client's address, links stay
//! out of its log, and requests do not fail when a node is gone.

#![expect(clippy::disallowed_methods, reason = "the test measures real time")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::proxy::{Proxy, cookies, echo, shipped, with_each};
use crate::service::{self, PASSWORD, Service, poll_until_some};

/// The longest time that a stalled client holds a connection: 15 seconds for a body, and then, with
/// Caddy 2.11, the 30 of an idle connection.
const BOUND: Duration = Duration::from_secs(50);
const TOKEN: &str = "marked-link-token-4c1e";

/// A proxy in front of the service, and the folder with its files.
pub struct Front {
    pub proxy: Proxy,
    folder: TempDir,
}

impl Front {
    pub fn nginx(program: &Path, nodes: &[u16]) -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let port = service::free_port();
        let shipped = std::fs::read_to_string(shipped("nginx/vestibule.conf"));
        let mut configuration = shipped.expect("the configuration");
        let servers: String = nodes
            .iter()
            .map(|node| format!("    server 127.0.0.1:{node} max_fails=1 fail_timeout=5s;\n"))
            .collect();
        let log = |name: &str| folder.path().join(name).display().to_string();
        for (shown, here) in [
            ("    server 127.0.0.1:8000 max_fails=1 fail_timeout=5s;\n", servers),
            ("listen 80;", format!("listen 127.0.0.1:{};", service::free_port())),
            // without its certificate
            ("listen 443 ssl ", format!("listen 127.0.0.1:{port} ")),
            ("    ssl_certificate     /etc/ssl/accounts.example.org.pem;\n", String::new()),
            ("    ssl_certificate_key /etc/ssl/accounts.example.org.key;\n", String::new()),
            ("/var/log/nginx/vestibule.log", log("access.log")),
            ("/var/log/nginx/vestibule-error.log", log("error.log")),
        ] {
            assert_eq!(configuration.matches(shown).count(), 1, "{shown}");
            configuration = configuration.replace(shown, &here);
        }
        Self { proxy: Proxy::run_nginx(program, &configuration, port, folder.path()), folder }
    }

    pub fn caddy(program: &Path, nodes: &[u16]) -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let nodes: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{node}")).collect();
        let settings = [("VESTIBULE", nodes.join(" "))];
        let port = service::free_port();
        let file = shipped("caddy/vestibule.Caddyfile");
        Self { proxy: Proxy::run_caddy(program, &file, &settings, port, folder.path()), folder }
    }

    pub fn port(&self) -> u16 {
        self.proxy.port
    }

    /// The content of all its files.
    fn logs(&self) -> String {
        let files = ["access.log", "error.log"].map(|name| self.folder.path().join(name));
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        files.map(read).concat() + &self.proxy.log()
    }
}

/// Runs the test with each proxy in parallel: most of the time they wait.
fn with_each_proxy(test: impl Fn(&dyn Fn(&[u16]) -> Front) + Send + Sync) {
    let test = &test;
    thread::scope(|scope| {
        with_each(
            |nginx| {
                let nginx = nginx.to_owned();
                scope.spawn(move || test(&|nodes| Front::nginx(&nginx, nodes)));
            },
            |caddy| {
                let caddy = caddy.to_owned();
                scope.spawn(move || test(&|nodes| Front::caddy(&caddy, nodes)));
            },
        );
    });
}

#[test]
fn slow_senders_are_disconnected() {
    let service = Service::start(&[]);
    with_each_proxy(|start| {
        let front = start(&[service.port]);
        let port = front.port();
        let body = "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=";
        // a byte of the header each second; the beginning of a body without the rest; and nothing
        // at all
        let senders = [
            ("header", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", true),
            ("body", body, false),
            ("silence", "", false),
        ];
        let slow: Vec<_> = senders
            .into_iter()
            .map(|(what, begin, drips)| (what, thread::spawn(move || held(port, begin, drips))))
            .collect();
        while slow.iter().any(|(_, sender)| !sender.is_finished()) {
            let answer = service::request(port, "GET", "/docs", &[], "");
            assert_eq!(answer.status, 200, "{}: {answer:?}", front.proxy.name);
            thread::sleep(Duration::from_millis(200));
        }
        for (what, sender) in slow {
            let held = sender.join().expect("a sender");
            assert!(held < BOUND, "{}: slow {what} is held for {held:?}", front.proxy.name);
        }
        // after that the proxy still uses the node
        let answer = service::request(port, "GET", "/docs", &[], "");
        assert_eq!(answer.status, 200, "{}: {answer:?}", front.proxy.name);
    });
}

/// How long the other side keeps a connection on which only this beginning comes, and then perhaps
/// a byte each second.
fn held(port: u16, begin: &str, drips: bool) -> Duration {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let pause = Some(Duration::from_secs(1));
    stream.set_read_timeout(pause).expect("a socket");
    stream.write_all(begin.as_bytes()).expect("the beginning");
    let start = Instant::now();
    let mut answer = [0; 1_024];
    while start.elapsed() < BOUND {
        match stream.read(&mut answer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        if drips && stream.write_all(b"x").is_err() {
            break;
        }
    }
    start.elapsed()
}

#[test]
fn forged_client_addresses_are_replaced() {
    let settings =
        [("VESTIBULE_TRUSTED_PROXIES", "127.0.0.1"), ("VESTIBULE_EVENTS__ADDRESS", "full")];
    let forged = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")];
    with_each_proxy(|start| {
        let front = start(&[echo()]);
        let seen = service::request(front.port(), "GET", "/", &forged, "").body;
        let told: Vec<_> =
            seen.lines().filter(|line| line.starts_with("x-forwarded-for:")).collect();
        assert_eq!(told, ["x-forwarded-for: 127.0.0.1"], "{}: {seen}", front.proxy.name);

        let service = Service::start(&settings);
        service.account("ada@example.org");
        let front = start(&[service.port]);
        let form = "grant_type=password&client_id=web&scope=account.read&username=ada@example.org";
        let form = format!("{form}&password={}", PASSWORD.replace(' ', "+"));
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers = [kind.as_slice(), &forged].concat();
        let answer = service::request(front.port(), "POST", "/oauth/token", &headers, &form).json();
        let bearer = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
        let headers = [("Authorization", bearer.as_str())];
        let events = service::request(front.port(), "GET", "/v1/me/events", &headers, "").body;
        assert!(events.contains("\"127.0.0.1\""), "{}: {events}", front.proxy.name);
        assert!(!events.contains("203.0.113.9"), "{}: {events}", front.proxy.name);
    });
}

#[test]
fn r55_proxy_logs_contain_no_links() {
    with_each_proxy(|start| {
        let mut service = Service::start(&[]);
        let front = start(&[service.port]);
        let link = format!("/activate?token={TOKEN}");
        let referer = format!("http://127.0.0.1{link}");
        let headers = [("Referer", referer.as_str()), ("Cookie", TOKEN)];
        service::request(front.port(), "GET", &link, &headers, "");
        // errors have log files of their own
        service::request(front.port(), "GET", "/docs", &[("X-Large", &"x".repeat(200_000))], "");
        service.stop();
        let answer = service::request(front.port(), "GET", &link, &headers, "");
        assert!((500..600).contains(&answer.status), "{answer:?}");
        service::request(front.port(), "POST", &link, &headers, &"x".repeat(50_000));

        let written = poll_until_some(|| front.logs().contains("/activate").then_some(()));
        let logs = front.logs();
        assert!(written.is_some(), "{}: {logs}", front.proxy.name);
        assert!(!logs.contains(TOKEN), "{}: {logs}", front.proxy.name);
    });
}

#[test]
fn r9_large_bodies_and_internal_paths_are_refused() {
    let service = Service::start(&[]);
    with_each_proxy(|start| {
        let front = start(&[service.port]);
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = "a".repeat(40_000);
        for _ in 0..2 {
            let answer = service::request(front.port(), "POST", "/oauth/token", &form, &body);
            assert_eq!(answer.status, 413, "{}: {answer:?}", front.proxy.name);
        }
        // a body without `Content-Length`
        let mut stream = TcpStream::connect(("127.0.0.1", front.port())).expect("a connection");
        let head = "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n";
        write!(stream, "{head}9c40\r\n{body}\r\n0\r\n\r\n").expect("a request");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 413", "{}", front.proxy.name);

        let answer = service::request(front.port(), "GET", "/health/ready", &[], "");
        assert_eq!(answer.status, 404, "{}: {answer:?}", front.proxy.name);
        let answer = service::request(front.port(), "GET", "/docs", &[], "");
        let secure = answer.header("Strict-Transport-Security");
        assert_eq!(secure.as_deref(), Some("max-age=31536000"), "{}", front.proxy.name);
    });
}

#[test]
fn requests_succeed_while_one_node_is_stopped() {
    with_each_proxy(|start| {
        let mut nodes = [Service::start(&[]), Service::start(&[])];
        let front = start(&nodes.each_ref().map(|node| node.port));
        let ask = || service::request(front.port(), "GET", "/docs", &[], "").status;
        assert!((0..8).all(|_| ask() == 200), "{}", front.proxy.name);
        nodes[0].stop();
        assert!((0..8).all(|_| ask() == 200), "{}", front.proxy.name);
        // bodies as well: Caddy 2.6 sends no body twice, and may need to notice the missing node
        // first
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let post = || service::request(front.port(), "POST", "/oauth/revoke", &form, "a=b").status;
        let taken = poll_until_some(|| (0..8).all(|_| post() < 500).then_some(()));
        assert!(taken.is_some(), "{}:\n{}", front.proxy.name, front.proxy.log());
    });
}

/// Other spellings of `/oauth/token`, `/v1/accounts` and `/health/ready` that some program treats
/// as equal.
fn misspellings(path: &str) -> Vec<String> {
    let (first, last) = path[1..].split_once('/').expect("two segments");
    let escape = |text: &str| format!("%{:02x}{}", text.as_bytes()[0], &text[1..]);
    vec![
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("/{path}"),
        format!("/{first}//{last}"),
        format!("/{first}/./{last}"),
        format!("/x/..{path}"),
        format!("/{first}/x/../{last}"),
        format!("/{first}/{}", escape(last)),
        format!("/{}/{last}", escape(first)),
        format!("/{first}%2f{last}"),
        format!("{path}%2f"),
        format!("{path}%20"),
        format!("{path}%3f"),
        format!("{path};"),
        format!("{path};a=b"),
        format!("/{first};/{last}"),
        path.to_uppercase(),
        format!("/{first}/{}", last.to_uppercase()),
        format!("/{}/{last}", first.to_uppercase()),
    ]
}

#[test]
fn s12_other_spellings_of_a_path_bypass_no_proxy_rule() {
    let service = Service::start(&[]);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let json = [("Content-Type", "application/json")];
    with_each_proxy(|start| {
        let front = start(&[service.port]);
        let port = front.port();
        let name = front.proxy.name.as_str();
        let limited = [
            ("/oauth/token", &form, "grant_type=magic&client_id=web", "unsupported_grant_type"),
            ("/v1/accounts", &json, "{}", "invalid-fields"),
        ];
        for (path, headers, body, said) in limited {
            let ask = |port: u16, path: &str| service::request(port, "POST", path, headers, body);
            // the right spelling is answered, until nginx's limit
            assert!(ask(port, path).body.contains(said), "{name}: {path}");
            let has_limit = name == "nginx";
            let is_refused = |path: &str| (0..200).any(|_| ask(port, path).status == 429);
            assert!(!has_limit || is_refused(path), "{name}: {path}");
            for other in misspellings(path) {
                for answer in [ask(port, &other), ask(service.port, &other)] {
                    assert!(!answer.body.contains(said), "{name}: {other}: {answer:?}");
                    assert!(
                        [400, 404, 429].contains(&answer.status),
                        "{name}: {other}: {answer:?}"
                    );
                }
            }
            // the absolute form of a request target has the same path in it
            let absolute = format!("http://127.0.0.1{path}");
            assert!(!has_limit || is_refused(&absolute), "{name}: {absolute}");
        }
        for path in ["/health/ready", "/health/live"] {
            let spellings = [vec![path.to_owned()], misspellings(path)].concat();
            for other in spellings {
                let answer = service::request(port, "GET", &other, &[], "");
                assert!([400, 404].contains(&answer.status), "{name}: {other}: {answer:?}");
                assert!(
                    !answer.body.contains("\"status\":\"ready\""),
                    "{name}: {other}: {answer:?}"
                );
            }
        }
        // one slash too many at the end of a page's path
        let answer = service::request(port, "GET", "/docs/?a=b%2Fc", &[], "");
        assert_eq!(answer.status, 308, "{name}: {answer:?}");
        assert_eq!(answer.header("Location").as_deref(), Some("/docs?a=b%2Fc"), "{name}");
    });
}

#[test]
fn f20_32_kilobytes_of_cookies_are_accepted() {
    let service = Service::start(&[]);
    with_each_proxy(|start| {
        let seen =
            service::request(start(&[echo()]).port(), "GET", "/", &[("Cookie", &cookies())], "");
        assert!(seen.body.contains(&cookies()), "{} bytes", seen.body.len());
        let front = start(&[service.port]);
        for (path, status) in [("/account/sign-in", 200), ("/v1/me", 401), ("/docs", 200)] {
            let headers = [("Cookie", cookies())];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let answer = service::request(front.port(), "GET", path, &headers, "");
            assert_eq!(answer.status, status, "{}: {path}: {answer:?}", front.proxy.name);
        }
    });
}

#[test]
fn f11_preflights_reach_the_service() {
    let origin = "https://app.example.org";
    let origins = format!("[\"{origin}\"]");
    let service = Service::start(&[("VESTIBULE_CLIENTS__WEB__ALLOWED_ORIGINS", &origins)]);
    with_each_proxy(|start| {
        let front = start(&[service.port]);
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization, baggage, sentry-trace, traceparent"),
        ];
        for path in ["/oauth/token", "/v1/me", "/v1/me/sessions"] {
            let answer = service::request(front.port(), "OPTIONS", path, &headers, "");
            assert_eq!(answer.status, 204, "{}: {path}: {answer:?}", front.proxy.name);
            let allowed = answer.header("Access-Control-Allow-Origin");
            assert_eq!(allowed.as_deref(), Some(origin), "{}: {path}", front.proxy.name);
            let allowed = answer.header("Access-Control-Allow-Headers").unwrap_or_default();
            assert!(allowed.contains("traceparent"), "{}: {allowed}", front.proxy.name);
        }
    });
}
