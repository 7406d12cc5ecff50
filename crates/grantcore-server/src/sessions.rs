//! Who is logged in at this browser: login sessions, and the cookies that carry them.
//!
//! What lives here: everything about the host's own login that the protocol leaves to it. What
//! never does: a grant, a client, a token of the protocol, or a clock: the moment is an argument. A
//! consent page is bound to the browser by [`Session::binding`], so that nobody answers a page that
//! was shown to somebody else (RFC 6749 §10.12).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header::COOKIE};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::site::Site;

/// 256 random bits that only one browser knows.
///
/// Neither `Clone` nor `Display` nor `Debug`: a cookie and a form's hidden field are its only ways
/// out.
pub(crate) struct Token([u8; 32]);

impl Token {
    /// A new one.
    #[allow(
        clippy::disallowed_methods,
        reason = "the ban is the library's; this is the host's own randomness"
    )]
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(bits))
    }

    /// Reads what [`Token::reveal`] wrote, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bits = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bits).ok()?;
        (length == bits.len()).then_some(Self(bits))
    }

    /// The value for a cookie or a hidden field.
    pub(crate) fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Whether `text` is this token, in a time that says nothing.
    pub(crate) fn matches(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| self.0.ct_eq(&other.0).into())
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Somebody logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The account.
    pub(crate) subject: String,
    /// What a consent page is bound to: it differs from session to session, and is of no use as a
    /// cookie.
    pub(crate) binding: String,
}

/// The live sessions, in memory and by the digest of their token: a look-up by digest needs no
/// constant time, and a dump of this memory logs nobody in.
pub(crate) struct Sessions {
    lifetime: Duration,
    capacity: usize,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    /// Whose they are, and since when.
    entries: HashMap<[u8; 32], (String, SystemTime)>,
    /// In the order of their opening; those closed meanwhile keep their place.
    queue: VecDeque<[u8; 32]>,
}

impl Sessions {
    /// Room for the latest `capacity` logins, each good for `lifetime`.
    ///
    /// One account's logins can push out another's; with accounts open to strangers, count per
    /// account.
    pub(crate) fn new(lifetime: Duration, capacity: usize) -> Self {
        Self { lifetime, capacity, live: Mutex::default() }
    }

    /// Opens a session for `subject`, ending the one that the browser had before.
    ///
    /// Its token is drawn here and is always new, so nobody can plant one beforehand (session
    /// fixation).
    pub(crate) fn open(
        &self,
        subject: &str,
        before: Option<&Token>,
        now: SystemTime,
    ) -> Result<Token, getrandom::Error> {
        let token = Token::draw()?;
        let mut live = self.lock();
        if let Some(before) = before {
            live.entries.remove(&before.digest());
        }
        while let Some(oldest) = live.queue.front().copied()
            && (live.queue.len() >= self.capacity || self.subject(&live, &oldest, now).is_none())
        {
            live.queue.pop_front();
            live.entries.remove(&oldest);
        }
        let digest = token.digest();
        live.queue.push_back(digest);
        live.entries.insert(digest, (subject.to_owned(), now));
        Ok(token)
    }

    /// The session that `token` stands for.
    pub(crate) fn find(&self, token: &Token, now: SystemTime) -> Option<Session> {
        let digest = token.digest();
        let subject = self.subject(&self.lock(), &digest, now)?.to_owned();
        let binding = URL_SAFE_NO_PAD.encode(digest);
        Some(Session { subject, binding })
    }

    /// Ends the session that `token` stands for.
    pub(crate) fn close(&self, token: &Token) {
        self.lock().entries.remove(&token.digest());
    }

    /// A clock that was set back lengthens a session by as much, and no more.
    fn subject<'l>(&self, live: &'l Live, digest: &[u8; 32], now: SystemTime) -> Option<&'l str> {
        let (subject, since) = live.entries.get(digest)?;
        let age = now.duration_since(*since).unwrap_or_default();
        (age < self.lifetime).then_some(subject)
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cookie that holds a [`Token`], out of reach of scripts and of forms on other sites.
///
/// Under https it is `Secure` and has the `__Host-` prefix, which keeps neighbouring subdomains
/// from planting one; below a path, which `__Host-` does not allow, it has `__Secure-`. Under http,
/// on this machine only, servers on other ports share it. The path is a part of the name, so that
/// two servers on one host do not hide each other's.
#[derive(Debug, Clone)]
pub(crate) struct Cookie {
    name: String,
    site: Site,
    https: bool,
    lifetime: Option<Duration>,
}

