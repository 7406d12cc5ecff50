//! The browsers that are signed in: sessions in the server's database, and the cookies that carry
//! their tokens.
//!
//! Here: everything about the host's own login that the protocol leaves to it. Never here: a grant,
//! a client, a token of the protocol, or a clock: the moment is an argument. A consent page is
//! bound to the browser by [`Session::binding`], so that a page is answered only in the session
//! that it was shown to (RFC 6749 §10.12).

mod cookie;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use grantcore::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(crate) use self::cookie::TokenCookie;
use crate::accounts::Accounts;
use crate::store::{AnyLedger, BackendError, Ledger as _, SessionRow};

/// A token of 256 random bits that only one browser knows.
///
/// It is neither `Clone` nor `Display` nor `Debug`, so that it leaves the server only in a cookie
/// or in the hidden field of a form.
pub(crate) struct Token([u8; 32]);

impl Token {
    /// Draws a new token.
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(bits))
    }

    /// Reads a value of [`Token::reveal`]. Returns `None` for every other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bits = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bits).ok()?;
        (length == bits.len()).then_some(Self(bits))
    }

    /// Returns the value for a cookie or a hidden field.
    pub(crate) fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns whether `text` is this token. The time taken does not depend on where the two
    /// differ.
    pub(crate) fn matches(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| self.0.ct_eq(&other.0).into())
    }

    /// Returns the SHA-256 digest of the token, in base64url.
    fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0))
    }
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The account.
    pub(crate) subject: String,
    /// The name of the account for people, if it is not the subject.
    pub(crate) name: Option<String>,
    pub(crate) is_admin: bool,
    /// When the user proved to be the owner of the account, if it is known.
    pub(crate) signed_in: Option<Timestamp>,
    /// The value that a consent page is bound to: the digest of the session's token, which is of no
    /// use as a cookie.
    pub(crate) binding: String,
}

impl Session {
    fn of(row: SessionRow, binding: String, accounts: &Accounts) -> Self {
        let SessionRow { subject, name, is_admin, signed_in, .. } = row;
        let is_admin = is_admin || accounts.is_admin(&subject);
        let signed_in = signed_in.map(Timestamp::from_unix_seconds);
        Self { subject, name, is_admin, signed_in, binding }
    }

    /// Returns the name of the account for people.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.subject)
    }
}

/// The account of a user who has just proved to be its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) subject: String,
    /// The name of the account for people, if it is not the subject.
    pub(crate) name: Option<String>,
    /// Whether the identity provider's rules make the account an administrator. Of the accounts of
    /// a file, the file decides.
    pub(crate) is_admin: bool,
    /// When the user did so. A provider may not say.
    pub(crate) signed_in: Option<Timestamp>,
}

impl Person {
    /// Returns the person of an account whose password was right at this moment.
    pub(crate) fn with_password(subject: String, now: Timestamp) -> Self {
        Self { subject, name: None, is_admin: false, signed_in: Some(now) }
    }
}

/// A failure to open a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the source of randomness failed: {0}")]
    Randomness(getrandom::Error),
    #[error("the account is not there")]
    NoAccount,
    #[error("the database failed: {0}")]
    Database(#[from] BackendError),
}

/// The sessions in the database.
///
/// A session is found by the digest of its token. A look-up by digest needs no constant time, and a
/// reader of the database cannot sign in with what it holds. Only a sign-in writes a session, so
/// strangers store none, and the limit holds for each account by itself.
pub(crate) struct Sessions {
    ledger: AnyLedger,
    lifetime: Duration,
    limit: usize,
}

impl Sessions {
    /// Creates a handle of the sessions in `ledger`. Each lasts for `lifetime`, and an account has
    /// at most `limit`.
    pub(crate) fn new(ledger: AnyLedger, lifetime: Duration, limit: usize) -> Self {
        Self { ledger, lifetime, limit }
    }

    /// Adds a session that nobody has, and removes it: fails if no sign-in could be kept. A
    /// database whose disk is full may still accept a write that changes nothing.
    pub(crate) async fn try_to_write(&self, now: Timestamp) -> Result<(), OpenError> {
        let digest = Token::draw().map_err(OpenError::Randomness)?.digest();
        let row = SessionRow {
            subject: "readyz".to_owned(),
            credential: String::new(),
            name: None,
            is_admin: false,
            signed_in: None,
            // A sweep drops what a crash leaves.
            expires: now.unix_seconds() + 60,
        };
        self.ledger.open_session(&digest, &row, None, self.limit).await?;
        Ok(self.ledger.close_session(&digest).await?)
    }

