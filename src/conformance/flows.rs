//! The library's own races, end to end on the store: what comes of two requests at once that cannot
//! both win.

use std::collections::BTreeSet;
use std::fmt;

use super::harness::{Harness, at_once};
use super::keys::{Key, commit};
use super::law::works;
use super::records::{self, CALLBACK, CHALLENGE, VERIFIER, new_subject};
use super::{Law, Violation};
use crate::request::access::Needs;
use crate::request::authorization::User;
use crate::request::connection::RevokedBy;
use crate::request::consent::Choice;
use crate::request::parts::{Authorization, RequestParts};
use crate::response::authorization::AuthorizationStep;
use crate::response::reply::Reply;
use crate::server::AsyncServer;
use crate::value::text::Subject;

const ROUNDS: usize = 12;
const SESSION: &[u8] = b"a browser of the conformance kit";

/// A server on a handle of its own, and the steps of a flow on it.
pub(super) struct Host<'a, H: Harness> {
    harness: &'a H,
    server: AsyncServer<H::Store>,
}

/// A pair of tokens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Tokens of a test are no secrets of anybody's, but there is no use in showing them.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of tokens")
    }
}

/// What the token endpoint said: tokens, a refusal, or to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Tokens(Pair),
    Refused(String),
    Later,
}

impl Said {
    fn of(reply: &Reply) -> Result<Self, Violation> {
        let body: serde_json::Value =
            works("reading an answer", serde_json::from_str(&reply.body))?;
        let text = |name: &str| body.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(match (reply.status, text("access_token"), text("refresh_token")) {
            (200, Some(access), Some(refresh)) => Self::Tokens(Pair { access, refresh }),
            (503, ..) => Self::Later,
            _ => Self::Refused(text("error").unwrap_or_default()),
        })
    }
}

impl<'a, H: Harness> Host<'a, H> {
    /// On a new handle, with a replay window of so many seconds.
    pub(super) fn open(harness: &'a H, window: u64) -> Result<Self, Violation> {
        let server =
            AsyncServer::new(records::policy(window)?, harness.open()).without_rate_limit();
        Ok(Self { harness, server })
    }

    /// A user that nobody is, with an account.
    pub(super) fn new_user(&self) -> Result<Subject, Violation> {
        let subject = new_subject()?;
        self.harness.sign_up(self.server.store(), subject.as_str());
        Ok(subject)
    }

    /// Makes an account for the owner of a client.
    pub(super) fn sign_up_owner(&self, client: &Key) {
        if let Some(owner) = client.account() {
            self.harness.sign_up(self.server.store(), owner.as_str());
        }
    }

