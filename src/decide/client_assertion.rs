//! A client proves itself by an assertion that it signed (`private_key_jwt`, RFC 7523 §2.2). The
//! lines are those of the table in `docs/decisions.md`, in their order: what costs nothing comes
//! first, then the key, then the signature, and last the mark that makes the assertion usable once.

use std::borrow::Cow;
use std::sync::Arc;

use super::context::Context;
use super::document::{DocumentState, NamedDocument};
use crate::client::{Client, ClientKeys, KeySource};
use crate::decision::SingleUse;
use crate::grant::KeyProof;
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

/// The note of an event about an assertion for the token endpoint that is refused or does not
/// suffice.
pub(super) const TOKEN_ENDPOINT_AUDIENCE: &str = "The aud is the token endpoint.";

/// What an assertion proved.
pub(super) struct AssertionProof {
    /// The name of the key.
    pub(super) kid: Option<Box<str>>,
    /// The strength of the proof, which depends on the audience of the assertion.
    pub(super) strength: KeyProof,
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
        let proved = keys.map_err(Unproved::from).and_then(|keys| self.prove_with(keys, rules));
        if matches!(&proved, Err(Unproved::Refused(..))) {
            self.equalize_timing(rules);
        }
        proved
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
                // The client may have lost the right to this audience meanwhile.
                let audience = jws.claims().as_claimed().sole_audience()?;
                let strength = self.audience_strength(audience, jws.header(), keys, rules);
                let strength = strength.unwrap_or(KeyProof::Weak);
                return Ok(AssertionProof { kid, strength, single_use });
            }
        }
        let (jti, end, strength) = self.check_claims(&jws, keys, rules)?;
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
        Ok(AssertionProof { kid, strength, single_use: self.single_use(jti, end) })
    }

    /// Checks what needs no key (KEYS-44 to KEYS-53). Returns the `jti`, the time from which the
    /// assertion is refused as expired, and how strong its proof is.
    fn check_claims<'j>(
        &self,
        jws: &'j Jws<'_>,
        keys: &ClientKeys,
        rules: &KeyRules,
    ) -> Result<(&'j str, Timestamp, KeyProof), Unproved> {
        let header = jws.header();
        let accepted = AcceptedTypes::CLIENT;
        let accepted = if rules.require_typ { accepted.typed_only() } else { accepted };
        header.check_type(accepted)?;
        let allowed = rules.algorithms.common(keys.algorithms()).ok_or(Fault::Algorithm)?;
        header.algorithm(allowed)?;
        let claims = jws.claims().as_claimed();
        if claims.iss()? != self.client_id {
            return Err(Fault::Issuer.into());
        }
        if claims.sub()? != self.client_id {
            return Err(Fault::Subject.into());
        }
        let strength = self.check_audience(claims, header, keys, rules)?;
        let times = TimeRules::new(rules.leeway, rules.longest);
        let end = claims.check_times(times, self.ctx.moment.assertion_now())?;
        Ok((claims.jti()?, end, strength))
    }

    /// Checks that the assertion is for this server and no other one (KEYS-48, KEYS-49). Returns
    /// how strong its proof is.
    fn check_audience(
        &self,
        claims: &Claims,
        header: &Header,
        keys: &ClientKeys,
        rules: &KeyRules,
    ) -> Result<KeyProof, Unproved> {
        let audience = claims.sole_audience()?;
        if let Some(strength) = self.audience_strength(audience, header, keys, rules) {
            return Ok(strength);
        }
        if audience != self.ctx.policy.token_endpoint() {
            return Err(Fault::Audience.into());
        }
        Err(Unproved::Refused(Reason::ClientAssertionAudience, Some(TOKEN_ENDPOINT_AUDIENCE)))
    }

    /// Returns how strong a proof for this audience is, or `None` if the audience is not accepted.
    ///
    /// Audience injection: a server of an attacker's can name this token endpoint as its own, and
    /// gets an assertion that is good here. So the endpoint is accepted only of a client that could
    /// as well send nothing, or that the operator has vouched for, and never in an assertion of the
    /// explicit type. If the operator allows this audience, the proof is strong. Otherwise it is
    /// weak, because that server may have sent it.
    fn audience_strength(
        &self,
        audience: &str,
        header: &Header,
        keys: &ClientKeys,
        rules: &KeyRules,
    ) -> Option<KeyProof> {
        let policy = self.ctx.policy;
        if is_issuer(audience, policy.issuer()) {
            return Some(KeyProof::Strong);
        }
        if audience != policy.token_endpoint() || !header.is_untyped() {
            return None;
        }
        let is_optional = self.client.is_ok_and(|client| !client.is_confidential());
        match rules.audience {
            AssertionAudience::Strict => None,
            AssertionAudience::TokenEndpointToo => Some(KeyProof::Strong),
            AssertionAudience::Balanced if keys.endpoint_audience() => Some(KeyProof::Strong),
            AssertionAudience::Balanced => is_optional.then_some(KeyProof::Weak),
        }
    }

    /// Returns the key of this header in the set at the URL. If there is no such key, a newer set
    /// is asked for, once.
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

    /// Reads the document of the client anew, which may have the key that the record lacks. Its
    /// keys serve once they are recorded. A document that cannot be read is recorded as asked for,
    /// so that unknown keys cause one fetch in 60 s (KEYS-38).
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

    /// Verifies the signature with a key that belongs to no client, unless it was verified with a
    /// key of the client. The duration then discloses neither whether the client exists and has
    /// keys, nor which fault an assertion has (KEYS-56).
    fn equalize_timing(&self, rules: &KeyRules) {
        if self.assertion.was_verified() {
            return;
        }
        let (Ok(jws), Some(verifier)) = (self.assertion.jws(), self.ctx.policy.verifier()) else {
            return;
        };
        // The header comes from a stranger, and may name any algorithm.
        let named = jws.header().algorithm(rules.algorithms).ok();
        if let Some(algorithm) = named.or_else(|| rules.algorithms.iter().next()) {
            jws.equalize_timing(algorithm, &self.assertion.verifier(verifier));
        }
    }
}

fn missing_key(fault: Fault, set: &FetchedKeys) -> Unproved {
    let note = set.is_private().then_some("The key set shows a private key.");
    Unproved::Refused(client_reason(fault), note)
}
