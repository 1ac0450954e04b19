//! Somebody in front of a browser: they open, read, press keys, and look.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::driver::{Driver, Programs, Screen};

/// What WCAG 2.2 (2.5.5) calls enhanced; in CSS pixels.
const THUMB: f64 = 44.0;

/// How often and how long to look for what is about to appear.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: usize = 500;

/// What a page says about itself.
const MEASURES: &str = "
    const controls = document.querySelectorAll('button, input:not([type=hidden])');
    return {
        lang: document.documentElement.lang,
        title: document.title,
        headings: document.querySelectorAll('h1').length,
        scripts: document.scripts.length,
        cookies: document.cookie,
        width: window.innerWidth,
        content: document.documentElement.scrollWidth,
        heights: [...controls].map(control => control.getBoundingClientRect().height),
    };";

/// A browser at one service.
#[derive(Debug)]
pub struct Visit {
    client: Client,
    driver: Driver,
    screen: Screen,
    /// The service, without a slash at the end.
    home: String,
}

impl Visit {
    pub async fn start(programs: &Programs, screen: Screen, home: String) -> Self {
        let mut driver = Driver::start(programs);
        let client = driver.open(programs, screen).await;
        let visit = Self { client, driver, screen, home };
        visit.set_screen();
        visit
            .open_url("data:text/html,<title>off</title><script>document.title='on'</script>")
            .await;
        assert_eq!(visit.title().await, "off", "pages may run scripts");
        visit
    }

    pub async fn close(self) {
        self.client.close().await.expect("the browser closes");
    }

    pub async fn open(&self, path: &str) {
        self.open_url(&format!("{}{path}", self.home)).await;
    }

    pub async fn open_url(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page reloads");
    }

    pub async fn back(&self) {
        self.client.back().await.expect("there is a page before this one");
    }

    pub async fn title(&self) -> String {
        self.client.title().await.expect("a title")
    }