    fn user(subject: &Subject) -> User<'_> {
        User::new(subject.as_str(), SESSION)
    }

    /// The ticket of a consent page.
    pub(super) fn page(&self, client: &str, subject: &Subject) -> Result<String, Violation> {
        let query = format!(
            "response_type=code&client_id={client}&redirect_uri={CALLBACK}&code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let step = works(
            "authorize",
            self.harness.wait(self.server.authorize(&incoming, Some(Self::user(subject)))),
        )?;
        match step {
            Ok(AuthorizationStep::NeedsConsent(page)) => Ok(page.into_ticket()),
            Ok(_) => Err(Law::Works.broken("authorize brought no consent page")),
            Err(refusal) => Err(Law::Works
                .broken(format_args!("authorize was refused: {}", refusal.reason().name()))),
        }
    }

    /// Where the answer to a consent page leads; nothing if it was not taken.
    fn consent(
        &self,
        ticket: &str,
        subject: &Subject,
        choice: Choice<'_>,
    ) -> Result<Option<String>, Violation> {
        let answer = works(
            "consent",
            self.harness.wait(self.server.consent(ticket, Self::user(subject), choice)),
        )?;
        Ok(match answer {
            Ok(redirect) => Some(redirect.into_location()),
            Err(refusal) => {
                refusal.reply(self.server.policy()).header("location").map(str::to_owned)
            }
        })
    }

    /// A code, approved.
    pub(super) fn code(&self, client: &str, subject: &Subject) -> Result<String, Violation> {
        let ticket = self.page(client, subject)?;
        let location = self.consent(&ticket, subject, Choice::Allow)?.unwrap_or_default();
        code_in(&location).ok_or_else(|| Law::Works.broken("Allow brought no code"))
    }

    /// Posts a form, and says what was answered; an error if the store failed.
    pub(super) fn post(&self, form: &str) -> Result<Said, String> {
        let reply = self.harness.wait(self.server.token(&posted(form)));
        reply
            .map_err(|failure| format!("{:?}", failure.error))
            .and_then(|reply| Said::of(&reply).map_err(|error| error.to_string()))
    }

    pub(super) fn redeem(&self, client: &str, code: &str) -> Result<Said, Violation> {
        works("redeem", self.post(&redemption(client, code)))
    }

    pub(super) fn refresh(&self, client: &str, token: &str) -> Result<Said, Violation> {
        works("refresh", self.post(&refreshment(client, token)))
    }

    /// Gives a token back (RFC 7009). False if it was told to come back because others were faster.
    pub(super) fn revoke(&self, client: &str, token: &str) -> Result<bool, Violation> {
        let reply = works(
            "revoke",
            self.harness
                .wait(self.server.revoke(&posted(&format!("client_id={client}&token={token}")))),
        )?;
        Law::Works.holds(matches!(reply.status, 200 | 503), || {
            format!("a revocation was answered {}", reply.status)
        })?;
        Ok(reply.status == 200)
    }

    /// Ends all grants of a user. False as above.
    fn revoke_all(&self, subject: &Subject) -> Result<bool, Violation> {
        let revoke =
            self.server.revoke_user(subject.as_str(), RevokedBy::SecurityEvent("conformance"));
        Ok(works("revoke_user", self.harness.wait(revoke))?.is_ok())
    }

    /// Whether an access token works.
    pub(super) fn works(&self, access: &str) -> Result<bool, Violation> {
        let header = format!("Bearer {access}");
        let Some(resource) = self.server.policy().resources().first() else { return Ok(false) };
        let authorization = Authorization::One(header.as_bytes());
        let check = self.server.check(&authorization, Needs::of(resource));
        Ok(works("check", self.harness.wait(check))?.is_ok())
    }

    /// That these pairs work.
    fn all_alive(&self, client: &str, pairs: &BTreeSet<&Pair>) -> Result<(), Violation> {
        for pair in pairs {
            let lives = self.works(&pair.access)?
                && matches!(self.refresh(client, &pair.refresh)?, Said::Tokens(_));
            Law::OneSuccessor
                .holds(lives, || "the successor that retries came to is of no use".to_owned())?;
        }
        Ok(())
    }

    /// That none of these pairs is worth anything.
    fn all_dead(
        &self,
        law: Law,
        client: &str,
        pairs: &[&Pair],
        why: &str,
    ) -> Result<(), Violation> {
        // All access tokens first: a refresh token that is taken for a replay ends what was alive.
        for pair in pairs {
            law.holds(!self.works(&pair.access)?, || {
                format!("{why}, and an access token of it works")
            })?;
        }
        for pair in pairs {
            let said = self.refresh(client, &pair.refresh)?;
            law.holds(!matches!(said, Said::Tokens(_)), || {
                format!("{why}, and a refresh token of it yields tokens")
            })?;
        }
        Ok(())
    }
}

fn posted(form: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: Some(b"application/x-www-form-urlencoded"),
        body: form.as_bytes(),
        ..RequestParts::default()
    }
}

pub(super) fn redemption(client: &str, code: &str) -> String {
    format!(
        "grant_type=authorization_code&client_id={client}&redirect_uri={CALLBACK}&code={code}&code_verifier={VERIFIER}"
    )
}