impl Cookie {
    /// The one that a login sets and a logout clears.
    pub(crate) fn session(https: bool, site: &Site, lifetime: Duration) -> Self {
        Self::new("grantcore-session", https, site, Some(lifetime))
    }

    /// The one that the `csrf` field of a form must repeat, be it the login form, before there is a
    /// session: a page on another site can neither read it nor send it, so it cannot log a
    /// browser in as somebody else (login CSRF).
    pub(crate) fn form(https: bool, site: &Site) -> Self {
        Self::new("grantcore-form", https, site, None)
    }

    fn new(name: &str, https: bool, site: &Site, lifetime: Option<Duration>) -> Self {
        let before = match (https, site.prefix()) {
            (false, _) => "",
            (true, "") => "__Host-",
            (true, _) => "__Secure-",
        };
        let name = format!("{before}{name}{}", site.prefix().replace('/', "-"));
        Self { name, site: site.clone(), https, lifetime }
    }

    /// The token that the browser sent. Two by this name are none: one of them is planted.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Option<Token> {
        let lines = headers.get_all(COOKIE).into_iter();
        let mut values = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter_map(|(name, value)| (name == self.name).then_some(value));
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Token::parse(value)
    }

    /// The token that the browser sent, or else a new one, for a page with a form. Send it with
    /// [`Cookie::set`].
    pub(crate) fn read_or_draw(&self, headers: &HeaderMap) -> Result<Token, getrandom::Error> {
        self.read(headers).map_or_else(Token::draw, Ok)
    }

    /// Whether a form with this `csrf` field came from one of our own pages.
    pub(crate) fn vouches_for(&self, headers: &HeaderMap, csrf: &str) -> bool {
        self.read(headers).is_some_and(|token| token.matches(csrf))
    }

    /// The value of a `Set-Cookie` header that stores `token`.
    pub(crate) fn set(&self, token: &Token) -> String {
        self.line(&token.reveal(), self.lifetime)
    }

    /// The value of a `Set-Cookie` header that removes this cookie.
    pub(crate) fn clear(&self) -> String {
        self.line("", Some(Duration::ZERO))
    }

    fn line(&self, value: &str, lifetime: Option<Duration>) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        let age = lifetime.map_or(String::new(), |age| format!("; Max-Age={}", age.as_secs()));
        let name = &self.name;
        let path = self.site.cookie_path();
        format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax{secure}{age}")
    }
}

