//! The steps of a valid authorization request: sign-in, and a consent page with everything that it
//! shows.

use std::sync::Arc;

use super::document::DocumentRequest;
use super::redirect::Redirect;
use crate::client::{Client, Registration};
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::policy::{EffectiveLifetimes, Policy};
use crate::value::credential::{GrantId, Issued};
use crate::value::hints::Hints;
use crate::value::prompt::RequestDigest;
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::uri::{Uri, is_page};

/// The next step of a valid authorization request. Except in the last, no code exists yet.
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let request = example::get(example::QUERY);
/// use grantcore::{AuthorizationStep, User};
///
/// // Nobody is signed in.
/// let step = server.authorize(&request, None).await?;
/// let AuthorizationStep::NeedsLogin(page) = step else { return Err("signed in".into()) };
/// let asked = page.request(); // Keep it in the browser's session, and show the login form.
///
/// // The user has signed in: answer the same request again.
/// let alice = User::new("alice", b"Zk3n1sVd0Qe8")?.signed_in_for(asked);
/// let step = server.authorize(&request, Some(alice)).await?;
/// assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the user is waiting"]
#[expect(clippy::exhaustive_enums, reason = "a host that skipped a step would strand the user")]
pub enum AuthorizationStep {
    /// No user is signed in, or the client requires a new sign-in. Let the user sign in, then send
    /// the same request again with
    /// [`User::signed_in_for`](crate::User::signed_in_for)` (page.request())`.
    NeedsLogin(LoginPage),
    /// Show the consent page.
    NeedsConsent(ConsentPage),
    /// Fetch the client's metadata document, then send the same request again with the result
    /// ([`Server::authorize_with_document`](crate::Server::authorize_with_document)). This step
    /// occurs only if the policy [accepts such
    /// clients](crate::policy::PolicyBuilder::client_documents).
    NeedsDocument(DocumentRequest),
    /// Redirect the browser to the client, with the code: no page is needed. This step occurs only
    /// if the policy or the client [remembers or skips](crate::policy::ConsentRules) consents.
    Done(Redirect),
}

/// The content of a login page.
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let query = format!("{}&prompt=select_account", example::QUERY);
/// # let request = example::get(&query);
/// # let alice = example::alice();
/// use grantcore::AuthorizationStep;
///
/// // The client sent prompt=select_account, so a user who is signed in is asked as well.
/// let step = server.authorize(&request, Some(alice)).await?;
/// let AuthorizationStep::NeedsLogin(page) = step else { return Err("not asked".into()) };
/// let title = if page.choose_account() { "Choose an account" } else { "Sign in" };
/// println!("<h1>{title} to continue to {}</h1>", page.client_name()); // Escape it for HTML.
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoginPage {
    pub(crate) client: Arc<Client>,
    pub(crate) redirect_uri: VerifiedRedirectUri,
    pub(crate) request: RequestDigest,
    pub(crate) wanted: WantedLogin,
    pub(crate) hints: Option<Box<Hints>>,
}

/// What a sign-in must do.
#[derive(Debug, Default)]
pub(crate) struct WantedLogin {
    pub(crate) fresh: bool,
    pub(crate) choose_account: bool,
    /// The classes of which the login must be one. Empty: any suffices.
    pub(crate) acr_values: Box<[Box<str>]>,
}

/// The content of the consent page, and the ticket that its form sends back (OAuth 2.1 §7.9; RFC
/// 6749 §10.12).
///
/// Send the page with [`PAGE_HEADERS`](crate::response::PAGE_HEADERS). Without them, another site
/// can frame it and make the user click (clickjacking).
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let page = example::page(&server).await;
/// // Each text is escaped for HTML.
/// let mut html = format!("<h1>{} asks for access</h1>", page.client_name());
/// if page.is_unverified() {
///     html += "<p>This application registered itself. Its name is its own claim.</p>";
/// }
/// for (token, description) in page.scopes(server.policy()) {
///     html += &format!("<label><input type=checkbox name={token} checked>{description}</label>");
/// }
/// html += &format!("<p>The answer goes to {}.</p>", page.redirect_host());
/// if page.redirects_to_own_device() {
///     html += "<p>Any program on your device can claim to be this application.</p>";
/// }
/// html += &format!("<input type=hidden name=ticket value={}>", page.ticket());
/// # assert!(html.contains("app.example"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ConsentPage {
    pub(crate) ticket: Issued,
    pub(crate) client: Arc<Client>,
    pub(crate) grant: Arc<Grant>,
    pub(crate) resource_variables: Vec<(String, String)>,
    pub(crate) domain_trusted: bool,
    pub(crate) hints: Option<Box<Hints>>,
}

