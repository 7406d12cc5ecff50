//! The assertion by which a client proves itself (RFC 7521 §4.2, RFC 7523 §2.2). Each byte of it is
//! a stranger's until its signature is verified.

use std::borrow::Cow;
use std::fmt;

use super::jwt_bearer::{Verification, VerifyOnce};
use super::parameters::Parameter;
use super::token::{Credentials, PresentedSecret};
use crate::jws::{Fault, Jws, Verify};
use crate::policy::Policy;
use crate::reason::Reason;

/// The only type of client assertions that is known.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The parameters of a client assertion, as they were sent.
#[derive(Default)]
pub(crate) struct AssertionParameters<'a> {
    pub(crate) kind: Parameter<'a>,
    pub(crate) assertion: Parameter<'a>,
}

/// A client assertion. Nothing of it is verified.
pub(crate) struct ClientAssertion<'a> {
    /// Whether its type is the only one that is known, that of a JWT.
    pub(crate) is_jwt: bool,
    text: Cow<'a, str>,
    limit: usize,
    verified: Verification,
}

impl<'a> AssertionParameters<'a> {
    /// Takes a parameter of the form if it is one of these.
    pub(crate) fn take(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "client_assertion_type" => self.kind.set(value),
            "client_assertion" => self.assertion.set(value),
            _ => {}
        }
    }

    /// Returns whether one of the parameters was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.kind.value.is_some() || self.assertion.value.is_some()
    }

    /// Reads the assertion. Returns `None` if there is none, or if client authentication by keys is
    /// off: the parameters are then unknown ones.
    ///
    /// # Errors
    /// One of the two parameters without the other one (KEYS-40).
    pub(crate) fn read(self, policy: &Policy) -> Result<Option<ClientAssertion<'a>>, Reason> {
        if policy.client_keys().is_none() {
            return Ok(None);
        }
        match (self.kind.value, self.assertion.value) {
            (None, None) => Ok(None),
            (Some(kind), Some(text)) => Ok(Some(ClientAssertion {
                is_jwt: kind == JWT_BEARER,
                text,
                limit: policy.limits().assertion_bytes,
                verified: Verification::default(),
            })),
            (Some(_), None) | (None, Some(_)) => Err(Reason::ClientAssertionIncomplete),
        }
    }
}

impl ClientAssertion<'_> {
    /// Parses the assertion.
    pub(crate) fn jws(&self) -> Result<Jws<'_>, Fault> {
        Jws::parse(&self.text, self.limit)
    }

    /// Returns the client that the assertion claims to be from, if it can be read (KEYS-43).
    pub(crate) fn claimed_client(&self) -> Option<String> {
        Some(self.jws().ok()?.claims().as_claimed().sub().ok()?.to_owned())
    }

    /// Returns whether the signature was verified, with any key.
    pub(crate) fn was_verified(&self) -> bool {
        self.verified.is_known()
    }

    /// Returns a verifier that verifies once.
    pub(crate) fn verifier<'v>(&'v self, verifier: &'v dyn Verify) -> VerifyOnce<'v> {
        self.verified.once(verifier)
    }
}

impl<'a> Credentials<'a> {
    /// Returns the credentials of an assertion. Its `sub` names the client, and `client_id` if it
    /// is sent must be the same (KEYS-43). If neither names one, no client is named: an empty id is
    /// unknown.
    pub(super) fn by_assertion(
        id: Option<Cow<'a, str>>,
        assertion: ClientAssertion<'a>,
    ) -> Result<Self, Reason> {
        let claimed = assertion.claimed_client();
        if let (Some(id), Some(claimed)) = (&id, &claimed) {
            if id != claimed {
                return Err(Reason::ClientAssertionClient);
            }
        }
        let id = id.or(claimed.map(Cow::Owned)).unwrap_or_default();
        Ok(Self { id, secret: PresentedSecret::Assertion(Box::new(assertion)) })
    }
}

/// Shows nothing of the assertion: a log with it would be a store of assertions (KEYS-62).
impl fmt::Debug for ClientAssertion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAssertion(redacted)")
    }
}

/// Returns the reason of a client whose assertion has this fault. All of them look alike outside
/// (KEYS-55).
pub(crate) fn client_reason(fault: Fault) -> Reason {
    match fault {
        Fault::Type => Reason::ClientAssertionTyp,
        Fault::Algorithm => Reason::ClientAssertionAlgorithm,
        Fault::Key => Reason::ClientAssertionKey,
        Fault::Signature => Reason::ClientAssertionSignature,
        Fault::Issuer => Reason::ClientAssertionIssuer,
        Fault::Subject => Reason::ClientAssertionSubject,
        Fault::Audience => Reason::ClientAssertionAudience,
        Fault::Expired => Reason::ClientAssertionExpired,
        Fault::Early => Reason::ClientAssertionEarly,
        Fault::LongLived => Reason::ClientAssertionLongLived,
        Fault::Jti => Reason::ClientAssertionJti,
        Fault::Replayed => Reason::ClientAssertionReplayed,
        // A client's assertion has no other claims that count.
        Fault::Malformed | Fault::Claim => Reason::ClientAssertionMalformed,
    }
}
