//! The identity provider: users sign in with an OpenID Connect provider, by the crate
//! `openidconnect`.
//!
//! Here: the way to the provider and back. Never here: a route, a page, a session, and consent. The
//! provider knows this server by one `client_id`, whichever of our clients asks, and remembers its
//! own consent for it. So a sign-in opens a session and grants nothing: our consent page is shown
//! for each client. What each part is against:
//!
//! - `pending.rs`: `state` is used once and belongs to one browser. Against the callback of the
//!   attacker's own sign-in, sent to a victim (login CSRF).
//! - PKCE, `nonce` and `iss` (RFC 9207). Against a code that was stolen or replaced on its way, and
//!   against the code of another provider (mix-up).
//! - `token.rs`: issuer, audience, signature, algorithm, expiry and nonce of the ID token. The
//!   provider's tokens are dropped then, so that nothing can pass them on.
//! - `rules.rs`: an account is the provider's issuer and `sub`, and never an e-mail address, which
//!   another person may get later.
//! - `http.rs` and `cache.rs`: calls of the provider are limited in time, size and number.

mod cache;
mod http;
mod pending;
mod rules;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow};
use openidconnect::{
    ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use self::cache::Cache;
use self::http::Http;
pub(crate) use self::pending::{Attempt, LIFETIME as ATTEMPT_LIFETIME, Target};
use self::pending::{Begun, Secrets};
use self::rules::Rules;
pub(crate) use self::rules::{NotAllowed, is_of_provider, shown_name, subject_of};
pub(crate) use self::token::Known;
use crate::config::{Issuer, ProviderIssuer, ProviderSettings};
use crate::kept::Wanted;
use crate::sessions::{Person, Token};
use crate::store::BackendError;
use crate::waiting::Waiting;

/// The path of the redirect URI.
pub(crate) const CALLBACK: &str = "/login/callback";
/// How many codes are redeemed at once.
const REDEEMED_AT_ONCE: usize = 16;
/// How long a sign-in waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// The provider of the settings.
pub(crate) struct Provider {
    name: String,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_uri: RedirectUrl,
    scopes: Vec<Scope>,
    rules: Rules,
    http: Http,
    known: Cache<Known>,
    turns: Semaphore,
}

/// Why the settings of the provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error("{0} needs --provider-issuer")]
    NoIssuer(&'static str),
    #[error("--provider-issuer needs {0}")]
    Missing(&'static str),
    #[error(
        "--provider-issuer: name who may sign in with --provider-domains, --provider-claims or \
         --provider-subjects, or let --provider-everybody sign in"
    )]
    Nobody,
    #[error("--provider-everybody contradicts {0}")]
    Everybody(&'static str),
    #[error("--provider-authority {0}: {1}")]
    Authority(PathBuf, String),
    #[error("the client of the provider cannot be made: {0}")]
    Client(String),
}

/// Why a sign-in with the provider did not succeed. The text is for the log: it has no token, no
/// code, and nothing about the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The provider cannot be reached, or fails.
    #[error("the provider cannot be used now: {0}")]
    Unavailable(String),
    /// The sign-in cannot be kept.
    #[error("the database failed: {0}")]
    Database(String),
    /// Too many sign-ins are under way.
    #[error("too many sign-ins are under way")]
    Busy,
    /// The user has not signed in there.
    #[error("the user cancelled at the provider")]
    Cancelled,
    /// The provider refused with another error.
    #[error("the provider answered the error {0}")]
    Answered(String),
    /// `iss` of the response is that of another provider, or is missing.
    #[error("the response is of another issuer: {0}")]
    OtherIssuer(String),
    /// The provider did not redeem the code: it is used, expired or of another sign-in.
    #[error("the provider did not redeem the code: {0}")]
    Code(String),
    /// The provider refuses this server as its client.
    #[error("the provider refuses this server as a client: {0}; check the client id and secret")]
    Client(String),
    /// The ID token is missing or not valid.
    #[error("the ID token is refused: {0}")]
    IdToken(String),
    /// A new sign-in was asked for, and the provider reports an earlier one.
    #[error("the provider did not ask the user to sign in again")]
    NotFresh,
}