impl LoginPage {
    /// Returns the client's name, cleaned for display.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// Returns the `client_id`.
    pub fn client_id(&self) -> &str {
        self.client.id().as_str()
    }

    /// Returns host and port that the answer goes to, or the scheme of a private-use URI.
    pub fn redirect_host(&self) -> &str {
        self.redirect_uri.host()
    }

    /// Returns whether nobody has checked who the client is: it registered itself, or is known by a
    /// document of its own.
    pub fn is_unverified(&self) -> bool {
        self.client.registration() != Registration::Operator
    }

    /// Returns the digest of the request. Keep it in the browser's session while the user signs in,
    /// and pass it back with [`User::signed_in_for`](crate::User::signed_in_for).
    pub fn request(&self) -> RequestDigest {
        self.request
    }

    /// Returns whether the user must sign in again, even if a user is signed in (`prompt=login`, or
    /// a login that is older than [`max_age`](Self::max_age)).
    pub fn fresh(&self) -> bool {
        self.wanted.fresh
    }

    /// Returns whether the user must choose an account, even if a user is signed in
    /// (`prompt=select_account`).
    pub fn choose_account(&self) -> bool {
        self.wanted.choose_account
    }

    /// Returns the classes of logins of which one is necessary (`acr`), all of them declared by the
    /// policy. None: any login suffices. A host that cannot offer one [gives the login
    /// up](crate::Server::give_up_login).
    pub fn needed_acr_values(&self) -> impl Iterator<Item = &str> {
        self.wanted.acr_values.iter().map(|acr| &**acr)
    }
}

impl ConsentPage {
    /// Returns the client's name, cleaned by [`display_text`](crate::value::display_text).
    ///
    /// Returns the `client_id` if the client gave no name, and "An application without a name" if
    /// the name consists of invisible characters.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// Returns the `client_id`.
    pub fn client_id(&self) -> &str {
        self.client.id().as_str()
    }

    /// Returns host and port of a `client_id` that is a URL. They are the only proven part of such
    /// a client's identity.
    pub fn client_id_host(&self) -> Option<&str> {
        let uri = Uri::split(self.client.id().as_str())
            .filter(|uri| matches!(uri.scheme(), "https" | "http"))?;
        uri.authority().filter(|host| !host.is_empty() && !host.contains(['@', '\\']))
    }

    /// Returns the client's home page, an `https` URL. Like the name, it is the client's own claim
    /// unless the operator registered the client.
    pub fn client_uri(&self) -> Option<&str> {
        shown_page(self.client.description().uri.as_ref())
    }

    /// Returns the client's logo, an `https` URL. A page that shows it makes the user's browser
    /// call a host that the client chose.
    pub fn logo_uri(&self) -> Option<&str> {
        shown_page(self.client.description().logo_uri.as_ref())
    }

    /// Returns the client's terms of service, an `https` URL.
    pub fn tos_uri(&self) -> Option<&str> {
        shown_page(self.client.description().tos_uri.as_ref())
    }

    /// Returns the client's privacy policy, an `https` URL.
    pub fn policy_uri(&self) -> Option<&str> {
        shown_page(self.client.description().policy_uri.as_ref())
    }

    /// Returns how the client was registered.
    pub fn registration(&self) -> Registration {
        self.client.registration()
    }

    /// Returns whether nobody has checked who the client is: it registered itself, or is known by a
    /// document of its own. Warn the user then.
    pub fn is_unverified(&self) -> bool {
        self.client.registration() != Registration::Operator
    }

    /// Returns when the client registered itself, or when its document was first read. Users should
    /// distrust a client that is minutes old.
    pub fn registered(&self) -> Timestamp {
        self.client.created()
    }

