//! Checks of a page: layout, sizes, colours, the console and requests.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::visit::Visit;

/// The enhanced target size of WCAG 2.2 (2.5.5), in CSS pixels.
const THUMB: f64 = 44.0;

/// A script that measures the page.
const MEASURES: &str = "
    const controls = document.querySelectorAll('button, input:not([type=hidden]), select');
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

/// Pages with a status of 4xx that are meant for people.
const OWN_STATUS: [&str; 4] = ["/activate", "/account", "/reset-password", "/confirm-email"];

impl Visit {
    /// Checks the page in light and in dark, and stores its picture as `name`.
    pub async fn check_page(&self, name: &str) {
        let page = self.script(MEASURES).await;
        assert_eq!(page["lang"], self.tag(), "{name}");
        assert_eq!(page["headings"], 1, "{name}");
        assert_eq!(page["scripts"], 0, "{name}");
        // no script can read the one cookie
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
        self.check_browser_log(name);
        self.check_narrow_layout(name).await;

        self.set_scheme("light");
        self.check_with_axe(&format!("{name}, in light")).await;
        let light = self.take_screenshot(name, "light");
        self.set_scheme("dark");
        self.check_colours_with_axe(&format!("{name}, in dark")).await;
        let dark = self.take_screenshot(name, "dark");
        assert_ne!(light, dark, "{name} looks the same in light and in dark");
        self.set_scheme("");
    }

    /// WCAG 2.2 (1.4.10): 320 CSS pixels, which is also the width of a zoomed desktop page.
    async fn check_narrow_layout(&self, name: &str) {
        self.set_width(320);
        let content = self.script("return document.documentElement.scrollWidth").await;
        assert!(
            content.as_u64() <= Some(320),
            "{name} scrolls sideways where it is narrow: {content}"
        );
        self.set_screen();
    }

    /// Fails if the browser blocked or failed a request, or sent one to another host.
    fn check_browser_log(&self, name: &str) {
        for entry in self.driver.log("browser") {
            let message = entry["message"].as_str().unwrap_or_default();
            let is_own_status = OWN_STATUS.iter().any(|path| message.contains(path))
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
            // the browser's own first page belongs to no host
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

    /// A picture of the whole page, below the fold as well.
    fn take_screenshot(&self, name: &str, scheme: &str) -> Vec<u8> {
        let layout = self.driver.devtools("Page.getLayoutMetrics", &json!({}));
        let mut clip = layout["cssContentSize"].clone();
        clip["scale"] = json!(1);
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.driver.devtools("Page.captureScreenshot", &wanted);
        let png = STANDARD.decode(taken["data"].as_str().expect("an image")).expect("Base64");
        let file = format!("{}-{}-{scheme}-{name}.png", self.language, self.screen.name());
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
