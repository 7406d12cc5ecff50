//! A client proves itself by an assertion that it signed (`private_key_jwt`, RFC 7523 §2.2). The
//! lines are those of the table in `docs/decisions.md`, in their order: what costs nothing comes
//! first, then the key, then the signature, and last the mark that makes the assertion usable once.

use std::borrow::Cow;
use std::sync::Arc;

use super::context::Context;
use super::document::{DocumentState, NamedDocument};
use crate::client::{Client, ClientKeys, KeySource};
use crate::decision::SingleUse;
use crate::jws::{
    AcceptedTypes, Claims, Fault, FetchedKeys, Generation, Header, Jws, KeysUrl, PublicKey,
    TimeRules, Verified, is_issuer,
};
use crate::moment::Timestamp;
use crate::outside::{KeysAnswer, KeysRequest, Need};
use crate::policy::{AssertionAudience, KeyRules};
use crate::reason::Reason;
use crate::record::Write;
use crate::request::client_assertion::{ClientAssertion, client_reason};
use crate::value::seen_key::AssertionUse;
use crate::value::text::log_text;

/// What an assertion proved.
pub(super) struct AssertionProof {
    /// The name of the key.
    pub(super) kid: Option<Box<str>>,
    /// The mark that every outcome waits for.
    pub(super) single_use: SingleUse,
}

/// Why an assertion proves nothing (yet).
pub(super) enum Unproved {
    /// It is refused. The note is for the event alone.
    Refused(Reason, Option<&'static str>),
    /// The host must fetch the keys or the document first.
    Needs(Box<Need>),
    /// What was read of the client's document must be recorded first.
    Prepares(Box<Write>),
}

impl From<Fault> for Unproved {
    fn from(fault: Fault) -> Self {
        Self::Refused(client_reason(fault), None)
    }
}

impl From<Reason> for Unproved {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason, None)
    }
}

/// An assertion that is checked against the rules and, if it is one of this server's, the client.
pub(super) struct Presented<'a> {
    pub(super) assertion: &'a ClientAssertion<'a>,
    /// The `client_id` that the request claims.
    pub(super) client_id: &'a str,
    /// The client that is served, or why none is.
    pub(super) client: Result<&'a Client, Reason>,
    pub(super) ctx: &'a Context<'a>,
}

