//! The guard of forms against other sites (cross-site request forgery).

use axum::http::{HeaderMap, HeaderName, header};

/// Returns whether a form was sent by a page of this server, or by a program that is not a browser.
///
/// Check it before a login form is handled (login CSRF): a page of an attacker could sign its
/// visitor in to the attacker's account, and the visitor would connect applications to that
/// account. The consent form does not need the check, because its ticket is secret. A browser
/// states in `Sec-Fetch-Site`, or else in `Origin`, which page sent a form, and no page can change
/// these headers.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(header::HOST)
        }
        (None, None) => true,
    }
}
