//! The MCP sessions of an upstream, each tied to the connection that it was made for.
//!
//! An upstream without OAuth identifies the caller by its `Mcp-Session-Id`. So the caller gets the
//! ID encrypted, under a key of the connection, and no other connection can use it or learn the ID
//! of the upstream from it. Nothing is stored: every process of a deployment reads the IDs of the
//! others, also after a restart.
//!
//! The key is derived from the grant's ID, which only the tokens of its client contain. It is 128
//! random bits, and no other user ever gets it.

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::Access;
use grantcore::value::Subject;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

/// The header of the streamable HTTP transport (MCP).
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The key and the salt for the sessions of one connection.
pub(super) struct Seal {
    key: LessSafeKey,
    /// Makes the nonce of a session.
    salt: [u8; 32],
}

/// The session in a request does not belong to this connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign;

impl Seal {
    /// Returns the seal of the connection of an access token, at an upstream.
    pub(super) fn of(access: &Access, upstream: &str) -> Self {
        let grant = access.grant_id().to_string();
        let subject = access.subject().map_or("", Subject::as_str);
        Self::of_parts([upstream, &grant, subject, access.client_id().as_str()])
    }

    fn of_parts(parts: [&str; 4]) -> Self {
        let digest = |label: &str| -> [u8; 32] {
            let mut digest = Sha256::new_with_prefix(label);
            for part in parts {
                // The length separates the parts, so that no two lists of parts have one digest.
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            digest.finalize().into()
        };
        #[expect(clippy::expect_used, reason = "the key has the length of the algorithm")]
        let key = UnboundKey::new(&CHACHA20_POLY1305, &digest("key")).expect("32 bytes");
        Self { key: LessSafeKey::new(key), salt: digest("salt") }
    }

    /// Returns the ID that the caller gets for a session of the upstream. It is always the same
    /// one: its nonce is a digest of the session, so that no nonce serves two of them.
    fn close(&self, session: &[u8]) -> HeaderValue {
        let digest = Sha256::new_with_prefix(self.salt).chain_update(session).finalize();
        let mut nonce = [0; NONCE_LEN];
        for (own, byte) in nonce.iter_mut().zip(digest) {
            *own = byte;
        }
        let mut text = session.to_vec();
        let own = Nonce::assume_unique_for_key(nonce);
        #[expect(clippy::expect_used, reason = "a header is far shorter than the limit")]
        self.key.seal_in_place_append_tag(own, Aad::empty(), &mut text).expect("a short text");
        let encoded = URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat());
        #[expect(clippy::expect_used, reason = "base64url is visible ASCII")]
        HeaderValue::try_from(encoded).expect("visible ASCII")
    }

    /// Returns the session of the upstream for the ID that a caller sent.
    fn open(&self, id: &[u8]) -> Result<HeaderValue, Foreign> {
        let mut bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_| Foreign)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Foreign)?;
        let session = self.key.open_in_place(nonce, Aad::empty(), text).map_err(|_| Foreign)?;
        HeaderValue::from_bytes(session).map_err(|_| Foreign)
    }

    /// Puts the session of the upstream into a call. A call has at most one.
    pub(super) fn to_upstream(
        &self,
        received: &HeaderMap,
        sent: &mut HeaderMap,
    ) -> Result<(), Foreign> {
        let mut ids = received.get_all(SESSION).iter();
        match (ids.next(), ids.next()) {
            (None, _) => {}
            (Some(id), None) => _ = sent.insert(SESSION, self.open(id.as_bytes())?),
            (Some(_), Some(_)) => return Err(Foreign),
        }
        Ok(())
    }

    /// Puts the caller's ID into a response, in place of the session of the upstream.
    pub(super) fn to_caller(&self, headers: &mut HeaderMap) {
        if let Some(session) = headers.get(SESSION) {
            let id = self.close(session.as_bytes());
            headers.insert(SESSION, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_opens_for_its_connection_alone() {
        let parts = ["http://u/", "grant", "alice", "app"];
        let own = Seal::of_parts(parts);
        let id = own.close(b"session-1");
        assert_eq!(own.open(id.as_bytes()).unwrap(), "session-1");
        assert_eq!(id, Seal::of_parts(parts).close(b"session-1"), "of each process");
        assert_ne!(id, own.close(b"session-2"));
        for other in [
            ["http://v/", "grant", "alice", "app"],
            ["http://u/", "other", "alice", "app"],
            ["http://u/", "grant", "bob", "app"],
            ["http://u/", "grant", "alice", "ap"],
            ["http://u/", "granta", "lice", "app"],
        ] {
            assert_eq!(Seal::of_parts(other).open(id.as_bytes()), Err(Foreign), "{other:?}");
        }
        let text = id.to_str().unwrap();
        let mut other = text.to_owned();
        let last = if other.pop() == Some('A') { 'B' } else { 'A' };
        other.push(last);
        for forged in ["", "x", "session-1", &text[1..], &other] {
            assert_eq!(own.open(forged.as_bytes()), Err(Foreign), "{forged}");
        }
    }
}
