//! redeem: a code is exchanged for tokens, once (OAuth 2.1 §4.1.3). A second redemption by the
//! right client, with the right redirect URI and verifier, revokes the grant.

use super::context::Context;
use super::terms::narrowed_resources;
use crate::client::Client;
use crate::decision::{Allowed, Decision};
use crate::event::EventKind;
use crate::grant::{Active, Grant, IssuedCode, Minted, Phase, RedeemedCode, RevocationCause};
use crate::moment::Timestamp;
use crate::policy::TokenRedirectUri;
use crate::reason::Reason;
use crate::record::{Stored, Write};
use crate::refusal::Fault;
use crate::request::token::CodeExchange;
use crate::response::token::{NewTokens, Tokens};
use crate::value::pkce::{CodeChallenge, CodeVerifier};
use crate::value::scope::Subset;
use crate::value::secret::Digest;

impl CodeExchange<'_> {
    pub(super) fn redeem(&self, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let Some(stored) = &ctx.loaded.grant else { return ctx.refuse(Reason::CodeUnknown) };
        // A clock that stepped back revives no code that a write has seen expired (I23).
        let now = stored.record.now(ctx.moment.now);
        let presented = PresentedCode { request: self, client, stored, ctx, now };
        match stored.record.phase() {
            Phase::ConsentPending(_) => ctx.refuse(Reason::CodeUnknown),
            Phase::CodeIssued(issued) => {
                match presented.check_owner(&issued.code_digest, issued.code_challenge()) {
                    Ok(()) => presented.issue_tokens(issued),
                    Err(reason) => ctx.refuse(reason),
                }
            }
            Phase::Active(active) => {
                // A grant that was issued without a code has none to redeem.
                let Some(code) = active.code() else { return ctx.refuse(Reason::CodeUnknown) };
                let owner = presented.check_owner(&code.digest, &code.code_challenge);
                match owner.and_then(|()| ctx.check_key_proof(code)) {
                    Ok(()) => presented.answer_second_use(active, code),
                    Err(reason) => ctx.refuse(reason),
                }
            }
            Phase::Revoked(_) => ctx.refuse(Reason::GrantRevoked),
        }
    }
}

/// A code that names a grant, presented by an authenticated client.
struct PresentedCode<'a> {
    request: &'a CodeExchange<'a>,
    client: &'a Client,
    stored: &'a Stored<Grant>,
    ctx: &'a Context<'a>,
    /// By the record's time.
    now: Timestamp,
}