    /// Returns the id of the grant that an approval makes. It identifies the flow in the audit log,
    /// and is the id of [`Access`](crate::Access) and
    /// [`Connection`](crate::response::Connection).
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// Returns the user that the page is for.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "a consent page is of a grant by consent"
    )]
    pub fn subject(&self) -> &str {
        self.grant.subject().expect("a consent page has a user").as_str()
    }

    #[expect(clippy::expect_used, reason = "a consent page is of a grant by consent")]
    fn redirect_uri(&self) -> &VerifiedRedirectUri {
        self.grant.terms().redirect_uri().expect("a consent page has a redirect URI")
    }

    /// Returns host and port that the answer goes to, or the scheme of a private-use URI. Always
    /// show it (MCP, Localhost Redirect URI Risks).
    pub fn redirect_host(&self) -> &str {
        self.redirect_uri().host()
    }

    /// Returns whether all redirect URIs of the client lead to the user's own device, where any
    /// program can claim to be the client. Show a warning then.
    pub fn loopback_only(&self) -> bool {
        self.client.is_loopback_only()
    }

    /// Returns whether the answer goes to a loopback address, by `http` or `https`.
    pub fn redirects_to_loopback(&self) -> bool {
        self.redirect_uri().is_loopback()
    }

    /// Returns whether any program on the user's own device may get the answer, by listening on
    /// loopback or by claiming the private-use scheme. Show a warning then.
    pub fn redirects_to_own_device(&self) -> bool {
        let uri = self.redirect_uri();
        uri.is_loopback() || uri.is_private_use()
    }

    /// Returns whether the client gets a refresh token. If not, its access ends with the first
    /// access token, and the page must not promise a renewal.
    pub fn gets_refresh_token(&self) -> bool {
        self.client.grant_types().refresh_token
    }

    /// Returns the lifetimes that hold for the client. They can be shorter than those of the
    /// policy, so a page that says how long the access lasts takes them from here.
    pub fn lifetimes(&self, policy: &Policy) -> EffectiveLifetimes {
        policy.lifetimes_of(&self.client)
    }

    /// Returns the requested scope tokens, each with its description in the policy.
    pub fn scopes<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.grant.scope().tokens().map(|token| {
            let known = policy.find_scope(token);
            (token, known.map_or("", |known| known.description()))
        })
    }

    /// Returns the requested resources.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.grant.resources()
    }

    /// Returns the variables of the requested resources that are of a template, each with its
    /// value: the tenant that the client asks for. Deny the request if the user does not belong to
    /// it.
    pub fn resource_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resource_variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns whether the client's document is at a domain that the operator
    /// [trusts](crate::policy::DomainRules::with_trusted), and the answer goes to the origin of
    /// that document.
    pub fn domain_trusted(&self) -> bool {
        self.domain_trusted
    }

    /// Returns when the ticket of the page expires.
    pub fn expires(&self) -> Timestamp {
        self.grant.expires()
    }

    /// Returns the ticket, for the hidden field of the form and for nothing else.
    pub fn ticket(&self) -> String {
        self.ticket.text()
    }
}

/// Returns the URL if it can be shown. A record can be older than the rule.
fn shown_page(uri: Option<&String>) -> Option<&str> {
    uri.map(String::as_str).filter(|uri| is_page(uri))
}

/// Makes the getters of the hints for a page.
macro_rules! hints {
    ($page:ty) => {
        /// # Hints of the client
        ///
        /// They change nothing but what the user is shown (OpenID Connect Core §3.1.2.1). Each is
        /// bounded, and what breaks its bound is left out. They are the client's own words: escape
        /// them for HTML.
        impl $page {
            /// Returns who the client believes the user is, for the name field of the login form:
            /// at most 256 bytes without control characters.
            pub fn login_hint(&self) -> Option<&str> {
                self.hints.as_ref()?.login_hint.as_deref()
            }

            /// Returns the languages that the user prefers, the best first: at most 8 language
            /// tags.
            pub fn ui_locales(&self) -> impl Iterator<Item = &str> {
                let hints = self.hints.iter();
                hints.flat_map(|hints| &hints.ui_locales).map(|locale| &**locale)
            }

            /// Returns the classes of logins that the client asks for, the best first: at most 8,
            /// whether or not the policy declares them.
            pub fn acr_values(&self) -> impl Iterator<Item = &str> {
                self.hints.iter().flat_map(|hints| &hints.acr_values).map(|acr| &**acr)
            }

            /// Returns for how many seconds after a login the client accepts it.
            pub fn max_age(&self) -> Option<u64> {
                self.hints.as_ref()?.max_age
            }
        }
    };
}

hints!(LoginPage);
hints!(ConsentPage);