    /// Opens a session for this person, and ends the one that the browser had before. The oldest
    /// sessions of the same account make room for it.
    ///
    /// The token is always a new one, so nobody can plant one beforehand (session fixation).
    pub(crate) async fn open(
        &self,
        person: &Person,
        accounts: &Accounts,
        previous: Option<&Token>,
        now: Timestamp,
    ) -> Result<(Token, Session), OpenError> {
        let token = Token::draw().map_err(OpenError::Randomness)?;
        let binding = token.digest();
        let row = SessionRow {
            subject: person.subject.clone(),
            credential: accounts.credential(&person.subject).ok_or(OpenError::NoAccount)?,
            name: person.name.clone(),
            is_admin: person.is_admin,
            signed_in: person.signed_in.map(Timestamp::unix_seconds),
            expires: now.after(self.lifetime).unix_seconds(),
        };
        let previous = previous.map(Token::digest);
        self.ledger.open_session(&binding, &row, previous.as_deref(), self.limit).await?;
        Ok((token, Session::of(row, binding, accounts)))
    }

    /// Returns the session of `token`.
    ///
    /// A session does not outlive its account or what signs in to it, both of which may have
    /// changed since the server that opened it was started. A clock that was set back lengthens a
    /// session by as much, and no more.
    pub(crate) async fn find(
        &self,
        token: &Token,
        accounts: &Accounts,
        now: Timestamp,
    ) -> Result<Option<Session>, BackendError> {
        let binding = token.digest();
        let Some(row) = self.ledger.session(&binding).await? else { return Ok(None) };
        let is_over = now.unix_seconds() >= row.expires;
        let credential = accounts.credential(&row.subject);
        if is_over || credential.as_ref() != Some(&row.credential) {
            return Ok(None);
        }
        Ok(Some(Session::of(row, binding, accounts)))
    }

    /// Ends the session of `token`.
    pub(crate) async fn close(&self, token: &Token) -> Result<(), BackendError> {
        self.ledger.close_session(&token.digest()).await
    }
}

/// Returns where to go after a sign-in: back to the authorization request that asked for it, to a
/// page of this server, or to the front page.
///
/// Every other target becomes the front page, so a link to the login page cannot lead off this
/// server.
pub(crate) fn next(target: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let pages = ["/oauth/authorize?", "/settings/connected-apps", "/admin"];
    let ours = pages.iter().any(|page| target.starts_with(page)) && target.bytes().all(plain);
    if ours { target } else { "/" }
}

#[cfg(test)]
mod tests {

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(43_200);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// Sessions in memory, and the accounts that they are of.
    struct Fixture {
        sessions: Sessions,
        accounts: Accounts,
    }

    impl Fixture {
        fn new(limit: usize) -> Self {
            let ledger = AnyLedger::memory();
            Self { sessions: Sessions::new(ledger, LIFETIME, limit), accounts: Accounts::demo() }
        }

        async fn open(&self, subject: &str, previous: Option<&Token>, seconds: u64) -> Token {
            let person = Person::with_password(subject.to_owned(), at(seconds));
            let opened = self.sessions.open(&person, &self.accounts, previous, at(seconds)).await;
            opened.unwrap().0
        }

        async fn find(&self, token: &Token, seconds: u64) -> Option<Session> {
            self.sessions.find(token, &self.accounts, at(seconds)).await.unwrap()
        }

        async fn who(&self, token: &Token, seconds: u64) -> Option<String> {
            self.find(token, seconds).await.map(|session| session.subject)
        }
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

    #[tokio::test]
    async fn a_session_lives_from_login_to_logout() {
        let fixture = Fixture::new(10);
        let planted = Token::draw().unwrap();
        let alice = fixture.open("alice", Some(&planted), 0).await;
        let bob = fixture.open("bob", None, 0).await;
        assert_eq!(fixture.who(&planted, 1).await, None);
        assert_eq!(fixture.who(&alice, 1).await.as_deref(), Some("alice"));
        assert_eq!(fixture.who(&bob, 1).await.as_deref(), Some("bob"));
        fixture.sessions.close(&alice).await.unwrap();
        assert_eq!(fixture.who(&alice, 1).await, None);
        let again = fixture.open("alice", Some(&bob), 1).await;
        assert_eq!(fixture.who(&bob, 1).await, None, "the one before");
        assert_eq!(fixture.who(&again, 1).await.as_deref(), Some("alice"));
    }