/// Where to go after logging in: back to the authorization request that asked for it, or to a page
/// of this server's own, or else to the front page.
///
/// Nothing else, so a link to the login page cannot send anybody off this server.
pub(crate) fn next(target: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let pages = ["/oauth/authorize?", "/settings/connected-apps", "/admin"];
    let ours = pages.iter().any(|page| target.starts_with(page)) && target.bytes().all(plain);
    if ours { target } else { "/" }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(43_200);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn who(sessions: &Sessions, token: &Token, seconds: u64) -> Option<String> {
        let session = sessions.find(token, at(seconds))?;
        Some(session.subject)
    }

    fn sent(lines: &[&str]) -> HeaderMap {
        let value = |line: &&str| (COOKIE, HeaderValue::from_str(line).unwrap());
        lines.iter().map(value).collect()
    }

    #[test]
    fn a_token_reads_back_in_its_one_spelling() {
        let token = Token::draw().unwrap();
        let text = token.reveal();
        assert_eq!(text.len(), 43);
        assert!(token.matches(&text));
        assert!(!token.matches(&Token::draw().unwrap().reveal()));
        let stray_bits = format!("{}_", &text[..42]);
        for other in ["", &format!("{text}="), &format!("{text}A"), &stray_bits] {
            assert!(Token::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_session_lives_from_login_to_logout() {
        let sessions = Sessions::new(LIFETIME, 10);
        let planted = Token::draw().unwrap();
        let alice = sessions.open("alice", Some(&planted), at(0)).unwrap();
        let bob = sessions.open("bob", None, at(0)).unwrap();
        assert_eq!(who(&sessions, &planted, 1), None);
        assert_eq!(who(&sessions, &alice, 1).as_deref(), Some("alice"));
        assert_eq!(who(&sessions, &bob, 1).as_deref(), Some("bob"));
        sessions.close(&alice);
        assert_eq!(who(&sessions, &alice, 1), None);
        let again = sessions.open("alice", Some(&bob), at(1)).unwrap();
        assert!(who(&sessions, &bob, 1).is_none(), "the one before");
        assert_eq!(who(&sessions, &again, 1).as_deref(), Some("alice"));
    }

    #[test]
    fn a_session_ends_by_itself() {
        let sessions = Sessions::new(LIFETIME, 10);
        let token = sessions.open("alice", None, at(1000)).unwrap();
        let end = 1000 + LIFETIME.as_secs();
        assert!(who(&sessions, &token, end - 1).is_some());
        assert!(who(&sessions, &token, end).is_none());
        assert!(who(&sessions, &token, 0).is_some(), "a clock set back");
        sessions.open("bob", None, at(end)).unwrap();
        assert_eq!(sessions.lock().entries.len(), 1, "what is over is dropped");
    }

    #[test]
    fn a_flood_of_logins_takes_no_more_room_and_drops_the_oldest_first() {
        let sessions = Sessions::new(LIFETIME, 3);
        let open = |time| sessions.open("alice", None, at(time)).unwrap();
        let tokens: Vec<_> = (0..100).map(open).collect();
        let alive = |token: &Token| who(&sessions, token, 100).is_some();
        assert_eq!(tokens.iter().filter(|token| alive(token)).count(), 3);
        assert!(tokens[97..].iter().all(alive));
        for time in 100..200 {
            sessions.close(&open(time));
        }
        let live = sessions.lock();
        assert!(live.entries.len() <= 3 && live.queue.len() <= 3, "logouts");
    }

    #[test]
    fn consent_is_bound_to_one_session_and_not_by_its_token() {
        let sessions = Sessions::new(LIFETIME, 10);
        let open = || sessions.open("alice", None, at(0)).unwrap();
        let (one, two) = (open(), open());
        let binding = |token: &Token| sessions.find(token, at(1)).unwrap().binding;
        assert_eq!(binding(&one), binding(&one));
        assert_ne!(binding(&one), binding(&two));
        assert!(!one.matches(&binding(&one)), "a binding logs nobody in");
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
        let token = Token::draw().unwrap();
        let secure = Cookie::session(true, &Site::default(), LIFETIME).set(&token);
        assert!(secure.starts_with(&format!("__Host-grantcore-session={}; ", token.reveal())));
        assert!(secure.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=43200"));
        let local = Cookie::form(false, &Site::default()).set(&token);
        assert!(
            local.starts_with("grantcore-form=")
                && local.ends_with("; Path=/; HttpOnly; SameSite=Lax")
        );
        let cleared = Cookie::session(false, &Site::default(), LIFETIME).clear();
        assert!(
            cleared.starts_with("grantcore-session=; Path=/; ") && cleared.ends_with("; Max-Age=0")
        );
        let below = Cookie::session(true, &Site::new("/a/b"), LIFETIME).clear();
        assert!(below.starts_with("__Secure-grantcore-session-a-b=; Path=/a/b; "), "{below}");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_guessed() {
        let found =
            |lines: &[&str]| Cookie::form(true, &Site::default()).read(&sent(lines)).is_some();
        let value = Token::draw().unwrap().reveal();
        let good = format!("__Host-grantcore-form={value}");
        assert!(found(&[&good]));
        assert!(found(&["a=b; c", &format!("theme=dark; {good};")]));
        assert!(!found(&[&format!("grantcore-form={value}")]), "no prefix");
        assert!(!found(&[]) && !found(&["__Host-grantcore-form=short"]));
        assert!(!found(&[&good, &good]), "two are none");
    }

    #[test]
    fn a_form_is_ours_only_if_it_repeats_the_cookie() {
        let cookie = Cookie::form(false, &Site::default());
        let value = cookie.read_or_draw(&HeaderMap::new()).unwrap().reveal();
        let headers = sent(&[&format!("grantcore-form={value}")]);
        assert!(cookie.vouches_for(&headers, &value));
        assert!(!cookie.vouches_for(&headers, &Token::draw().unwrap().reveal()));
        assert!(!cookie.vouches_for(&HeaderMap::new(), &value));
        assert!(!cookie.vouches_for(&sent(&["grantcore-form="]), ""));
        let second_tab = cookie.read_or_draw(&headers).unwrap();
        assert!(second_tab.matches(&value), "it does not end the first");
    }

    #[test]
    fn after_login_nobody_is_sent_elsewhere() {
        let good = "/oauth/authorize?redirect_uri=https://app.example/cb&state=%20";
        assert_eq!(next(good), good);
        for bad in [
            "//evil.example/oauth/authorize?",
            "/\\evil.example",
            "https://evil.example/oauth/authorize?",
            "/oauth/authorize.evil?",
            "/oauth/authorize?\\",
            "/oauth/authorize?\r\nSet-Cookie: a=b",
            "/oauth/authorize?\u{202e}",
        ] {
            assert_eq!(next(bad), "/", "{bad}");
        }
    }
}
