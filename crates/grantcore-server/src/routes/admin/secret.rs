//! `/admin/secret`: shows a new secret, once.
//!
//! A form that makes a secret is answered with a redirect to this page, so that a reload repeats
//! nothing. The address has a reference that is good for one look, in the browser of the form, for
//! a few minutes. The database has a digest of the reference, and the secret encrypted under a key
//! that is derived from the reference. A reader of the database learns neither.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Admin, LONGEST_ASKED, address, client_path, failed};
use crate::app::App;
use crate::kept::KeepError;
use crate::pages::{Nav, NewSecret, Page};
use crate::sessions::Token;
use crate::waiting::Kind;

/// The occasion on which the secret was made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Made {
    /// The client is a new one.
    Added,
    /// The former secret works for another day.
    Replaced,
    /// The former secret has ended.
    ReplacedAtOnce,
}

/// A secret that waits for its page.
#[derive(Serialize, Deserialize)]
struct Waiting {
    client_id: String,
    made: Made,
    /// The encrypted secret, in base64url.
    secret: String,
}

/// The address of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    id: String,
    show: String,
}

/// Redirects to the page that shows this secret.
pub(super) async fn lead_to(
    app: &App,
    nav: Nav,
    headers: &HeaderMap,
    (client_id, secret): (&str, String),
    made: Made,
) -> Response {
    match keep(app, &nav, headers, (client_id, &secret), made).await {
        Ok(reference) => {
            let asked = [("id", client_id), ("show", &reference)];
            Redirect::to(&address("/admin/secret", &asked)).into_response()
        }
        // The secret is in force already, and nothing else could show it.
        Err(error) => {
            tracing::error!(%error, "a new secret could not be kept for its page");
            Page(page(nav, client_id, Some((made, secret)))).into_response()
        }
    }
}

/// Keeps a secret for its page, and returns the reference.
async fn keep(
    app: &App,
    nav: &Nav,
    headers: &HeaderMap,
    (client_id, secret): (&str, &str),
    made: Made,
) -> Result<String, KeepError> {
    let reference = Token::draw()?.reveal();
    let browser = browser(app, headers).unwrap_or_default();
    let waiting = Waiting {
        client_id: client_id.to_owned(),
        made,
        secret: close(&reference, &browser, secret),
    };
    let source = format!("the administrator {}", nav.account.as_deref().unwrap_or_default());
    let key = (Kind::Secret, &*reference);
    app.waiting.add(key, &waiting, Some(&browser), &source, SystemTime::now()).await?;
    Ok(reference)
}

/// `GET /admin/secret`.
pub(crate) async fn secret(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(browser) = browser(&app, &headers) else {
        return Page(page(nav, &asked.id, None)).into_response();
    };
    let key = (Kind::Secret, &*asked.show);
    let waiting = match app.waiting.take::<Waiting>(key, &browser, SystemTime::now()).await {
        Ok(waiting) => waiting,
        Err(error) => return failed(nav, &error),
    };
    let shown = waiting.and_then(|own| {
        let secret = open(&asked.show, &browser, &own.secret)?;
        Some((own.client_id, own.made, secret))
    });
    let page = match shown {
        Some((client_id, made, secret)) => page(nav, &client_id, Some((made, secret))),
        None => page(nav, &asked.id, None),
    };
    Page(page).into_response()
}

/// Returns the page of a secret, or the page that says that it was shown.
fn page(nav: Nav, client_id: &str, secret: Option<(Made, String)>) -> NewSecret {
    let (title, ended) = match &secret {
        Some((Made::Added, _)) => ("The client is added", None),
        Some((Made::Replaced, _)) => {
            ("The secret is replaced", Some("The old one works for another day."))
        }
        Some((Made::ReplacedAtOnce, _)) => {
            ("The secret is replaced", Some("The old one has ended."))
        }
        None => ("This secret was shown already", None),
    };
    let id: String = client_id.chars().take(LONGEST_ASKED).collect();
    NewSecret { nav, title, path: client_path(&id), id, secret: secret.map(|own| own.1), ended }
}

/// Returns the value of the form cookie, which identifies the browser.
fn browser(app: &App, headers: &HeaderMap) -> Option<String> {
    app.form_cookie.read(headers).map(|token| token.reveal())
}

/// Returns the key of one reference in one browser. It encrypts one secret.
fn key(reference: &str, browser: &str) -> LessSafeKey {
    let mut digest = Sha256::new_with_prefix("a secret for its page");
    for part in [reference, browser] {
        // The length separates the parts, so that no two lists of parts have one digest.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    #[expect(clippy::expect_used, reason = "the key has the length of the algorithm")]
    let key = UnboundKey::new(&CHACHA20_POLY1305, &digest.finalize()).expect("32 bytes");
    LessSafeKey::new(key)
}

/// Each key encrypts one secret, so a constant nonce is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn close(reference: &str, browser: &str, secret: &str) -> String {
    let mut text = secret.as_bytes().to_vec();
    let sealed = key(reference, browser).seal_in_place_append_tag(nonce(), Aad::empty(), &mut text);
    #[expect(clippy::expect_used, reason = "a secret is far shorter than the limit")]
    sealed.expect("a short text");
    URL_SAFE_NO_PAD.encode(text)
}

fn open(reference: &str, browser: &str, sealed: &str) -> Option<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let text = key(reference, browser).open_in_place(nonce(), Aad::empty(), &mut bytes).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_70_a_kept_secret_is_read_with_its_reference_in_its_browser() {
        let sealed = close("reference", "browser", "hunter2");
        assert!(!sealed.contains(&URL_SAFE_NO_PAD.encode("hunter2")), "{sealed}");
        assert_eq!(open("reference", "browser", &sealed).as_deref(), Some("hunter2"));
        for (reference, browser) in [("reference", "other"), ("other", "browser"), ("r", "x")] {
            assert_eq!(open(reference, browser, &sealed), None, "{reference} {browser}");
        }
        assert_ne!(close("other", "browser", "hunter2"), sealed);
    }
}
