//! Chromium, driven through a chromedriver of the test's own.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::service::{free_port, poll_until_some, program, request, try_request};

/// The paths of the two programs.
#[derive(Debug)]
pub struct Programs {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

/// `Err` names the missing program.
pub fn programs() -> Result<Programs, &'static str> {
    let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
    let chromedriver = program(&["chromedriver"]);
    Ok(Programs {
        chromium: chromium.ok_or("there is no chromium on the path")?,
        chromedriver: chromedriver.ok_or("there is no chromedriver on the path")?,
    })
}

/// A chromedriver and its one browser. Dropping it ends both.
#[derive(Debug)]
pub struct Driver {
    process: Child,
    port: u16,
    session: Option<String>,
    /// The browser's profile.
    profile: TempDir,
}

/// The size of the browser's window, or of the phone that it emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Desktop,
    Phone,
}

impl Screen {
    pub fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Phone => "phone",
        }
    }

    /// In CSS pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Desktop => (1280, 800),
            Self::Phone => (390, 844),
        }
    }
}

impl Driver {
    pub fn start(programs: &Programs) -> Self {
        for _ in 0..8 {
            let port = free_port();
            let profile = TempDir::new().expect("a temporary directory");
            let process = Command::new(&programs.chromedriver)
                .arg(format!("--port={port}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("chromedriver");
            let mut driver = Self { process, port, session: None, profile };
            let is_up = poll_until_some(|| match driver.process.try_wait() {
                Ok(None) => try_request(port, "GET", "/status", &[], "").is_ok().then_some(true),
                _ => Some(false),
            });
            if is_up == Some(true) {
                return driver;
            }
        }
        panic!("chromedriver does not start");
    }

    /// Opens a browser that prefers `language`. Pages run no scripts in it, since no page needs to.
    pub async fn open(&mut self, programs: &Programs, screen: Screen, language: &str) -> Client {
        let (width, height) = screen.size();
        let mut options = json!({
            "binary": programs.chromium,
            "args": [
                "--headless=new",
                // root, as in containers, cannot use Chromium's sandbox
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--disable-sync",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--hide-scrollbars",
                format!("--lang={language}"),
                format!("--window-size={width},{height}"),
                format!("--user-data-dir={}", self.profile.path().display()),
            ],
            "prefs": {
                "intl.accept_languages": language,
                // 2 is "block"
                "profile.managed_default_content_settings.javascript": 2,
                // no bubble about breached passwords over the page
                "credentials_enable_service": false,
            },
            "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
        });
        if screen == Screen::Phone {
            options["mobileEmulation"] = json!({
                "deviceMetrics": {
                    "width": width, "height": height, "pixelRatio": 2.0, "mobile": true, "touch": true,
                },
            });
        }
        let mut capabilities = Map::new();
        capabilities.insert("browserName".to_owned(), json!("chrome"));
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert(
            "goog:loggingPrefs".to_owned(),
            json!({ "browser": "ALL", "performance": "ALL" }),
        );

        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let client = builder.connect(&format!("http://127.0.0.1:{}", self.port)).await;
        let client = client.expect("a browser");
        self.session = client.session_id().await.expect("a session");
        client
    }

    /// A command of the Chrome DevTools Protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.extension("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// The browser's log entries since the last call: `browser` is the console, `performance` has
    /// the requests.
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.extension("se/log", &json!({ "type": kind }));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// A command of chromedriver's own, beyond WebDriver.
    fn extension(&self, command: &str, parameters: &Value) -> Value {
        let session = self.session.as_deref().expect("an open browser");
        let path = format!("/session/{session}/{command}");
        let headers = [("Content-Type", "application/json")];
        let answer = request(self.port, "POST", &path, &headers, &parameters.to_string());
        assert_eq!(answer.status, 200, "{command}: {}", answer.body);
        answer.json()["value"].take()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // killing chromedriver alone would leave the browser behind
        if let Some(session) = &self.session {
            let _ = try_request(self.port, "DELETE", &format!("/session/{session}"), &[], "");
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
