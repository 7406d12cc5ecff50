//! The hints of an authorization request about the login (OpenID Connect Core §3.1.2.1): bounded
//! text, which is handed to the host and is in no event.

use std::fmt;

use super::acr::is_acr;

/// The longest `login_hint`, in bytes.
const LOGIN_HINT_BYTES: usize = 256;
/// The most entries of `ui_locales` and of `acr_values`.
const ENTRIES: usize = 8;

/// The hints of one request. What breaks a bound is left out (HOST-18).
pub(crate) struct Hints {
    pub(crate) login_hint: Option<Box<str>>,
    pub(crate) ui_locales: Box<[Box<str>]>,
    pub(crate) acr_values: Box<[Box<str>]>,
    /// In seconds.
    pub(crate) max_age: Option<u64>,
}

impl Hints {
    /// Takes what is within the bounds of these values. Returns `None` for a request without any,
    /// as most are. They are behind a pointer, because they are moved with the decision.
    pub(crate) fn of(
        login_hint: Option<&str>,
        ui_locales: Option<&str>,
        acr_values: Option<&str>,
        max_age: Option<u64>,
    ) -> Option<Box<Self>> {
        if login_hint.or(ui_locales).or(acr_values).is_none() && max_age.is_none() {
            return None;
        }
        let is_clean =
            |hint: &&str| hint.len() <= LOGIN_HINT_BYTES && !hint.chars().any(char::is_control);
        Some(Box::new(Self {
            login_hint: login_hint.filter(is_clean).map(Into::into),
            ui_locales: entries(ui_locales, is_locale),
            acr_values: entries(acr_values, is_acr),
            max_age,
        }))
    }
}

/// Shows which hints are there. A login hint often is the address of a person.
impl fmt::Debug for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hints")
            .field("has_login_hint", &self.login_hint.is_some())
            .field("ui_locales", &self.ui_locales.len())
            .field("acr_values", &self.acr_values.len())
            .field("max_age", &self.max_age)
            .finish()
    }
}

/// Reads `max_age`: seconds, as digits only.
pub(crate) fn parse_max_age(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Returns the first entries of a list that is separated by spaces, without those that break the
/// rule.
fn entries(list: Option<&str>, is_valid: impl Fn(&str) -> bool) -> Box<[Box<str>]> {
    let Some(list) = list else { return Box::default() };
    list.split(' ').filter(|entry| is_valid(entry)).take(ENTRIES).map(Into::into).collect()
}

/// Returns whether the text has the form of a language tag (RFC 5646 §2.1).
fn is_locale(text: &str) -> bool {
    (1..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