pub(super) fn refreshment(client: &str, token: &str) -> String {
    format!("grant_type=refresh_token&client_id={client}&refresh_token={token}")
}

fn code_in(location: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    query.split('&').find_map(|part| part.strip_prefix("code=")).map(str::to_owned)
}

/// A client of the operator's that nobody has, stored.
pub(super) fn client_on<H: Harness>(harness: &H) -> Result<String, Violation> {
    let id = format!("conformance-{}", records::new_id()?);
    let client = works("the kit's own client", records::client(&id))?;
    harness.wait(commit(&harness.open(), &records::over(None, client)))?;
    Ok(id)
}

/// Goes through a flow for this client, to its first tokens.
pub(super) fn grant_of<H: Harness>(host: &Host<'_, H>, client: &Key) -> Result<(), Violation> {
    let Key::Client(client) = client else { return Ok(()) };
    let code = host.code(client.id().as_str(), &host.new_user()?)?;
    match host.redeem(client.id().as_str(), &code)? {
        Said::Tokens(_) => Ok(()),
        other => Err(Law::Works.broken(format_args!("a good code was answered {other:?}"))),
    }
}

/// What several hosts at once came to.
fn hosts<H: Harness>(
    harness: &H,
    count: usize,
    window: u64,
) -> Result<Vec<Host<'_, H>>, Violation> {
    (0..count).map(|_| Host::open(harness, window)).collect()
}

fn pairs(said: &[Said]) -> Vec<&Pair> {
    said.iter()
        .filter_map(|said| if let Said::Tokens(pair) = said { Some(pair) } else { None })
        .collect()
}

/// Of several redemptions of one code at once, one yields tokens, and the others end them (I6, I8).
///
/// # Errors
/// The first [`Violation`].
pub fn one_code_is_redeemed_once<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (client, hosts, witness) =
        (client_on(harness)?, hosts(harness, 4, 0)?, Host::open(harness, 0)?);
    for _ in 0..ROUNDS {
        let code = witness.code(&client, &witness.new_user()?)?;
        let said = at_once(&hosts, |host| host.redeem(&client, &code))?;
        let tokens = pairs(&said);
        Law::OneRedemption.holds(tokens.len() == 1, || {
            format!("{} redemptions of one code were answered {said:?}", hosts.len())
        })?;
        // With nobody refused there was no replay.
        if said.iter().any(|said| matches!(said, Said::Refused(_))) {
            witness.all_dead(Law::OneRedemption, &client, &tokens, "a code was replayed")?;
        }
    }
    Ok(())
}

/// Of several refreshes with one token at once, one yields its successor without a replay window,
/// and all yield the same one within it; there the family lives on (I10, I11, I14).
///
/// # Errors
/// The first [`Violation`].
pub fn one_refresh_token_has_one_successor<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    for window in [0, 600] {
        let (hosts, witness) = (hosts(harness, 4, window)?, Host::open(harness, window)?);
        for _ in 0..ROUNDS {
            let first = first_pair(&witness, &client)?;
            let said = at_once(&hosts, |host| host.refresh(&client, &first.refresh))?;
            let (tokens, told) = (pairs(&said), || {
                format!("window {window}: refreshes with one token were answered {said:?}")
            });
            let distinct: BTreeSet<_> = tokens.iter().copied().collect();
            Law::OneSuccessor.holds(distinct.len() == 1, told)?;
            if window == 0 {
                Law::OneSuccessor.holds(tokens.len() == 1, told)?;
                let all: Vec<_> = tokens.into_iter().chain([&first]).collect();
                witness.all_dead(Law::Revoked, &client, &all, "a refresh token was replayed")?;
            } else {
                let retried = said.iter().all(|said| matches!(said, Said::Tokens(_) | Said::Later));
                Law::OneSuccessor.holds(retried, told)?;
                witness.all_alive(&client, &distinct)?;
            }
        }
    }
    Ok(())
}

