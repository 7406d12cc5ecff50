//! What a browser shows: its size, its theme, the elements of a page, and their accessibility.
#![allow(dead_code, reason = "each test uses its own part")]

use fantoccini::Locator;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::chromium::Browser;

/// The screens that pages are made for: a telephone, and a small laptop.
pub(crate) const SCREENS: [(u32, u32); 2] = [(390, 844), (1280, 800)];
/// The smallest screen, which is also a screen of 1280 pixels at a zoom of 400 %.
pub(crate) const SMALLEST: (u32, u32) = (320, 640);

/// A command for the developer tools of Chromium.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    async fn devtools(&self, command: &str, parameters: Value) {
        let command = DevTools(json!({ "cmd": command, "params": parameters }));
        self.client.issue_cmd(command).await.unwrap();
    }

    /// Shows pages as on a screen of this size, in CSS pixels.
    pub(crate) async fn resize(&self, (width, height): (u32, u32)) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Shows pages in the dark theme, or in the colours that a user forces on them.
    pub(crate) async fn media(&self, dark: bool, forced: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let colours = if forced { "active" } else { "none" };
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "forced-colors", "value": colours },
        ] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Evaluates an expression in the page. The pages themselves have no script.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }

    /// Opens every folded part of the page.
    pub(crate) async fn unfold(&self) {
        self.value("document.querySelectorAll('details').forEach(own => own.open = true)").await;
    }

    /// Presses a key in the element that has the focus.
    pub(crate) async fn key(&self, key: Key) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(&char::from(key).to_string()).await.unwrap();
    }

    /// Presses Tab until this element has the focus. It must be reachable by at most 30 steps.
    pub(crate) async fn tab_to(&self, selector: &str) {
        for _ in 0..30 {
            let is_there = format!("document.activeElement.matches('{selector}')");
            if self.value(&is_there).await == true {
                return;
            }
            self.key(Key::Tab).await;
        }
        panic!("{selector} cannot be reached by Tab in {}", self.text().await)
    }

    /// Checks that the page is no wider than its screen, and that nothing reaches out of the card or
    /// the banner that it is in.
    pub(crate) async fn fits(&self) {
        // `innerWidth` is no measure: on a telephone it grows with the page.
        let width = "(own => own.scrollWidth - own.clientWidth)(document.documentElement)";
        let width = self.value(width).await;
        let outside = "[...document.querySelectorAll('header *, main *')].filter(own => {
            if (!own.checkVisibility() || own.closest('.unseen, thead')) return false;
            const around = own.parentElement.closest('.cards tr, .banner, pre, header, main');
            const [box, inner] = [around, own].map(own => own.getBoundingClientRect());
            return inner.right > box.right + 1 || inner.left < box.left - 1;
        }).map(own => own.outerHTML.slice(0, 200))";
        let outside = self.value(outside).await;
        let url = self.client.current_url().await.unwrap();
        assert!(width.as_i64().unwrap() <= 0, "{url} is {width} pixels too wide: {outside}");
        assert_eq!(outside, json!([]), "{url}");
    }

    /// Returns the bottom edge of the lowest of these elements.
    pub(crate) async fn bottom(&self, selector: &str) -> f64 {
        let edges = format!(
            "Math.max(...[...document.querySelectorAll('{selector}')]\
             .map(own => own.getBoundingClientRect().bottom))"
        );
        self.value(&edges).await.as_f64().unwrap()
    }

    /// Returns the text of the first of these elements, as it is shown.
    pub(crate) async fn text_of(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    /// Checks the page with axe-core: the default rules, and the size of targets (WCAG 2.2, 2.5.8).
    pub(crate) async fn is_accessible(&self, axe: &str) {
        self.client.execute(axe, Vec::new()).await.unwrap();
        self.has_no_violation().await;
    }

    /// Checks a page in which axe-core was executed before.
    pub(crate) async fn has_no_violation(&self) {
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { rules: { 'target-size': { enabled: true } } }).then(
                result => done(result.violations.map(own =>
                    own.id + ': ' + own.nodes.map(node => node.html).join(' '))),
                error => done([String(error)]))";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        let url = self.client.current_url().await.unwrap();
        assert_eq!(found, json!([]), "{url}, {}", self.theme);
    }
}
