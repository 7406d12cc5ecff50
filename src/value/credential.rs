//! What the core hands out: `prefix ‖ base64url(grant id ‖ secret)`, and a refresh token with its
//! family's secret between the two.
//!
//! The prefix says what a string is (to a person, to a secret scanner, to the parser); the grant id
//! says what to load. Decoding is strict and canonical, so that every credential has exactly one
//! spelling.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::prefix;
use super::secret::{Digest, Secret, serde_bytes};
use super::text::ClientId;

/// The 128-bit key of a grant's record. It is no secret: whoever knows it can redeem, refresh and
/// revoke nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// The id of these bytes, as a store keeps them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id that stands for this text.
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(Digest::of(text).bytes().first_chunk().copied().unwrap_or_default())
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

serde_bytes!(GrantId);

/// base64url, 22 characters: what a log line calls the flow.
impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        let written = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or(0);
        f.write_str(
            text.get(..written).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default(),
        )
    }
}

/// A text that is not a [`GrantId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a grant is 22 characters of base64url")]
pub struct GrantIdError;

/// Reads what `Display` writes, and nothing else.
impl std::str::FromStr for GrantId {
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

/// The `client_id` of these bytes: its prefix keeps it apart from user names and from clients that
/// are known by a URL.
pub(crate) fn client_id(bytes: &[u8; 16]) -> ClientId {
    ClientId::made("gcl_", &URL_SAFE_NO_PAD.encode(bytes))
}

/// The kinds of credential. None is ever accepted in another's place (INVARIANTS I22).
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
pub(crate) struct Credential {
    pub(crate) id: GrantId,
    pub(crate) secret: Secret,
}

/// A refresh token: a grant id, the secret of its family and the current one.
pub(crate) struct RefreshCredential {
    pub(crate) id: GrantId,
    pub(crate) family: Secret,
    pub(crate) current: Secret,
}

impl Credential {
    pub(crate) fn parse(kind: Kind, text: &str) -> Option<Self> {
        let bytes = decode::<48>(kind, text)?;
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: GrantId(*id), secret: Secret::new(*secret.first_chunk()?) })
    }

    pub(crate) fn write(&self, kind: Kind, out: &mut String) {
        let mut bytes = [0; 48];
        let (id, secret) = bytes.split_at_mut(16);
        id.copy_from_slice(&self.id.0);
        secret.copy_from_slice(self.secret.bytes());
        encode(kind, &bytes, out);
    }
}

impl RefreshCredential {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = decode::<80>(Kind::Refresh, text)?;
        let (id, secrets) = bytes.split_first_chunk::<16>()?;
        let (family, current) = secrets.split_first_chunk::<32>()?;
        Some(Self {
            id: GrantId(*id),
            family: Secret::new(*family),
            current: Secret::new(*current.first_chunk()?),
        })
    }

    pub(crate) fn write(&self, out: &mut String) {
        let mut bytes = [0; 80];
        let (id, secrets) = bytes.split_at_mut(16);
        let (family, current) = secrets.split_at_mut(32);
        id.copy_from_slice(&self.id.0);
        family.copy_from_slice(self.family.bytes());
        current.copy_from_slice(self.current.bytes());
        encode(Kind::Refresh, &bytes, out);
    }
}

fn decode<const N: usize>(kind: Kind, text: &str) -> Option<[u8; N]> {
    let encoded = text.strip_prefix(kind.prefix())?;
    let mut bytes = [0; N];
    // A longer text than N bytes encode to is refused by the decoder: it does not fit.
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
    (length == N).then_some(bytes)
}

fn encode(kind: Kind, bytes: &[u8], out: &mut String) {
    // The longest is a refresh token: 80 bytes.
    let mut text = [0; 107];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or(0);
    out.push_str(kind.prefix());
    out.push_str(
        text.get(..written).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default(),
    );
}

/// A credential on its way out. It is written once, into the one response it belongs to; it has no
/// `Clone`, no `Display` and a redacted `Debug`.
pub(crate) struct Issued(pub(crate) Outgoing);

pub(crate) enum Outgoing {
    One(Kind, Credential),
    Refresh(RefreshCredential),
    /// A secret of a client's, which names no grant.
    Plain(Kind, Secret),
}

impl Issued {
    pub(crate) fn one(kind: Kind, id: GrantId, secret: Secret) -> Self {
        Self(Outgoing::One(kind, Credential { id, secret }))
    }

    pub(crate) fn refresh(id: GrantId, family: Secret, current: Secret) -> Self {
        Self(Outgoing::Refresh(RefreshCredential { id, family, current }))
    }

    pub(crate) fn plain(kind: Kind, secret: Secret) -> Self {
        Self(Outgoing::Plain(kind, secret))
    }

    /// What the record keeps of a client's secret: the digest of its text, for as such it comes
    /// back.
    pub(crate) fn text_digest(&self) -> Digest {
        let mut text = String::with_capacity(48);
        self.reveal_into(&mut text);
        Digest::of(text.as_bytes())
    }

    /// Appends the text. For the response of this one request and nothing else.
    pub(crate) fn reveal_into(&self, out: &mut String) {
        match &self.0 {
            Outgoing::One(kind, credential) => credential.write(*kind, out),
            Outgoing::Refresh(credential) => credential.write(out),
            Outgoing::Plain(kind, secret) => encode(*kind, secret.bytes(), out),
        }
    }

    /// The text. For the response of this one request and nothing else.
    pub(crate) fn reveal(self) -> String {
        let mut text = String::with_capacity(112);
        self.reveal_into(&mut text);
        text
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(redacted)")
    }
}