    /// Runs a script as developer tools do, which may even where pages may not.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect("the script runs")
    }

    async fn text(&self) -> Option<String> {
        // there may be no page at this moment, but between two
        let text = self.client.execute("return document.body.innerText", vec![]).await.ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Waits until the page says `words`, and answers all that it says.
    pub async fn read(&self, words: &str) -> String {
        let mut seen = String::new();
        for _ in 0..PATIENCE {
            seen = self.text().await.unwrap_or_default();
            if seen.contains(words) {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the page does not say `{words}`, but:\n{seen}");
    }

    /// The same, for what only a fresh page says.
    pub async fn reload_until(&self, words: &str) {
        for _ in 0..PATIENCE {
            self.reload().await;
            if self.text().await.unwrap_or_default().contains(words) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the page never says `{words}`");
    }

    async fn key(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.expect("a key press");
    }

    /// Presses Tab until what `selector` means has the focus, and it shows.
    pub async fn tab_to(&self, selector: &str) {
        let reached = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..12 {
            self.key(Key::Tab).await;
            if self.script(&reached).await == true {
                let outline = "return getComputedStyle(document.activeElement).outlineStyle";
                assert_eq!(self.script(outline).await, "solid", "the focus on {selector} shows");
                return;
            }
        }
        panic!("Tab does not lead to {selector}");
    }

    pub async fn enter(&self) {
        self.key(Key::Enter).await;
    }

    /// Types into whatever has the focus.
    pub async fn enter_text(&self, text: &str) {
        let field = self.client.active_element().await.expect("something has the focus");
        field.send_keys(text).await.expect("it takes text");
    }

    /// What the letter in the frame says.
    pub async fn letter(&self) -> String {
        self.enter_letter().await;
        let text = self.text().await.unwrap_or_default();
        self.client.clone().enter_parent_frame().await.expect("the page around the letter");
        text
    }

    async fn enter_letter(&self) {
        let frame = self.client.find(Locator::Css("iframe")).await.expect("a letter");
        frame.enter_frame().await.expect("a frame");
    }

    /// Presses the letter's button. It opens a tab of its own, as mail programs do, and the visit
    /// goes on there.
    pub async fn follow_the_letters_button(&self, label: &str) {
        let tabs = self.client.windows().await.expect("tabs");
        self.enter_letter().await;
        let button = self.client.find(Locator::LinkText(label)).await.expect("the letter's button");
        button.click().await.expect("it can be pressed");
        for _ in 0..PATIENCE {
            let opened = self.client.windows().await.expect("tabs");
            if let Some(new) = opened.into_iter().find(|tab| !tabs.contains(tab)) {
                self.client.switch_to_window(new).await.expect("a new tab");
                self.set_screen();
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the letter's button opens nothing");
    }

    /// A window is smaller inside than it was asked to be; each tab is told.
    fn set_screen(&self) {
        if self.screen == Screen::Desktop {
            let (width, height) = self.screen.size();
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            self.driver.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        }
    }

    /// Looks at the page closely, in light and in dark, and keeps what was seen as `name`.
    pub async fn look(&self, name: &str) {
        let page = self.script(MEASURES).await;
        assert_eq!(page["lang"], "en", "{name}");
        assert_eq!(page["headings"], 1, "{name}");
        assert_eq!(page["scripts"], 0, "{name}");
        assert_eq!(page["cookies"], "", "{name}");
        let title = page["title"].as_str().unwrap_or_default();
        assert!(title.ends_with(" – Vestibule"), "{name}: the title is `{title}`");
        let (width, _) = self.screen.size();
        assert_eq!(page["width"], width, "{name}");
        assert!(page["content"].as_u64() <= Some(width.into()), "{name} scrolls sideways: {page}");
        let heights = page["heights"].as_array().expect("heights");
        for height in heights.iter().filter_map(Value::as_f64) {
            assert!(height >= THUMB, "{name}: a control of only {height} pixels");
        }
        self.complain_of_the_log(name);

        let light = self.photograph(name, "light");
        let dark = self.photograph(name, "dark");
        assert_ne!(light, dark, "{name} looks the same in light and in dark");
        self.set_scheme("");
    }

    /// Nothing was blocked, nothing failed, and nothing was asked of anybody else.
    fn complain_of_the_log(&self, name: &str) {
        for entry in self.driver.log("browser") {
            let message = entry["message"].as_str().unwrap_or_default();
            // the page itself has the status that it should have
            let is_own_status = message.contains("/activate")
                && message.contains("the server responded with a status of 4");
            assert!(is_own_status, "{name}: the console says: {message}");
        }
        let mut requests = 0;
        for entry in self.driver.log("performance") {
            let event: Value =
                serde_json::from_str(entry["message"].as_str().unwrap_or_default()).expect("JSON");
            let url = event["message"]["params"]["request"]["url"].as_str().unwrap_or_default();
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            let own = format!("{}/", self.home);
            // the browser's own first page is no host's
            let is_at_home =
                [own.as_str(), "data:", "chrome:"].iter().any(|home| url.starts_with(home));
            assert!(!is_request || is_at_home, "{name}: asks for {url}");
            requests += usize::from(is_request);
        }
        assert!(requests > 0, "{name} was loaded without a request");
    }

    fn set_scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.driver.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// All of the page, also what is below the fold.
    fn photograph(&self, name: &str, scheme: &str) -> Vec<u8> {
        self.set_scheme(scheme);
        let layout = self.driver.devtools("Page.getLayoutMetrics", &json!({}));
        let mut clip = layout["cssContentSize"].clone();
        clip["scale"] = json!(1);
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.driver.devtools("Page.captureScreenshot", &wanted);
        let png = STANDARD.decode(taken["data"].as_str().expect("an image")).expect("Base64");
        let file = format!("{}-{scheme}-{name}.png", self.screen.name());
        std::fs::write(album().join(file), &png).expect("the image can be kept");
        png
    }
}

/// `target/browser-screenshots`
fn album() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let album = target.join("browser-screenshots");
    std::fs::create_dir_all(&album).expect("a place for images");
    album
}
