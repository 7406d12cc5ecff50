//! Short responses of the server itself, outside of the endpoints: a page for a browser, JSON for a
//! program.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::response::PAGE_HEADERS;
use serde_json::{Map, Value};

use super::{Notice, Page};
use crate::site::Unrendered;

/// The largest number of characters of a received value that are repeated.
const MOST_SHOWN: usize = 200;

/// An error with the addresses that help.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The page's heading.
    pub(crate) title: &'static str,
    /// `error` in JSON.
    pub(crate) code: &'static str,
    /// The received value and the expected one: the text of the page, and `error_description` in
    /// JSON.
    pub(crate) description: String,
    /// The sentence for people, if the description is for developers.
    pub(crate) message: Option<String>,
    /// Further members of the JSON: addresses by name.
    pub(crate) links: Vec<(&'static str, String)>,
}

impl Answer {
    /// Returns the response in the form that these request headers accept. A client in a browser
    /// must be able to read the error, and no cookie is read: any origin may.
    pub(crate) fn to(self, headers: &HeaderMap) -> Response {
        let mut response = self.at_page(headers);
        if response.extensions().get::<Unrendered>().is_none() {
            let any = HeaderValue::from_static("*");
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        }
        response
    }

    /// Returns the response at the address of a page, which no other origin can read or frame.
    pub(crate) fn at_page(self, headers: &HeaderMap) -> Response {
        if is_browser(headers) {
            let (message, detail) = match self.message {
                Some(message) => (message, Some(self.description)),
                None => (self.description, None),
            };
            let page = Notice { title: self.title.into(), message, detail };
            return (self.status, Page(page)).into_response();
        }
        let mut body = Map::new();
        body.insert("error".into(), self.code.into());
        body.insert("error_description".into(), self.description.into());
        body.extend(self.links.into_iter().map(|(name, url)| (name.to_owned(), url.into())));
        let no_cache = [(header::PRAGMA, "no-cache")];
        (self.status, PAGE_HEADERS, no_cache, Json(Value::Object(body))).into_response()
    }
}

/// Returns whether a browser opens a page: browsers accept HTML then.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"))
}

/// Returns whether a person opens the address of a resource in a browser. A request with a token
/// comes from a program, whatever it accepts.
pub(crate) fn is_opened(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && !headers.contains_key(header::AUTHORIZATION) && is_browser(headers)
}

/// Returns a received value so that a response or the log can repeat it: at most [`MOST_SHOWN`]
/// characters of printable ASCII, without quotes, backslashes and angle brackets.
pub(crate) fn shown(received: &[u8]) -> String {
    if received.is_empty() {
        return "nothing".into();
    }
    let mut text: String = String::from_utf8_lossy(received)
        .chars()
        .take(MOST_SHOWN)
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>') { c } else { '?' })
        .collect();
    if received.len() > MOST_SHOWN {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_value_is_bounded_and_plain() {
        assert_eq!(shown(b""), "nothing");
        assert_eq!(shown(b"a.example:80"), "a.example:80");
        assert_eq!(shown("<b>\"é\n\\".as_bytes()), "?b????".to_owned() + "?");
        assert_eq!(shown(&[b'a'; 5000]).len(), MOST_SHOWN + 3);
    }
}
