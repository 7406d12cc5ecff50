//! A server on a handle of its own, and the steps of a flow on it.

use std::collections::BTreeSet;
use std::fmt;

use super::harness::Harness;
use super::keys::commit;
use super::law::works;
use super::records::{self, CALLBACK, CHALLENGE, VERIFIER};
use super::{Law, Violation};
use crate::account::AlwaysActive;
use crate::request::authorization::User;
use crate::request::connection::RevokedBy;
use crate::request::consent::Choice;
use crate::request::parts::{Authorization, ContentType, RequestParts};
use crate::response::authorization::AuthorizationStep;
use crate::response::reply::Reply;
use crate::server::{Error, Server};
use crate::store::AccountSource;

const SESSION: &[u8] = b"a browser of the conformance suite";

/// A server on a handle of its own.
pub(super) struct Host<'a, H: Harness, A = AlwaysActive> {
    harness: &'a H,
    server: Server<H::Store, A>,
}

/// A pair of tokens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of tokens")
    }
}

/// The answer of the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Tokens(Pair),
    Refused(String),
    /// 503: the request may be sent again.
    Unavailable,
}

impl Answer {
    fn of(reply: &Reply) -> Result<Self, Violation> {
        let body: serde_json::Value =
            works("reading an answer", serde_json::from_str(&reply.body))?;
        let text = |name: &str| body.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(match (reply.status, text("access_token"), text("refresh_token")) {
            (200, Some(access), Some(refresh)) => Self::Tokens(Pair { access, refresh }),
            (503, ..) => Self::Unavailable,
            _ => Self::Refused(text("error").unwrap_or_default()),
        })
    }

    /// Returns the tokens among these answers.
    pub(super) fn pairs(answers: &[Self]) -> Vec<&Pair> {
        answers
            .iter()
            .filter_map(|answer| if let Self::Tokens(pair) = answer { Some(pair) } else { None })
            .collect()
    }
}

impl<'a, H: Harness> Host<'a, H> {
    /// Opens a server whose accounts are always active, with a replay window of so many seconds.
    pub(super) fn open(harness: &'a H, window: u64) -> Result<Self, Violation> {
        Self::with_accounts(harness, window, AlwaysActive)
    }

    /// Opens several of them.
    pub(super) fn open_many(
        harness: &'a H,
        count: usize,
        window: u64,
    ) -> Result<Vec<Self>, Violation> {
        (0..count).map(|_| Self::open(harness, window)).collect()
    }
}

impl<'a, H: Harness, A: AccountSource<H::Store>> Host<'a, H, A> {
    pub(super) fn with_accounts(
        harness: &'a H,
        window: u64,
        accounts: A,
    ) -> Result<Self, Violation> {
        let server = Server::new(records::policy(window)?, harness.open(), accounts);
        Ok(Self { harness, server: server.without_rate_limit() })
    }

