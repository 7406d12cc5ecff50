//! The credentials of the server: `prefix ‖ base64url(grant id ‖ secret)`. A refresh token has the
//! secret of its family between the two.
//!
//! The prefix names the kind of a credential, for people, secret scanners and the parser. The grant
//! id names the record to load. Decoding is strict and canonical, so that every credential has
//! exactly one spelling.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::{Digest, Secret, Wiped, serde_bytes};
use super::text::ClientId;
use super::{base64url, prefix};

/// The 128-bit key of a grant's record. Its text is 22 characters of base64url.
///
/// It is no secret: it neither redeems, nor refreshes, nor revokes anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// Makes the id of these bytes, as a store keeps them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the id that is derived from this text.
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(Digest::of(text).head())
    }

    /// Returns the bytes to store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

serde_bytes!(GrantId);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        // 16 bytes are 22 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A text that is not a [`GrantId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a grant is 22 characters of base64url")]
#[non_exhaustive]
pub struct GrantIdError;

/// Reads what `Display` writes, and nothing else.
impl FromStr for GrantId {
    type Err = GrantIdError;

    fn from_str(text: &str) -> Result<Self, GrantIdError> {
        let mut bytes = [0; 16];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| GrantIdError)?;
        if length == bytes.len() { Ok(Self(bytes)) } else { Err(GrantIdError) }
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({self})")
    }
}

/// Returns the `client_id` of these bytes. Its prefix distinguishes it from user names and from the
/// URLs of client documents.
pub(crate) fn client_id(bytes: &[u8; 16]) -> ClientId {
    ClientId::from_parts("gcl_", &URL_SAFE_NO_PAD.encode(bytes))
}

/// The kinds of credential. No kind is accepted in place of another (I22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ticket,
    Code,
    Access,
    Refresh,
    ClientSecret,
    Management,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Ticket => prefix::TICKET,
            Self::Code => prefix::CODE,
            Self::Access => prefix::ACCESS,
            Self::Refresh => prefix::REFRESH,
            Self::ClientSecret => prefix::CLIENT_SECRET,
            Self::Management => prefix::MANAGEMENT,
        }
    }
}

/// A consent ticket, a code or an access token: a grant id and one secret.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) id: GrantId,
    pub(crate) secret: Secret,
}

/// A refresh token: a grant id, the secret of the family and the current secret.
#[derive(Debug)]
pub(crate) struct RefreshCredential {
    pub(crate) id: GrantId,
    pub(crate) family: Secret,
    pub(crate) current: Secret,
}

impl Credential {
    pub(crate) fn parse(kind: Kind, text: &str) -> Option<Self> {
        let bytes = decode::<48>(kind, text)?;
        let (id, secret) = bytes.0.split_first_chunk::<16>()?;
        Some(Self { id: GrantId(*id), secret: Secret::new(*secret.first_chunk()?) })
    }

    /// Appends the text of a credential to the response that issues it, and to nothing else.
    pub(crate) fn push(kind: Kind, id: GrantId, secret: &Secret, response: &mut Vec<u8>) {
        response.extend_from_slice(kind.prefix().as_bytes());
        base64url::push(&joined(id, secret).0, response);
    }
}

fn joined(id: GrantId, secret: &Secret) -> Wiped<48> {
    let mut bytes = Wiped([0; 48]);
    let (head, tail) = bytes.0.split_at_mut(16);
    head.copy_from_slice(&id.0);
    tail.copy_from_slice(secret.bytes());
    bytes
}

impl RefreshCredential {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = decode::<80>(Kind::Refresh, text)?;
        let (id, secrets) = bytes.0.split_first_chunk::<16>()?;
        let (family, current) = secrets.split_first_chunk::<32>()?;
        Some(Self {
            id: GrantId(*id),
            family: Secret::new(*family),
            current: Secret::new(*current.first_chunk()?),
        })
    }

    /// Appends the text of a refresh token to the response that issues it, and to nothing else.
    pub(crate) fn push(id: GrantId, family: &Secret, current: &Secret, response: &mut Vec<u8>) {
        let mut bytes = Wiped([0; 80]);
        let (head, secrets) = bytes.0.split_at_mut(16);
        let (first, second) = secrets.split_at_mut(32);
        head.copy_from_slice(&id.0);
        first.copy_from_slice(family.bytes());
        second.copy_from_slice(current.bytes());
        response.extend_from_slice(Kind::Refresh.prefix().as_bytes());
        base64url::push(&bytes.0, response);
    }
}

