//! A person without a mouse: Tab, Shift and Tab, Enter and Space, and the arrows within a group of
//! radio buttons.

use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::json;

use crate::chromium::Browser;

const WALK: &str = include_str!("keyboard.js");

impl Browser {
    /// Checks that Tab goes to every control of the page in the order of reading, that Shift and
    /// Tab go back, that nothing keeps the focus, and that each control with the focus can be seen
    /// and has an outline that stands out.
    pub(crate) async fn is_walkable(&self) {
        self.client.execute(WALK, Vec::new()).await.unwrap();
        let stops = self.value("walk.stops()").await.as_u64().unwrap();
        for is_backward in [false, true] {
            // To the end from where the focus is, and a whole round.
            self.tab(2 * stops + 4, is_backward).await;
            self.value(&format!("walk.judge({is_backward})")).await;
        }
        let faults = self.value("(walk.read(), walk.covers(), walk.faults())").await;
        let url = self.client.current_url().await.unwrap();
        assert_eq!(faults, json!([]), "{url}");
    }

    /// Presses Tab so many times, with Shift if `is_backward`.
    async fn tab(&self, times: u64, is_backward: bool) {
        let down = |key: Key| KeyAction::Down { value: key.into() };
        let up = |key: Key| KeyAction::Up { value: key.into() };
        let mut keys = KeyActions::new("keyboard".to_owned());
        if is_backward {
            keys = keys.then(down(Key::Shift));
        }
        for _ in 0..times {
            keys = keys.then(down(Key::Tab)).then(up(Key::Tab));
        }
        if is_backward {
            keys = keys.then(up(Key::Shift));
        }
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Types a text, or presses a key, where the focus is.
    pub(crate) async fn types(&self, text: &str) {
        self.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// Goes to this control by Tab, and presses Enter.
    pub(crate) async fn enter(&self, selector: &str) {
        self.tab_to(selector).await;
        self.key(Key::Enter).await;
    }

    /// Goes to this control by Tab, and presses the space bar.
    pub(crate) async fn space(&self, selector: &str) {
        self.tab_to(selector).await;
        self.types(" ").await;
    }

    /// Waits until the field of this name has the focus.
    pub(crate) async fn focuses(&self, name: &str) {
        for _ in 0..100 {
            if self.value("document.activeElement.name").await == name {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} has no focus in {}", self.text().await)
    }
}
