//! A person in front of a browser: opens pages, reads, presses keys, and looks.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule::messages::{Arguments, Messages};
use vestibule::model::Locale;

use crate::axe;
use crate::driver::{Driver, Programs, Screen};

/// How often and how long the test looks for text that is about to appear.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: usize = 500;

/// A browser at one service.
#[derive(Debug)]
pub struct Visit {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    pub(crate) screen: Screen,
    /// The language that the browser asks for.
    pub(crate) language: &'static str,
    /// The language of the pages.
    pages: Cell<&'static str>,
    messages: Messages,
    pub(crate) axe: Option<String>,
    /// The letters that the visit has opened.
    opened: RefCell<BTreeSet<String>>,
    /// The service's URL, without a slash at the end.
    pub(crate) home: String,
}

impl Visit {
    pub async fn start(
        programs: &Programs,
        screen: Screen,
        language: &'static str,
        home: String,
    ) -> Self {
        let mut driver = Driver::start(programs);
        let client = driver.open(programs, screen, language).await;
        let messages = Messages::load(None, "en").expect("messages");
        let pages = Cell::new(language);
        let (axe, opened) = (axe::load(), RefCell::default());
        let visit = Self { client, driver, screen, language, pages, messages, axe, opened, home };
        visit.set_screen();
        visit
            .open_url("data:text/html,<title>off</title><script>document.title='on'</script>")
            .await;
        assert_eq!(visit.title().await, "off", "pages may run scripts");
        visit.check_that_axe_finds_faults().await;
        visit
    }

    /// The expected language of pages.
    pub fn tag(&self) -> &'static str {
        self.pages.get()
    }

    /// Sets the expected language of pages.
    pub fn expect_language(&self, tag: &'static str) {
        self.pages.set(tag);
    }

    /// The service's text for `key` in the language of its pages, with the service's name filled
    /// in.
    pub fn words(&self, key: &str) -> String {
        let locale = Locale::parse(self.tag()).expect("a tag");
        let language = self.messages.best(&locale).expect("a language");
        let arguments = Arguments::default().text("service", "Vestibule");
        let words = self.messages.try_format(language, key, &arguments);
        words.unwrap_or_else(|error| panic!("{key}: {error:?}"))
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

    /// Runs a script as developer tools do, even where pages cannot run scripts.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect("the script runs")
    }

    async fn text(&self) -> Option<String> {
        // between two pages there may be no document
        let text = self.client.execute("return document.body.innerText", vec![]).await.ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Waits until the page contains `words`, and returns its whole text.
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

    /// The same, for a text by its key.
    pub async fn read_words(&self, key: &str) -> String {
        self.read(&self.words(key)).await
    }

    /// The same, reloading the page until it contains the text.
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

    /// Presses Tab until the element at `selector` has the focus, and checks that the focus is
    /// visible.
    pub async fn tab_to(&self, selector: &str) {
        let reached = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..40 {
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

    /// Moves to a link or a button with the keyboard, and presses it.
    pub async fn press(&self, selector: &str) {
        self.tab_to(selector).await;
        self.enter().await;
    }

    /// Moves to a field with the keyboard, unless the page has focused it, and types.
    pub async fn fill(&self, selector: &str, text: &str) {
        if !self.has_focus(selector).await {
            self.tab_to(selector).await;
        }
        // as after Tab, the typed text replaces the old one
        self.script("document.activeElement.select?.()").await;
        self.enter_text(text).await;
    }

    pub async fn has_focus(&self, selector: &str) -> bool {
        let script = format!("return document.activeElement.matches({})", json!(selector));
        self.script(&script).await == true
    }

    /// Types into the focused element.
    pub async fn enter_text(&self, text: &str) {
        let field = self.client.active_element().await.expect("something has the focus");
        field.send_keys(text).await.expect("the element takes text");
    }

    /// The text of the letter in the frame.
    pub async fn letter(&self) -> String {
        self.enter_letter().await;
        let text = self.text().await.unwrap_or_default();
        self.client.clone().enter_parent_frame().await.expect("the page around the letter");
        text
    }

    pub(crate) async fn enter_letter(&self) {
        let frame = self.client.find(Locator::Css("iframe")).await.expect("a letter");
        frame.enter_frame().await.expect("a frame");
    }

    /// Presses the letter's button. It opens a tab of its own, as in mail programs, and the visit
    /// continues there.
    pub async fn follow_the_letters_button(&self, label: &str) {
        let tabs = self.client.windows().await.expect("tabs");
        self.enter_letter().await;
        let button = self.client.find(Locator::LinkText(label)).await.expect("the letter's button");
        button.click().await.expect("the button can be pressed");
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

    /// Opens the last letter with this recipient and subject, once there is an unopened one.
    pub async fn open_letter(&self, to: &str, subject: &str) {
        const FIND: &str = "
            const [to, subject] = arguments;
            const links = [...document.querySelectorAll('.letters a')];
            const isIt = link => link.innerText.includes(subject) && link.innerText.includes(to);
            return links.filter(isIt).map(link => link.href);";
        for _ in 0..PATIENCE {
            self.open("/dev/mail").await;
            let found = self.client.execute(FIND, vec![json!(to), json!(subject)]).await;
            let found = found.expect("the script runs");
            let links = found.as_array().into_iter().flatten().filter_map(Value::as_str);
            let unread = links.map(str::to_owned).find(|url| !self.opened.borrow().contains(url));
            if let Some(url) = unread {
                self.open_url(&url).await;
                self.opened.borrow_mut().insert(url);
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no letter to {to} about `{subject}`");
    }

    /// Presses a download link, and returns the file's name and content.
    pub async fn download(&self, selector: &str) -> (String, String) {
        let folder = TempDir::new().expect("a temporary directory");
        let behavior = json!({ "behavior": "allow", "downloadPath": folder.path() });
        self.driver.devtools("Browser.setDownloadBehavior", &behavior);
        self.press(selector).await;
        for _ in 0..PATIENCE {
            let files = std::fs::read_dir(folder.path()).expect("a folder").flatten();
            let mut kept = files.map(|file| file.path());
            // the browser uses another name until the file is complete
            if let Some(file) = kept.find(|path| path.extension().is_some_and(|e| e == "json")) {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return (name, std::fs::read_to_string(file).expect("the downloaded file"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{selector} leads to no file");
    }

    /// Sets the size in each tab: a window is smaller inside than its requested size.
    pub(crate) fn set_screen(&self) {
        self.set_width(self.screen.size().0);
    }

    pub(crate) fn set_width(&self, width: u32) {
        let (_, height) = self.screen.size();
        let is_phone = self.screen == Screen::Phone;
        let scale = if is_phone { 2 } else { 1 };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone,
        });
        self.driver.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }
}
