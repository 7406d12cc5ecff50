//! The compact serialization (RFC 7515 §3.1), and nothing else: no JSON serialization, no
//! encryption, no unencoded payload.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::algorithm::{Algorithm, Algorithms};
use super::base64url::decode;
use super::claims::{Claims, Unverified};
use super::fault::{Fault, Shown};
use super::json::{Object, read_object};

/// The longest header, in bytes of JSON (KEYS-45).
const MAX_HEADER: usize = 2048;

/// Members of a header that change the meaning of the other members or of the payload. This parser
/// knows no extension, so that it must refuse critical ones (RFC 7515 §4.1.11, RFC 7797 §3). `enc`
/// is in the headers of encrypted tokens (RFC 7516 §9).
const REFUSED: [&str; 3] = ["crit", "b64", "enc"];

/// A JWT in the compact form, parsed and not verified.
///
/// ```
/// use grantcore::jws::{Fault, Jws};
///
/// assert_eq!(Jws::parse("e30.e30.", Jws::MAX_BYTES).unwrap_err(), Fault::Malformed);
/// let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln";
/// let jws = Jws::parse(text, Jws::MAX_BYTES)?;
/// assert_eq!(jws.header().kid(), None);
/// assert_eq!(jws.claims().as_claimed().iss(), Ok("a"));
/// # Ok::<(), Fault>(())
/// ```
pub struct Jws<'a> {
    pub(super) header: Header,
    /// The text that is signed: header, period, payload, as received.
    pub(super) signing_input: Cow<'a, str>,
    pub(super) signature: Vec<u8>,
    pub(super) claims: Unverified<Claims>,
}

impl<'a> Jws<'a> {
    /// The longest assertion by default, in bytes (KEYS-45).
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Parses a JWT of at most this many bytes (KEYS-44, KEYS-45).
    ///
    /// # Errors
    /// [`Fault::Malformed`] for any other text.
    pub fn parse(text: &'a str, limit: usize) -> Result<Self, Fault> {
        Self::read(text, limit).ok_or(Fault::Malformed)
    }

    fn read(text: &'a str, limit: usize) -> Option<Self> {
        if text.len() > limit {
            return None;
        }
        // A further period is in the payload, where base64url refuses it.
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        let header = decode(header).filter(|header| header.len() <= MAX_HEADER)?;
        Some(Self {
            header: Header::read(&read_object(&header)?)?,
            signing_input: Cow::Borrowed(signing_input),
            signature: decode(signature)?,
            claims: Unverified(Claims::read(read_object(&decode(payload)?)?)?),
        })
    }

    /// Returns the same assertion, borrowing nothing.
    pub fn into_owned(self) -> Jws<'static> {
        Jws { signing_input: Cow::Owned(self.signing_input.into_owned()), ..self }
    }

    /// Returns the header. It is unverified, like the claims.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the claims, for the checks that need no key.
    pub fn claims(&self) -> &Unverified<Claims> {
        &self.claims
    }
}

/// Shows the header. Neither claims nor signature are shown: a log with them would be a store of
/// assertions.
impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The members of a header that this crate reads. `jku`, `jwk`, `x5u`, `x5c` and `x5t` are not
/// read: a key that comes with an assertion proves nothing (KEYS-26).
pub struct Header {
    alg: Box<str>,
    typ: Option<Box<str>>,
    kid: Option<Box<str>>,
}

impl Header {
    fn read(members: &Object) -> Option<Self> {
        if REFUSED.iter().any(|name| members.contains_key(*name)) {
            return None;
        }
        let text = |name: &str| match members.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str().into())),
            Some(_) => None,
        };
        Some(Self { alg: text("alg")??, typ: text("typ")?, kid: text("kid")? })
    }

    /// Returns the algorithm.
    ///
    /// # Errors
    /// [`Fault::Algorithm`] if it is not allowed, or not known to this crate.
    pub fn algorithm(&self, allowed: Algorithms) -> Result<Algorithm, Fault> {
        let named = self.alg.parse().ok();
        named.filter(|algorithm| allowed.contains(*algorithm)).ok_or(Fault::Algorithm)
    }

    /// Returns the name of the key, if there is one. It may be any text of at most 2 KiB.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns whether the type is absent or `JWT`, which says nothing about the purpose.
    pub fn is_untyped(&self) -> bool {
        self.typ.as_deref().is_none_or(|typ| is_type(typ, "JWT"))
    }

    /// Checks the type. An assertion of another purpose is refused, though its signature may be
    /// right (cross-JWT confusion, RFC 8725 §2.8).
    ///
    /// # Errors
    /// [`Fault::Type`] for a type that is not accepted.
    pub fn check_type(&self, accepted: AcceptedTypes) -> Result<(), Fault> {
        let is_accepted = match self.typ.as_deref() {
            _ if self.is_untyped() => accepted.untyped,
            Some(typ) => accepted.names.iter().any(|name| is_type(typ, name)),
            None => false,
        };
        if is_accepted { Ok(()) } else { Err(Fault::Type) }
    }
}

/// Compares media types: letter case is ignored, and `application/` can be left out (RFC 7515
/// §4.1.9).
fn is_type(typ: &str, name: &str) -> bool {
    const PREFIX: &str = "application/";
    let prefix = typ.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
    let short = prefix.and_then(|prefix| typ.get(prefix.len()..)).unwrap_or(typ);
    short.eq_ignore_ascii_case(name)
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("alg", &Shown(&self.alg))
            .field("typ", &self.typ.as_deref().map(Shown))
            .field("kid", &self.kid.as_deref().map(Shown))
            .finish()
    }
}

/// The types that an assertion of one purpose may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedTypes {
    names: &'static [&'static str],
    /// Whether the type can be absent or `JWT`.
    untyped: bool,
}

impl AcceptedTypes {
    /// Client authentication (KEYS-46): `client-authentication+jwt` (draft-ietf-oauth-rfc7523bis),
    /// `oauth-client-auth+jwt` (CIMD), and the absent type and `JWT` of clients that are older.
    pub const CLIENT: Self =
        Self { names: &["client-authentication+jwt", "oauth-client-auth+jwt"], untyped: true };

    /// An identity assertion grant (draft-ietf-oauth-identity-assertion-authz-grant §3.1):
    /// `oauth-id-jag+jwt` and nothing else.
    pub const ID_JAG: Self = Self { names: &["oauth-id-jag+jwt"], untyped: false };

    /// A token of a platform for a workload: absent or `JWT`.
    pub const WORKLOAD: Self = Self { names: &[], untyped: true };

    /// Refuses assertions without a type, and those with the type `JWT`.
    pub const fn typed_only(self) -> Self {
        Self { untyped: false, ..self }
    }
}