impl PresentedCode<'_> {
    /// Checks that the code belongs to the grant and that this client may redeem it: client,
    /// redirect URI and verifier (OAuth 2.1 §4.1.3).
    ///
    /// An attempt that fails here writes nothing, whether the code was redeemed or not. A thief who
    /// has only the code could otherwise revoke the grant (OAuth 2.1 §7.5.2).
    fn check_owner(&self, code: &Digest, challenge: &CodeChallenge) -> Result<(), Reason> {
        let terms = self.grant().terms();
        if !self.request.code.secret.digest().matches(code) {
            return Err(Reason::CodeUnknown);
        }
        if self.client.id() != &terms.client_id {
            return Err(Reason::CodeClientMismatch);
        }
        match &self.request.redirect_uri {
            Some(uri) if terms.redirect_uri().is_none_or(|own| uri != own.as_str()) => {
                return Err(Reason::TokenRedirectUriMismatch);
            }
            None if terms.redirect_uri_sent()
                && self.ctx.policy.token_redirect_uri() == TokenRedirectUri::RequiredIfSent =>
            {
                return Err(Reason::TokenRedirectUriMissing);
            }
            Some(_) | None => {}
        }
        // Code injection: a code that was injected into another session fails here, because that
        // session has another verifier (OAuth 2.1 §7.5.1).
        match CodeVerifier::parse(&self.request.verifier) {
            Some(verifier) if challenge.verify(&verifier) => Ok(()),
            // A challenge is itself a well-formed verifier: the most common mistake of a client.
            _ if challenge.is(&self.request.verifier) => Err(Reason::VerifierIsChallenge),
            Some(_) => Err(Reason::VerifierMismatch),
            None => Err(Reason::VerifierMalformed),
        }
    }

    /// Redeems a code that was not redeemed before.
    fn issue_tokens(&self, issued: &IssuedCode) -> Decision<Tokens> {
        let resources = match self.check_code(issued) {
            Ok(resources) => resources,
            Err(fault) => return self.ctx.refuse(fault),
        };
        let entropy = &self.ctx.moment.entropy;
        let lifetimes = self.ctx.policy.lifetimes_of(self.client);
        let minted = Minted {
            refresh: entropy.refresh_secret().digest(),
            access: entropy.access_secret().digest(),
            scope: Subset::ALL,
            resources,
            lifetimes,
            proof: self.ctx.key_proof(),
        };
        let family = entropy.secret().digest();
        let refreshes = self.client.grant_types().refresh_token;
        let next = self.grant().redeemed(issued, family, &minted, refreshes, self.now);
        // Usually `None`: the approval renewed the client. Lifetimes may have grown since.
        if let Some(renewal) = self.ctx.client_renewal(next.last_use()) {
            return self.ctx.prepare(renewal);
        }
        let expires = self.now.after(lifetimes.access()).min(self.grant().expires());
        let tokens = self.tokens(Subset::ALL, expires.seconds_from(self.now));
        self.ctx.allow_all(Allowed {
            kind: EventKind::CodeRedeemed,
            response: tokens,
            write: Some(Write::grant(Some(self.stored), next)),
            redirects_at_once: None,
            detail: None,
        })
    }

    /// Answers a second use of a redeemed code. If an earlier attempt of this request redeemed it,
    /// returns the same tokens. Otherwise refuses the request and revokes the grant, even after the
    /// code has expired.
    fn answer_second_use(&self, active: &Active, code: &RedeemedCode) -> Decision<Tokens> {
        let entropy = &self.ctx.moment.entropy;
        if code.refresh_family.current_digest.matches(&entropy.refresh_secret().digest()) {
            // Lost response of the store: an earlier attempt of this request redeemed the code, and
            // the record has its answer (I17).
            return match active.find(&entropy.access_secret().digest()) {
                Some(entry) => self.answer_again(entry.scope, entry.expires),
                // The access token has expired or made room for others; the refresh token is valid.
                None => self.answer_again(Subset::ALL, self.now),
            };
        }
        // Replay: one of the two redemptions may be a thief's, and it is not known which (OAuth 2.1
        // §4.1.3, §7.5.2). Two requests at once end here too (CODE-07).
        let revoked = self.grant().revoked(RevocationCause::Replay, self.now);
        self.ctx.refuse(Reason::CodeReused).writing(Write::grant(Some(self.stored), revoked))
    }

    fn answer_again(&self, scope: Subset, expires: Timestamp) -> Decision<Tokens> {
        // A 200 never has an `expires_in` of 0 (CLOCK-05).
        let expires_in = expires.seconds_from(self.now).max(1);
        self.ctx.allow(EventKind::CodeRedeemed, self.tokens(scope, expires_in))
    }

    /// Checks that the code and its grant have not ended and that no account is suspended. Returns
    /// the resources that the tokens are for.
    fn check_code(&self, issued: &IssuedCode) -> Result<Subset, Fault> {
        if self.now >= issued.expires || self.now >= self.grant().expires() {
            return Err(Reason::CodeExpired.into());
        }
        if !self.ctx.loaded.epochs_match(self.grant()) {
            return Err(Reason::GrantEnded.into());
        }
        self.check_memory()?;
        self.ctx.check_accounts()?;
        let requested = &self.request.resources;
        narrowed_resources(requested, Subset::ALL, self.grant().terms(), self.ctx.policy)
    }

    /// Checks that the earlier grant is alive whose consent page the code relies on, if there is
    /// one: its end after the code was issued ends the code as well (I55).
    fn check_memory(&self) -> Result<(), Reason> {
        let Some(earlier) = self.grant().relies_on() else { return Ok(()) };
        let found = self.ctx.loaded.remembered(earlier);
        let is_active = found.is_some_and(|grant| matches!(grant.phase(), Phase::Active(_)));
        if is_active { Ok(()) } else { Err(Reason::GrantEnded) }
    }

    /// Returns the tokens that this request mints.
    fn tokens(&self, scope: Subset, expires_in: u64) -> Tokens {
        let entropy = &self.ctx.moment.entropy;
        let (family, current) = (entropy.secret(), entropy.refresh_secret());
        let refreshes = self.client.grant_types().refresh_token;
        NewTokens {
            grant: self.grant().id(),
            access: &entropy.access_secret(),
            refresh: refreshes.then_some((&family, &current)),
            expires_in,
            scope,
        }
        .written(self.grant().terms())
    }

    fn grant(&self) -> &Grant {
        &self.stored.record
    }
}
