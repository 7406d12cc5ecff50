//! The cookies of this server, each of which holds a [`Token`].
//!
//! The `cookie` crate reads and writes them. `CookieJar` of `axum-extra` is not used: of two
//! cookies with one name it keeps the last, and here two are a sign that one of them is planted.

use std::time::Duration;

use axum::http::{HeaderMap, header::COOKIE};
use cookie::{Cookie, SameSite};

use super::Token;
use crate::site::Site;

/// A cookie that scripts cannot read, and that cross-site POST requests do not carry.
///
/// Under https it is `Secure` and has the `__Host-` prefix, so that a neighbouring subdomain cannot
/// plant one. Below a path, which `__Host-` does not allow, the prefix is `__Secure-`. Under http,
/// which is for this machine only, servers on other ports share the cookie. The path is a part of
/// the name, so that two servers on one host do not hide each other's cookies.
#[derive(Debug, Clone)]
pub(crate) struct TokenCookie {
    name: String,
    site: Site,
    https: bool,
    lifetime: Option<Duration>,
}

impl TokenCookie {
    /// The cookie of a session. A sign-in sets it and a sign-out clears it.
    pub(crate) fn session(https: bool, site: &Site, lifetime: Duration) -> Self {
        Self::new("grantcore-session", https, site, Some(lifetime))
    }

    /// The cookie that the `csrf` field of a form must repeat. It exists before there is a session.
    ///
    /// A page on another site can neither read it nor have a POST request carry it
    /// (`SameSite=Lax`), and so cannot sign the browser in to an account of the attacker (login
    /// CSRF).
    pub(crate) fn form(https: bool, site: &Site) -> Self {
        Self::new("grantcore-form", https, site, None)
    }

    /// The cookie that binds a sign-in at the identity provider to this browser.
    ///
    /// `SameSite=Lax`, because the way back begins at another site.
    pub(crate) fn sign_in(https: bool, site: &Site, lifetime: Duration) -> Self {
        Self::new("grantcore-sign-in", https, site, Some(lifetime))
    }

    fn new(name: &str, https: bool, site: &Site, lifetime: Option<Duration>) -> Self {
        let prefix = match (https, site.prefix()) {
            (false, _) => "",
            (true, "") => "__Host-",
            (true, _) => "__Secure-",
        };
        let name = format!("{prefix}{name}{}", site.prefix().replace('/', "-"));
        Self { name, site: site.clone(), https, lifetime }
    }

    /// Returns the token that the browser sent. Returns `None` for two cookies with this name,
    /// because one of them may be injected (cookie tossing).
    pub(crate) fn read(&self, headers: &HeaderMap) -> Option<Token> {
        // Another application of the host may set a cookie that is not text.
        let mut own = headers
            .get_all(COOKIE)
            .into_iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| str::from_utf8(pair).ok())
            .filter_map(|pair| Cookie::parse(pair).ok())
            .filter(|cookie| cookie.name() == self.name);
        let only = own.next()?;
        if own.next().is_some() {
            return None;
        }
        Token::parse(only.value())
    }

    /// Returns the token that the browser sent, or draws a new one for a page with a form. The
    /// response sends it with [`TokenCookie::set`].
    pub(crate) fn read_or_create(&self, headers: &HeaderMap) -> Result<Token, getrandom::Error> {
        self.read(headers).map_or_else(Token::draw, Ok)
    }

    /// Returns whether a form with this `csrf` field came from a page of this server in this
    /// browser.
    pub(crate) fn matches(&self, headers: &HeaderMap, csrf: &str) -> bool {
        self.read(headers).is_some_and(|token| token.matches(csrf))
    }

    /// Returns the value of a `Set-Cookie` header that stores `token`.
    pub(crate) fn set(&self, token: &Token) -> String {
        self.line(token.reveal(), self.lifetime)
    }

    /// Returns the value of a `Set-Cookie` header that removes this cookie.
    pub(crate) fn clear(&self) -> String {
        self.line(String::new(), Some(Duration::ZERO))
    }

    fn line(&self, value: String, lifetime: Option<Duration>) -> String {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .path(self.site.cookie_path())
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.https);
        if let Some(lifetime) = lifetime {
            let age = lifetime.try_into().unwrap_or(time::Duration::MAX);
            cookie = cookie.max_age(age);
        }
        cookie.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::HeaderValue;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(43_200);

    fn sent(lines: &[&str]) -> HeaderMap {
        let value = |line: &&str| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        lines.iter().map(value).collect()
    }

    /// A `Set-Cookie` line as name with value, and all attributes.
    #[track_caller]
    fn assert_line(line: &str, pair: &str, attributes: &[&str]) {
        let mut parts = line.split("; ");
        assert_eq!(parts.next(), Some(pair));
        assert_eq!(parts.collect::<BTreeSet<_>>(), attributes.iter().copied().collect(), "{line}");
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
        let token = Token::draw().unwrap();
        let text = token.reveal();
        let secure = TokenCookie::session(true, &Site::default(), LIFETIME).set(&token);
        assert_line(
            &secure,
            &format!("__Host-grantcore-session={text}"),
            &["Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=43200"],
        );
        let local = TokenCookie::form(false, &Site::default()).set(&token);
        assert_line(
            &local,
            &format!("grantcore-form={text}"),
            &["Path=/", "HttpOnly", "SameSite=Lax"],
        );
        let cleared = TokenCookie::session(false, &Site::default(), LIFETIME).clear();
        let attributes = ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=0"];
        assert_line(&cleared, "grantcore-session=", &attributes);
        let below = TokenCookie::session(true, &Site::new("/a/b", ""), LIFETIME).clear();
        assert_line(
            &below,
            "__Secure-grantcore-session-a-b=",
            &["Path=/a/b", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=0"],
        );
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_guessed() {
        let cookie = TokenCookie::form(true, &Site::default());
        let found = |lines: &[&str]| cookie.read(&sent(lines)).is_some();
        let value = Token::draw().unwrap().reveal();
        let good = format!("__Host-grantcore-form={value}");
        assert!(found(&[&good]));
        assert!(found(&["a=b; c", &format!("theme=dark; {good};")]));
        assert!(found(&[&format!("x=é; {good}; é")]), "beside what is not ASCII");
        assert!(!found(&[&format!("grantcore-form={value}")]), "no prefix");
        assert!(!found(&[]) && !found(&["__Host-grantcore-form=short"]));
        assert!(!found(&[&good, &good]), "two are none");
        assert!(!found(&[&format!("{good}; {good}")]), "two in one line are none");
    }

    #[test]
    fn a_form_is_ours_only_if_it_repeats_the_cookie() {
        let cookie = TokenCookie::form(false, &Site::default());
        let value = cookie.read_or_create(&HeaderMap::new()).unwrap().reveal();
        let headers = sent(&[&format!("grantcore-form={value}")]);
        assert!(cookie.matches(&headers, &value));
        assert!(!cookie.matches(&headers, &Token::draw().unwrap().reveal()));
        assert!(!cookie.matches(&HeaderMap::new(), &value));
        assert!(!cookie.matches(&sent(&["grantcore-form="]), ""));
        let second_tab = cookie.read_or_create(&headers).unwrap();
        assert!(second_tab.matches(&value), "it does not end the first");
    }
}
