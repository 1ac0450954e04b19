//! Accessibility checks by axe-core: <https://github.com/dequelabs/axe-core>.
//!
//! `TEST_AXE` is the path of its `axe.min.js`. Without the variable, the tests look for it where
//! `npm install --prefix target/axe axe-core@4` puts it.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::service::{setting, skip};
use crate::visit::Visit;

/// WCAG 2.2, A and AA, and the rules that axe calls good practice.
const RULES: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const COLOURS: [&str; 2] = ["color-contrast", "link-in-text-block"];

/// axe waits for timers, which do not run on pages without scripts: this script fires them at once.
const TIMERS: &str = "window.setTimeout = (callback, _, ...rest) => {
    Promise.resolve().then(() => callback(...rest));
    return 0;
};";

/// A script that runs axe on the document without its frames. The letter in a frame is checked by
/// itself, as in a mail program.
const ASK: &str = "
    const [runOnly, done] = arguments;
    axe.run(document, {
        runOnly,
        resultTypes: ['violations'],
        iframes: false,
        preload: false,
    }).then(found => done({
        violations: found.violations.map(rule => ({
            rule: rule.id,
            help: rule.help,
            nodes: rule.nodes.map(node => [node.html, node.failureSummary]),
        })),
    }), error => done({ error: String(error) }));";

/// The text of axe-core, if it is installed.
pub fn load() -> Option<String> {
    let file = setting("TEST_AXE").map_or_else(default_file, PathBuf::from);
    match std::fs::read_to_string(&file) {
        Ok(script) => Some(script),
        Err(error) => {
            skip("axe", &format!("{}: {error}", file.display()));
            None
        }
    }
}

fn default_file() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    target.join("axe/node_modules/axe-core/axe.min.js")
}

impl Visit {
    /// Fails if axe finds a fault on the page. People must look at the cases that axe cannot
    /// decide.
    pub async fn check_with_axe(&self, name: &str) {
        self.check_rules_with_axe(name, &json!({ "type": "tag", "values": RULES })).await;
    }

    /// The same for the letter in the frame. A letter has no landmarks or headings of a page.
    pub async fn check_letter_with_axe(&self, name: &str) {
        let rules: Vec<_> = RULES.into_iter().filter(|rule| rule.starts_with("wcag")).collect();
        self.enter_letter().await;
        self.check_rules_with_axe(name, &json!({ "type": "tag", "values": rules })).await;
        self.client.clone().enter_parent_frame().await.expect("the page around the letter");
    }

    /// The same for colours only: another colour scheme of the page was checked before.
    pub async fn check_colours_with_axe(&self, name: &str) {
        self.check_rules_with_axe(name, &json!({ "type": "rule", "values": COLOURS })).await;
    }

    /// Opens a page with faults: axe works if it finds them.
    pub async fn check_that_axe_finds_faults(&self) {
        if self.axe.is_none() {
            return;
        }
        self.open_url("data:text/html,<title>faults</title><p style='color:%23ddd'>pale</p>").await;
        let all = self.axe_violations("faults", &json!({ "type": "tag", "values": RULES })).await;
        assert!(all.iter().any(|rule| rule["rule"] == "html-has-lang"), "{}", written(&all));
        let colours =
            self.axe_violations("faults", &json!({ "type": "rule", "values": COLOURS })).await;
        assert_eq!(colours.len(), 1, "{}", written(&colours));
    }

    async fn check_rules_with_axe(&self, name: &str, rules: &Value) {
        if self.axe.is_some() {
            let violations = self.axe_violations(name, rules).await;
            assert!(violations.is_empty(), "{name}: axe finds:\n{}", written(&violations));
        }
    }

    async fn axe_violations(&self, name: &str, rules: &Value) -> Vec<Value> {
        if self.script("return typeof axe").await == "undefined" {
            let axe = self.axe.as_deref().unwrap_or_default();
            self.script(&format!("{TIMERS}\n{axe}\nwindow.axe = axe;")).await;
        }
        let found = self.client.execute_async(ASK, vec![rules.clone()]).await;
        let found = found.unwrap_or_else(|error| panic!("{name}: axe does not answer: {error}"));
        let violations = found["violations"].as_array();
        violations.unwrap_or_else(|| panic!("{name}: axe fails: {found}")).clone()
    }
}

fn written(violations: &[Value]) -> String {
    let lines: Vec<String> = violations.iter().map(|rule| format!("{rule:#}")).collect();
    lines.join("\n")
}