impl Presented<'_> {
    /// Checks the assertion.
    pub(super) fn prove(&self) -> Result<AssertionProof, Unproved> {
        if !self.assertion.is_jwt {
            return Err(Reason::ClientAssertionType.into());
        }
        let Some(rules) = self.ctx.policy.client_keys() else {
            return Err(Reason::ClientAssertionUnexpected.into());
        };
        let keys =
            self.client.and_then(|client| client.keys().ok_or(Reason::ClientAssertionUnexpected));
        match keys {
            Ok(keys) => self.prove_with(keys, rules),
            Err(reason) => {
                self.equalize_timing(rules);
                Err(reason.into())
            }
        }
    }

    fn prove_with(&self, keys: &ClientKeys, rules: &KeyRules) -> Result<AssertionProof, Unproved> {
        let jws = self.assertion.jws()?;
        let moment = self.ctx.moment;
        let kid = jws.header().kid().map(log_text);
        if moment.is_retry {
            // The proof was given, and the main write was tried on it: it stays given. Judged
            // again, a request would lose its own commit because its assertion has ended meanwhile.
            let jti = jws.claims().as_claimed().jti()?;
            let single_use = self.single_use(jti, moment.now);
            if single_use.is_own(moment) {
                return Ok(AssertionProof { kid, single_use });
            }
        }
        let (jti, end) = self.check_claims(&jws, Some(keys), rules)?;
        let allowed = rules.algorithms.common(keys.algorithms()).ok_or(Fault::Algorithm)?;
        let key = match keys.source() {
            KeySource::Inline(set) => match set.select(jws.header(), allowed) {
                Err(Fault::Key) => return Err(self.read_newer_document()),
                selected => Cow::Borrowed(selected?),
            },
            KeySource::At(url) => {
                Cow::Owned(self.select_fetched(url, jws.header(), keys, rules)?)
            }
        };
        let verifier = self.ctx.policy.verifier().ok_or(Fault::Signature)?;
        let _: Verified<&Claims> = jws.verify(&key, &self.assertion.verifier(verifier))?;
        Ok(AssertionProof { kid, single_use: self.single_use(jti, end) })
    }

    /// Checks what needs no key (KEYS-44 to KEYS-53). Returns the `jti`, and the time from which
    /// the assertion is refused as expired.
    fn check_claims<'j>(
        &self,
        jws: &'j Jws<'_>,
        keys: Option<&ClientKeys>,
        rules: &KeyRules,
    ) -> Result<(&'j str, Timestamp), Unproved> {
        let header = jws.header();
        let accepted = AcceptedTypes::CLIENT;
        let accepted = if rules.require_typ { accepted.typed_only() } else { accepted };
        header.check_type(accepted)?;
        let named = keys.map_or(rules.algorithms, ClientKeys::algorithms);
        let allowed = rules.algorithms.common(named).ok_or(Fault::Algorithm)?;
        header.algorithm(allowed)?;
        let claims = jws.claims().as_claimed();
        if claims.iss()? != self.client_id {
            return Err(Fault::Issuer.into());
        }
        if claims.sub()? != self.client_id {
            return Err(Fault::Subject.into());
        }
        self.check_audience(claims, header, keys, rules)?;
        let times = TimeRules::new(rules.leeway, rules.longest);
        let end = claims.check_times(times, self.ctx.moment.assertion_now())?;
        Ok((claims.jti()?, end))
    }

    /// Checks that the assertion is for this server and no other one (KEYS-48, KEYS-49).
    ///
    /// Audience injection: a server of an attacker's can name this token endpoint as its own, and
    /// gets an assertion that is good here. So the endpoint is accepted only of a client that could
    /// as well send nothing, or that the operator has vouched for, and never in an assertion of the
    /// explicit type.
    fn check_audience(
        &self,
        claims: &Claims,
        header: &Header,
        keys: Option<&ClientKeys>,
        rules: &KeyRules,
    ) -> Result<(), Unproved> {
        let policy = self.ctx.policy;
        let audience = claims.sole_audience()?;
        if is_issuer(audience, policy.issuer()) {
            return Ok(());
        }
        if audience != policy.token_endpoint() {
            return Err(Fault::Audience.into());
        }
        let is_optional = self.client.is_ok_and(|client| !client.is_confidential());
        let is_allowed = match rules.audience {
            AssertionAudience::Strict => false,
            AssertionAudience::TokenEndpointToo => true,
            AssertionAudience::Balanced => {
                is_optional || keys.is_some_and(ClientKeys::endpoint_audience)
            }
        };
        if is_allowed && header.is_untyped() {
            return Ok(());
        }
        Err(Unproved::Refused(
            Reason::ClientAssertionAudience,
            Some("The aud is the token endpoint."),
        ))
    }

    /// Returns the key of this header in the set at the URL. If there is no such key, a newer set is
    /// asked for, once.
    fn select_fetched(
        &self,
        url: &KeysUrl,
        header: &Header,
        keys: &ClientKeys,
        rules: &KeyRules,
    ) -> Result<PublicKey, Unproved> {
        let allowed = rules.algorithms.common(keys.algorithms()).ok_or(Fault::Algorithm)?;
        let select = |set: &FetchedKeys| set.select(header, allowed, keys.preferred());
        let (set, generation) = match self.fetched(url, None, rules)? {
            KeysAnswer::Set(set, generation) => (set, *generation),
            KeysAnswer::Unavailable | KeysAnswer::Current => {
                return Err(Reason::KeysUnreachable.into());
            }
        };
        match select(set) {
            Err(Fault::Key) => {}
            selected => return Ok(selected?),
        }
        // The client may have new keys: a newer set is asked for, once.
        match self.fetched(url, Some(generation), rules)? {
            KeysAnswer::Set(newer, _) => select(newer).map_err(|fault| missing_key(fault, newer)),
            KeysAnswer::Current => Err(missing_key(Fault::Key, set)),
            // The key may be in a set that could not be fetched (KEYS-36).
            KeysAnswer::Unavailable => Err(Reason::KeysUnreachable.into()),
        }
    }

    /// Reads the document of the client anew, which may have the key that the record lacks. Its keys
    /// serve once they are recorded. A document that cannot be read is recorded as asked for, so
    /// that unknown keys cause one fetch in 60 s (KEYS-38).
    fn read_newer_document(&self) -> Unproved {
        let ctx = self.ctx;
        let missing = Unproved::from(Fault::Key);
        let (Some(rules), Ok(client)) = (ctx.policy.client_documents(), self.client) else {
            return missing;
        };
        if !client.may_have_newer_document(ctx.moment.now) {
            return missing;
        }
        let document = NamedDocument::answered(self.client_id, &ctx.loaded.answers);
        let next = match document.resolve(rules, ctx) {
            Ok(DocumentState::Unfetched(request)) => {
                return Unproved::Needs(Box::new(Need::Document(request)));
            }
            Ok(DocumentState::Recorded(_)) => return missing,
            Ok(DocumentState::Unrecorded(described)) => described,
            Err(fault) if fault.reason == Reason::DocumentsBusy => {
                return Reason::KeysUnreachable.into();
            }
            Err(_) => Arc::new(client.asked_for_document(ctx.moment.now)),
        };
        Unproved::Prepares(Box::new(Write::client(ctx.loaded.client_of(self.client_id), next)))
    }

    /// Returns what the host answered about the set at this URL.
    fn fetched(
        &self,
        url: &KeysUrl,
        newer_than: Option<Generation>,
        rules: &KeyRules,
    ) -> Result<&KeysAnswer, Unproved> {
        let request = KeysRequest::of_client(url, newer_than, rules.allow_loopback);
        let answer = self.ctx.loaded.answers.keys(&request);
        answer.ok_or_else(|| Unproved::Needs(Box::new(Need::Keys(request))))
    }

    /// Names the single use of the assertion, which ends at this time.
    fn single_use(&self, jti: &str, end: Timestamp) -> SingleUse {
        let issuer = self.ctx.policy.issuer();
        let replayed = Reason::ClientAssertionReplayed;
        SingleUse::new(issuer, AssertionUse::Client, self.client_id, jti, end, replayed)
    }

    /// Verifies the signature with a key of no client, so that the duration does not disclose
    /// whether the client exists and has keys (KEYS-56). It does so for an assertion that would get
    /// as far if the client were known.
    fn equalize_timing(&self, rules: &KeyRules) {
        let Ok(jws) = self.assertion.jws() else { return };
        let Ok(algorithm) = jws.header().algorithm(rules.algorithms) else { return };
        if self.check_claims(&jws, None, rules).is_ok() {
            if let Some(verifier) = self.ctx.policy.verifier() {
                jws.equalize_timing(algorithm, verifier);
            }
        }
    }
}

fn missing_key(fault: Fault, set: &FetchedKeys) -> Unproved {
    let note = set.is_private().then_some("The key set shows a private key.");
    Unproved::Refused(client_reason(fault), note)
}