    #[tokio::test]
    async fn a_session_ends_by_itself() {
        let fixture = Fixture::new(10);
        let token = fixture.open("alice", None, 1000).await;
        let end = 1000 + LIFETIME.as_secs();
        assert!(fixture.find(&token, end - 1).await.is_some());
        assert!(fixture.find(&token, end).await.is_none());
        assert!(fixture.find(&token, 0).await.is_some(), "a clock set back");
    }

    #[tokio::test]
    async fn a_flood_of_logins_drops_the_oldest_of_its_own_account() {
        let fixture = Fixture::new(3);
        let bob = fixture.open("bob", None, 0).await;
        let mut tokens = Vec::new();
        for seconds in 0..100 {
            tokens.push(fixture.open("alice", None, seconds).await);
        }
        let mut alive = Vec::new();
        for (number, token) in tokens.iter().enumerate() {
            if fixture.find(token, 100).await.is_some() {
                alive.push(number);
            }
        }
        assert_eq!(alive, [97, 98, 99]);
        assert_eq!(fixture.who(&bob, 100).await.as_deref(), Some("bob"));
    }

    #[tokio::test]
    async fn consent_is_bound_to_one_session_and_not_by_its_token() {
        let fixture = Fixture::new(10);
        let one = fixture.open("alice", None, 0).await;
        let two = fixture.open("alice", None, 0).await;
        let binding = async |token: &Token| fixture.find(token, 1).await.unwrap().binding;
        assert_eq!(binding(&one).await, binding(&one).await);
        assert_ne!(binding(&one).await, binding(&two).await);
        let binding = binding(&one).await;
        assert!(!one.matches(&binding));
        let forged = Token::parse(&binding).unwrap();
        assert!(fixture.find(&forged, 1).await.is_none(), "a binding logs nobody in");
    }

    #[tokio::test]
    async fn a_session_ends_with_its_account_and_with_its_password() {
        use std::io::Write as _;

        let listed = |lines: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(lines.as_bytes()).unwrap();
            Accounts::read(file.path()).unwrap()
        };
        let line = |name: &str| format!("{name}:{}\n", crate::accounts::hash("pass").unwrap());
        let alice = line("alice");
        let bob = line("bob");
        let mut fixture = Fixture::new(10);
        fixture.accounts = listed(&[&*alice, &bob].concat());
        let token = fixture.open("alice", None, 0).await;
        // The server is started anew, with another file each time.
        for (lines, is_signed_in) in [
            ([&*alice, &bob], true),
            ([&bob, ""], false),
            // A new hash is a new password.
            ([&line("alice"), &bob], false),
            ([&alice, &line("bob")], true),
        ] {
            fixture.accounts = listed(&lines.concat());
            assert_eq!(fixture.find(&token, 1).await.is_some(), is_signed_in, "{lines:?}");
        }
        fixture.accounts = Accounts::demo();
        assert!(fixture.find(&token, 1).await.is_none(), "the demonstration's alice is another");
    }

    #[tokio::test]
    async fn a_session_of_a_provider_ends_with_the_rules_that_opened_it() {
        let mut fixture = Fixture::new(10);
        let person = |is_admin| Person {
            subject: "oidc:x".to_owned(),
            name: Some("Alice".to_owned()),
            is_admin,
            signed_in: None,
        };
        let open = async |fixture: &Fixture, is_admin| {
            let person = person(is_admin);
            fixture.sessions.open(&person, &fixture.accounts, None, at(0)).await
        };
        assert!(open(&fixture, false).await.is_err(), "there is no provider");
        fixture.accounts = Accounts::demo().with_provider("rules");
        for is_admin in [false, true] {
            let (token, _) = open(&fixture, is_admin).await.unwrap();
            let session = fixture.find(&token, 1).await.unwrap();
            assert_eq!((session.shown(), session.is_admin), ("Alice", is_admin));
            fixture.accounts = Accounts::demo().with_provider("other rules");
            assert!(fixture.find(&token, 1).await.is_none());
            fixture.accounts = Accounts::demo();
            assert!(fixture.find(&token, 1).await.is_none());
            fixture.accounts = Accounts::demo().with_provider("rules");
        }
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