fn decode<const N: usize>(kind: Kind, text: &str) -> Option<Wiped<N>> {
    let encoded = text.strip_prefix(kind.prefix())?;
    base64url::decode(encoded.as_bytes())
}

/// The length of a prefix.
const PREFIX: usize = 4;

/// The length of the longest credential that has a text of its own.
const MAX_TEXT: usize = PREFIX + base64url::length(48);

/// The text of a credential: on the stack, and wiped when it is dropped.
pub(crate) struct CredentialText {
    bytes: Wiped<MAX_TEXT>,
    length: usize,
}

impl CredentialText {
    fn encode<const N: usize>(kind: Kind, secret: &[u8; N]) -> Self {
        const { assert!(PREFIX + base64url::length(N) <= MAX_TEXT) };
        let mut bytes = Wiped([0; MAX_TEXT]);
        let encoded = base64url::Text::of(secret);
        let encoded = encoded.as_bytes();
        let (head, rest) = bytes.0.split_at_mut(PREFIX);
        head.copy_from_slice(kind.prefix().as_bytes());
        rest.split_at_mut(encoded.len()).0.copy_from_slice(encoded);
        Self { bytes, length: PREFIX + encoded.len() }
    }

    #[expect(clippy::expect_used, reason = "`encode` writes ASCII only")]
    pub(crate) fn as_str(&self) -> &str {
        let text = self.bytes.0.get(..self.length).expect("the text is within its buffer");
        std::str::from_utf8(text).expect("base64url is ASCII")
    }
}

/// Serializes the text, into the one response that it belongs to.
impl Serialize for CredentialText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A credential that is issued, other than a token, which is written into its response at once. It
/// is written once, into the response that it belongs to. It has no `Clone`, no `Display` and a
/// redacted `Debug`, and is wiped when it is dropped.
pub(crate) struct Issued(IssuedKind);

enum IssuedKind {
    Grant(Kind, Credential),
    /// A secret of a client, which names no grant.
    Client(Kind, Secret),
}

impl Issued {
    pub(crate) fn one(kind: Kind, id: GrantId, secret: Secret) -> Self {
        Self(IssuedKind::Grant(kind, Credential { id, secret }))
    }

    pub(crate) fn plain(kind: Kind, secret: Secret) -> Self {
        Self(IssuedKind::Client(kind, secret))
    }

    /// Returns the digest of the text. Records keep it of a client's secret, because the client
    /// presents the text.
    pub(crate) fn text_digest(&self) -> Digest {
        Digest::of(self.reveal().as_str().as_bytes())
    }

    /// Appends the text to the response of the request that issued the credential, and to nothing
    /// else.
    pub(crate) fn push_to(&self, response: &mut Vec<u8>) {
        match &self.0 {
            IssuedKind::Grant(kind, own) => Credential::push(*kind, own.id, &own.secret, response),
            IssuedKind::Client(kind, secret) => {
                response.extend_from_slice(kind.prefix().as_bytes());
                base64url::push(secret.bytes(), response);
            }
        }
    }

    /// Returns the text, for the response of the request that issued the credential and for nothing
    /// else.
    #[expect(clippy::expect_used, reason = "a credential is ASCII")]
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::with_capacity(MAX_TEXT);
        self.push_to(&mut text);
        String::from_utf8(text).expect("base64url is ASCII")
    }

    /// Returns the text, for the response of the request that issued the credential and for nothing
    /// else. It is wiped when it is dropped.
    pub(crate) fn reveal(&self) -> CredentialText {
        match &self.0 {
            IssuedKind::Grant(kind, own) => {
                CredentialText::encode(*kind, &joined(own.id, &own.secret).0)
            }
            IssuedKind::Client(kind, secret) => CredentialText::encode(*kind, secret.bytes()),
        }
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(redacted)")
    }
}