fn first_pair<H: Harness>(host: &Host<'_, H>, client: &str) -> Result<Pair, Violation> {
    let code = host.code(client, &host.new_user()?)?;
    match host.redeem(client, &code)? {
        Said::Tokens(pair) => Ok(pair),
        other => Err(Law::Works.broken(format_args!("a good code was answered {other:?}"))),
    }
}

/// Once a revocation is acknowledged no token of the grant works at any handle, those that were
/// made at the same moment included: by the client and by an administrator (I12, I19).
///
/// # Errors
/// The first [`Violation`].
pub fn revoked_stays_revoked<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    for window in [0, 600] {
        let (hosts, witness) = (hosts(harness, 5, window)?, Host::open(harness, window)?);
        for round in 0..ROUNDS {
            revoked(&hosts, &witness, &client, round % 3 < 2)?;
        }
    }
    Ok(())
}

/// One revocation, by the client or of all that the user has, with refreshes at the same moment.
fn revoked<H: Harness>(
    hosts: &[Host<'_, H>],
    witness: &Host<'_, H>,
    client: &str,
    by_client: bool,
) -> Result<(), Violation> {
    let subject = witness.new_user()?;
    let code = witness.code(client, &subject)?;
    let Said::Tokens(first) = witness.redeem(client, &code)? else {
        return Err(Law::Works.broken("a good code brought no tokens"));
    };
    // Read by all before, so that what is cached is.
    for host in hosts {
        let told = || "an access token does not work right after it was issued".to_owned();
        Law::Fresh.holds(host.works(&first.access)?, told)?;
    }
    let revoke = |host: &Host<'_, H>| {
        if by_client { host.revoke(client, &first.refresh) } else { host.revoke_all(&subject) }
    };
    let said = at_once(hosts.iter().enumerate(), |(at, host)| match at {
        0 => revoke(host).map(|acknowledged| if acknowledged { None } else { Some(Said::Later) }),
        _ => host.refresh(client, &first.refresh).map(Some),
    })?;
    if said.first().is_some_and(Option::is_some) {
        // With nobody in its way now.
        let told = || "a revocation with nobody in its way was told to come back".to_owned();
        Law::Progress.holds(revoke(witness)?, told)?;
    }
    let said: Vec<_> = said.into_iter().flatten().collect();
    let all: Vec<_> = pairs(&said).into_iter().chain([&first]).collect();
    for host in hosts.iter().chain([witness]) {
        host.all_dead(Law::Revoked, client, &all, "a revocation was acknowledged")?;
    }
    Ok(())
}

/// Of Allow and Deny at once one counts, and after a denial there is no code (I3).
///
/// # Errors
/// The first [`Violation`].
pub fn approve_or_deny<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (client, hosts, witness) =
        (client_on(harness)?, hosts(harness, 4, 0)?, Host::open(harness, 0)?);
    for _ in 0..ROUNDS {
        let subject = witness.new_user()?;
        let ticket = witness.page(&client, &subject)?;
        let locations = at_once(hosts.iter().enumerate(), |(at, host)| {
            host.consent(&ticket, &subject, if at % 2 == 0 { Choice::Allow } else { Choice::Deny })
        })?;
        let locations: Vec<_> = locations.into_iter().flatten().collect();
        let codes: BTreeSet<_> =
            locations.iter().filter_map(|location| code_in(location)).collect();
        let denied = locations.iter().any(|location| location.contains("error=access_denied"));
        let told =
            || format!("Allow and Deny at once gave {} codes, and a denial: {denied}", codes.len());
        Law::OneAnswer.holds(codes.len() <= 1 && codes.is_empty() == denied, told)?;
        for code in &codes {
            let said = witness.redeem(&client, code)?;
            Law::OneAnswer.holds(matches!(said, Said::Tokens(_)), || {
                format!("a code that was given was answered {said:?}")
            })?;
        }
    }
    Ok(())
}