/// The parameters of the callback.
#[derive(Debug, Default)]
pub(crate) struct Callback {
    pub(crate) code: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) iss: Option<String>,
}

impl Provider {
    /// Returns the provider of the settings, or every problem with them. `None` without one.
    pub(crate) fn of(
        settings: &ProviderSettings,
        own: &Issuer,
    ) -> Result<Option<Self>, Vec<ProviderError>> {
        let Some(issuer) = &settings.provider_issuer else {
            let stray = stray(settings);
            return if stray.is_empty() { Ok(None) } else { Err(stray) };
        };
        let mut problems = check(settings);
        let http = Http::new(issuer.is_local(), settings.provider_authority.as_deref());
        let http = http.map_err(|error| problems.push(error)).ok();
        let redirect_uri = format!("{}{CALLBACK}", own.as_str());
        match (&settings.provider_client_id, &settings.provider_client_secret, http) {
            (Some(id), Some(secret), Some(http)) if problems.is_empty() => {
                Self::new(settings, issuer, (id, secret.reveal()), http, redirect_uri)
                    .map(Some)
                    .map_err(|error| vec![ProviderError::Client(error.to_string())])
            }
            _ => Err(problems),
        }
    }

    fn new(
        settings: &ProviderSettings,
        issuer: &ProviderIssuer,
        (id, secret): (&str, &str),
        http: Http,
        redirect_uri: String,
    ) -> Result<Self, url::ParseError> {
        let scopes = settings.provider_scopes.iter().filter(|scope| !scope.is_empty());
        Ok(Self {
            name: settings.provider_name.clone().unwrap_or_else(|| issuer.host()),
            issuer: IssuerUrl::new(issuer.as_str().to_owned())?,
            client_id: ClientId::new(id.to_owned()),
            client_secret: ClientSecret::new(secret.to_owned()),
            redirect_uri: RedirectUrl::new(redirect_uri)?,
            scopes: scopes.cloned().map(Scope::new).collect(),
            rules: Rules::of(settings, issuer, id),
            http,
            known: Cache::default(),
            turns: Semaphore::new(REDEEMED_AT_ONCE),
        })
    }

    /// Returns the name of the provider for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the issuer of the provider.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the redirect URI that is registered with the provider.
    pub(crate) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns a digest of the settings that decide who may sign in. A session does not outlive
    /// them.
    pub(crate) fn credential(&self) -> &str {
        self.rules.digest()
    }

    /// Reads the provider's documents now.
    pub(crate) async fn discover(&self) -> Result<Known, Fault> {
        Known::discover(&self.issuer, &self.http).await
    }