    pub(super) fn harness(&self) -> &'a H {
        self.harness
    }

    pub(super) fn store(&self) -> &H::Store {
        self.server.store()
    }

    /// Opens a consent page and returns its ticket.
    pub(super) fn page(&self, client: &str, subject: &str) -> Result<String, Violation> {
        let query = format!(
            "response_type=code&client_id={client}&redirect_uri={CALLBACK}\
             &code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let request =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let user = works("User::new", User::new(subject, SESSION))?;
        let step = self.harness.wait(self.server.authorize(&request, Some(user)));
        match works("authorize", refused(step))? {
            Ok(AuthorizationStep::NeedsConsent(page)) => Ok(page.ticket()),
            Ok(_) => Err(Law::Works.broken("authorize returned no consent page")),
            Err(error) => Err(Law::Works.broken(format_args!("authorize was refused: {error}"))),
        }
    }

    /// Answers a consent page, and returns where the response leads. Returns `None` if the answer
    /// was not accepted.
    pub(super) fn consent(
        &self,
        ticket: &str,
        subject: &str,
        choice: Choice<'_>,
    ) -> Result<Option<String>, Violation> {
        let user = works("User::new", User::new(subject, SESSION))?;
        let redirect = self.harness.wait(self.server.consent(ticket, user, choice));
        Ok(match works("consent", refused(redirect))? {
            Ok(redirect) => Some(redirect.into_location()),
            Err(error) => error.reply(self.server.policy()).header("location").map(str::to_owned),
        })
    }

    /// Goes through a flow to its code.
    pub(super) fn code(&self, client: &str, subject: &str) -> Result<String, Violation> {
        let ticket = self.page(client, subject)?;
        let location = self.consent(&ticket, subject, Choice::Allow)?.unwrap_or_default();
        code_in(&location).ok_or_else(|| Law::Works.broken("Allow yielded no code"))
    }

    /// Goes through a flow to its first tokens.
    pub(super) fn first_pair(&self, client: &str, subject: &str) -> Result<Pair, Violation> {
        let code = self.code(client, subject)?;
        match self.redeem(client, &code)? {
            Answer::Tokens(pair) => Ok(pair),
            other => Err(Law::Works.broken(format_args!("a good code was answered {other:?}"))),
        }
    }

    pub(super) fn redeem(&self, client: &str, code: &str) -> Result<Answer, Violation> {
        let form = format!(
            "grant_type=authorization_code&client_id={client}&redirect_uri={CALLBACK}\
             &code={code}&code_verifier={VERIFIER}"
        );
        self.token("a redemption", &form)
    }

    pub(super) fn refresh(&self, client: &str, token: &str) -> Result<Answer, Violation> {
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        self.token("a refresh", &form)
    }

    fn token(&self, call: &str, form: &str) -> Result<Answer, Violation> {
        let reply = self.harness.wait(self.server.token(&posted(form)));
        Answer::of(&self.reply(call, reply)?)
    }

    /// Revokes a token (RFC 7009). Returns `false` if the request may be sent again.
    pub(super) fn revoke(&self, client: &str, token: &str) -> Result<bool, Violation> {
        let form = format!("client_id={client}&token={token}");
        let reply = self.harness.wait(self.server.revoke(&posted(&form)));
        let reply = self.reply("a revocation", reply)?;
        Law::Works.holds(matches!(reply.status, 200 | 503), || {
            format!("a revocation was answered {}", reply.status)
        })?;
        Ok(reply.status == 200)
    }

    /// Revokes all grants of a user. Returns `false` if some remain.
    pub(super) fn revoke_user(&self, subject: &str) -> Result<bool, Violation> {
        let revoke = self.server.revoke_user(subject, RevokedBy::SecurityEvent("conformance"));
        let revoked = works("revoke_user", refused(self.harness.wait(revoke)))?;
        Ok(revoked.is_ok_and(|revoked| revoked.is_complete()))
    }

    /// Returns whether an access token works.
    pub(super) fn works(&self, access: &str) -> Result<bool, Violation> {
        let header = format!("Bearer {access}");
        let Some(resource) = self.server.policy().resources().first() else { return Ok(false) };
        let authorization = Authorization::One(header.as_bytes());
        let needs = self.server.policy().needs(resource.identifier(), "");
        let needs = works("Policy::needs", needs)?;
        let check = self.server.check(&authorization, &needs);
        Ok(works("check", refused(self.harness.wait(check)))?.is_ok())
    }

    /// Checks that these pairs work.
    pub(super) fn all_alive(&self, client: &str, pairs: &BTreeSet<&Pair>) -> Result<(), Violation> {
        for pair in pairs {
            let is_alive = self.works(&pair.access)?
                && matches!(self.refresh(client, &pair.refresh)?, Answer::Tokens(_));
            Law::OneSuccessor
                .holds(is_alive, || "the successor that retries received is dead".to_owned())?;
        }
        Ok(())
    }

    /// Checks that no token of these pairs works.
    pub(super) fn all_dead(
        &self,
        law: Law,
        client: &str,
        pairs: &[&Pair],
        why: &str,
    ) -> Result<(), Violation> {
        // All access tokens first: a refresh token that is taken for a replay revokes its family.
        for pair in pairs {
            law.holds(!self.works(&pair.access)?, || {
                format!("{why}, and an access token of the grant works")
            })?;
        }
        for pair in pairs {
            let answer = self.refresh(client, &pair.refresh)?;
            law.holds(!matches!(answer, Answer::Tokens(_)), || {
                format!("{why}, and a refresh token of the grant yields tokens")
            })?;
        }
        Ok(())
    }

    /// Returns the response to send, or a violation if the store failed.
    fn reply(
        &self,
        call: &str,
        reply: Result<Reply, Error<<H::Store as crate::Store>::Error>>,
    ) -> Result<Reply, Violation> {
        let reply = works(call, refused(reply))?;
        Ok(reply.unwrap_or_else(|error| error.reply(self.server.policy())))
    }
}

/// Keeps a failure of the store apart from a refusal.
fn refused<T, E>(
    result: Result<T, Error<E>>,
) -> Result<Result<T, crate::Refusal>, crate::store::FailureCause<E>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(Error::Failed(failure)) => Err(failure.cause),
    }
}

fn posted(form: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: form.as_bytes(),
        ..RequestParts::default()
    }
}

pub(super) fn code_in(location: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    query.split('&').find_map(|part| part.strip_prefix("code=")).map(str::to_owned)
}

/// Stores a new client of the operator's and returns its id.
pub(super) fn client_on<H: Harness>(harness: &H) -> Result<String, Violation> {
    let id = format!("conformance-{}", records::new_id()?);
    let client = works("building a client", records::client(&id))?;
    harness.wait(commit(&harness.open(), &records::over(None, client)))?;
    Ok(id)
}