    /// Begins a sign-in of this browser, and returns the address of the provider for it.
    pub(crate) async fn begin(
        &self,
        waiting: &Waiting,
        wanted: Wanted,
        target: Target,
        browser: &Token,
        source: &str,
    ) -> Result<Url, Fault> {
        let known = self.known.current(self.discover()).await?;
        let state = Token::draw().map_err(|error| Fault::Unavailable(error.to_string()))?.reveal();
        let begun = Begun { target, is_fresh: wanted.fresh, at: SystemTime::now() };
        let kept = pending::add(waiting, &state, browser, source, &begun).await;
        kept.map_err(|error| Fault::Database(error.to_string()))?;
        let Secrets { nonce, verifier } = Secrets::of(&state, browser);
        let verifier = PkceCodeVerifier::new(verifier);
        let (state, nonce) = (CsrfToken::new(state), Nonce::new(nonce));
        let client = known.client(&self.client_id, &self.client_secret, &self.redirect_uri);
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if wanted.fresh {
            // `max_age` makes the provider report when the user signed in there.
            request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO);
        } else if wanted.choice {
            request = request.add_prompt(CoreAuthPrompt::SelectAccount);
        }
        Ok(request.url().0)
    }

    /// Takes the sign-in of this `state`, if this browser began it a short time ago. Each is taken
    /// once.
    pub(crate) async fn take(
        &self,
        waiting: &Waiting,
        state: &str,
        browser: &Token,
    ) -> Result<Option<Attempt>, BackendError> {
        pending::take(waiting, state, browser, SystemTime::now()).await
    }

    /// Waits for a turn to call the provider.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let turn = tokio::time::timeout(LONGEST_TURN, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(Fault::Busy)
    }

    /// Redeems the code of a callback, and returns the user if the ID token is valid and the user
    /// may sign in.
    pub(crate) async fn finish(
        &self,
        callback: Callback,
        attempt: &Attempt,
    ) -> Result<Result<Person, NotAllowed>, Fault> {
        let known = self.known.current(self.discover()).await?;
        match callback.iss {
            Some(iss) if iss != *self.issuer => return Err(Fault::OtherIssuer(shown(&iss))),
            None if known.sends_issuer() => {
                return Err(Fault::OtherIssuer("`iss` is missing".to_owned()));
            }
            _ => {}
        }
        match callback.error.as_deref() {
            Some("access_denied") => return Err(Fault::Cancelled),
            Some(error) => return Err(Fault::Answered(shown(error))),
            None => {}
        }
        let code = callback.code.ok_or_else(|| Fault::Answered("no code".to_owned()))?;
        let _turn = self.turn().await?;
        let id_token = self.redeem(&known, code, attempt).await?;
        let claims = match token::verify(&self.verifier(&known), &id_token, &attempt.secrets.nonce)
        {
            Err(token::Invalid::UnknownKey) => {
                let newer = self.known.newer(&known, self.discover()).await;
                token::verify(&self.verifier(&newer), &id_token, &attempt.secrets.nonce)
            }
            verified => verified,
        };
        let claims = claims.map_err(|invalid| Fault::IdToken(shown(&invalid.to_string())))?;
        if attempt.begun.is_fresh && claims.signed_in_before(attempt.begun.at) {
            return Err(Fault::NotFresh);
        }
        Ok(self.rules.judge(&claims))
    }
}

/// Returns the first characters of a text of the provider for the log, as printable ASCII.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(300).map(plain).collect()
}

/// Returns the problem of a setting without a provider.
fn stray(settings: &ProviderSettings) -> Vec<ProviderError> {
    let given = [
        ("--provider-name", settings.provider_name.is_some()),
        ("--provider-client-id", settings.provider_client_id.is_some()),
        ("--provider-client-secret", settings.provider_client_secret.is_some()),
        ("--provider-everybody", settings.provider_everybody),
        ("--provider-domains", !settings.provider_domains.is_empty()),
        ("--provider-claims", !settings.provider_claims.is_empty()),
        ("--provider-subjects", !settings.provider_subjects.is_empty()),
        ("--provider-admin-subjects", !settings.provider_admin_subjects.is_empty()),
        ("--provider-admin-emails", !settings.provider_admin_emails.is_empty()),
        ("--provider-authority", settings.provider_authority.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(flag, _)| ProviderError::NoIssuer(flag)).take(1).collect()
}

/// Returns what is missing and what contradicts.
fn check(settings: &ProviderSettings) -> Vec<ProviderError> {
    let mut problems = Vec::new();
    if settings.provider_client_id.is_none() {
        problems.push(ProviderError::Missing("--provider-client-id"));
    }
    if settings.provider_client_secret.is_none() {
        problems.push(ProviderError::Missing(
            "--provider-client-secret or --provider-client-secret-file",
        ));
    }
    let rules = [
        ("--provider-domains", settings.provider_domains.is_empty()),
        ("--provider-claims", settings.provider_claims.is_empty()),
        ("--provider-subjects", settings.provider_subjects.is_empty()),
    ];
    let given: Vec<_> = rules.into_iter().filter(|(_, is_empty)| !is_empty).collect();
    match (settings.provider_everybody, given.first()) {
        (true, Some((flag, _))) => problems.push(ProviderError::Everybody(flag)),
        (false, None) => problems.push(ProviderError::Nobody),
        _ => {}
    }
    problems
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", &*self.issuer)
    }
}
