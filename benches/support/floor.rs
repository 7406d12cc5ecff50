//! The floor of this design: for each step its hashes, the base64url of its credentials, the copies
//! into its record and its response, one look-up by a free hash, and nothing else. It checks no
//! client, no time, no scope and no policy, and serves to compare with. Its requests are parsed:
//! their credentials are decoded.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

type Id = [u8; 16];
type Digest = [u8; 32];

#[derive(Default)]
pub struct Floor {
    grants: HashMap<Id, Arc<Record>, BuildHasherDefault<FirstBytes>>,
}

/// The id of a grant is random: its first bytes are a hash.
#[derive(Default)]
pub struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(self.0, |head| u64::from_le_bytes(*head));
    }

    fn write_usize(&mut self, _length: usize) {}
}

/// What a grant keeps: digests, times and shared texts.
#[derive(Clone)]
struct Record {
    version: u64,
    texts: Arc<str>,
    times: [u64; 6],
    ticket: Digest,
    session: Digest,
    challenge: Digest,
    code: Digest,
    family: Digest,
    current: Digest,
    salt: [u8; 16],
    access: Vec<Access>,
}

#[derive(Clone, Copy)]
struct Access {
    digest: Digest,
    times: [u64; 2],
    subsets: [u64; 2],
}

/// The parameters of an authorization request, as the parser returns them.
pub struct Parsed {
    pub redirect_uri: &'static str,
    pub scope: &'static str,
    pub state: &'static str,
    pub challenge: Digest,
    pub subject: &'static str,
    pub session: &'static [u8],
}

impl Floor {
    /// Makes a record and the ticket of its page, then the record of the approval and its redirect.
    pub fn authorize(
        &mut self,
        request: &Parsed,
        page: &[u8; 128],
        approval: &[u8; 128],
    ) -> String {
        let (id, secret): (Id, Digest) = (part(page, 16), part(page, 32));
        let Parsed { redirect_uri, scope, state, subject, .. } = request;
        let texts = [*redirect_uri, *scope, *state, *subject].concat().into();
        let pending = Record {
            version: 1,
            texts,
            times: [1; 6],
            ticket: sha256(&secret),
            session: sha256(request.session),
            challenge: request.challenge,
            code: [0; 32],
            family: [0; 32],
            current: [0; 32],
            salt: [0; 16],
            access: Vec::new(),
        };
        self.grants.insert(id, Arc::new(pending));
        let mut ticket = String::with_capacity(68);
        push_credential(&mut ticket, "gtk_", &[&id, &secret]);

        let [id, secret] = decode(&ticket);
        let record = &self.grants[&id_of(&id)];
        assert!(record.ticket == sha256(&secret) && record.session == sha256(request.session));
        let code: Digest = part(approval, 32);
        let approved = Record {
            version: 2,
            code: sha256(&code),
            texts: Arc::clone(&record.texts),
            access: Vec::new(),
            ..**record
        };
        self.grants.insert(id_of(&id), Arc::new(approved));
        let mut location = String::with_capacity(256);
        location.push_str(redirect_uri);
        location.push_str("?code=");
        push_credential(&mut location, "gcd_", &[&id_of(&id), &code]);
        location.push_str("&state=");
        location.push_str(state);
        location.push_str("&iss=https%3A%2F%2Fauth.example");
        location
    }

    pub fn redeem(&mut self, code: &[Digest; 2], verifier: &str, entropy: &[u8; 128]) -> String {
        let [id, secret] = code;
        let id = id_of(id);
        let record = &self.grants[&id];
        let proven = record.challenge == sha256(verifier.as_bytes());
        assert!(proven && record.code == sha256(secret));
        let (family, current, access): (Digest, Digest, Digest) =
            (part(entropy, 32), part(entropy, 64), part(entropy, 96));
        let redeemed = Record {
            version: record.version + 1,
            family: sha256(&family),
            current: sha256(&current),
            texts: Arc::clone(&record.texts),
            access: vec![Access { digest: sha256(&access), times: [1; 2], subsets: [0; 2] }],
            ..**record
        };
        self.grants.insert(id, Arc::new(redeemed));
        body(&id, &family, &current, &access)
    }

    pub fn refresh(&mut self, token: &[Digest; 3], entropy: &[u8; 128]) -> String {
        let [id, family, current] = token;
        let id = id_of(id);
        let record = &self.grants[&id];
        assert!(record.family == sha256(family) && record.current == sha256(current));
        let salt: [u8; 16] = part(entropy, 16);
        let next = successor(*b"refresh", current, &salt);
        let access = successor(*b"access.", current, &salt);
        let mut tokens = Vec::with_capacity(record.access.len() + 1);
        tokens.extend_from_slice(&record.access);
        tokens.push(Access { digest: sha256(&access), times: [1; 2], subsets: [0; 2] });
        let rotated = Record {
            version: record.version + 1,
            current: sha256(&next),
            salt,
            texts: Arc::clone(&record.texts),
            access: tokens,
            ..**record
        };
        self.grants.insert(id, Arc::new(rotated));
        body(&id, family, &next, &access)
    }

    pub fn check(&self, token: &[Digest; 2]) -> bool {
        let [id, secret] = token;
        let digest = sha256(secret);
        let record = Arc::clone(&self.grants[&id_of(id)]);
        record.access.iter().any(|access| access.digest == digest)
    }

    /// A grant that was approved and redeemed, as its refresh token and its access token.
    pub fn grant(&mut self, request: &Parsed, entropy: [&[u8; 128]; 3]) -> (String, String) {
        let [page, approval, redemption] = entropy;
        let location = self.authorize(request, page, approval);
        let code = decode(between(&location, "code=", '&'));
        tokens(&self.redeem(&code, super::VERIFIER, redemption))
    }

    /// Drops the grants that were made after the first ones.
    pub fn keep(&mut self, ids: &[[u8; 16]]) {
        let kept: HashMap<Id, Arc<Record>, _> =
            ids.iter().filter_map(|id| Some((*id, self.grants.get(id)?.clone()))).collect();
        self.grants = kept;
    }

    pub fn ids(&self) -> Vec<[u8; 16]> {
        self.grants.keys().copied().collect()
    }
}

/// The refresh token and the access token of a token response.
pub fn tokens(body: &str) -> (String, String) {
    let field = |name: &str| between(body, &format!("\"{name}\":\""), '"').to_owned();
    (field("refresh_token"), field("access_token"))
}

pub fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
    text.split(start).nth(1).unwrap().split(end).next().unwrap()
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

fn successor(label: [u8; 7], secret: &Digest, salt: &[u8; 16]) -> Digest {
    Sha256::new().chain_update(label).chain_update(secret).chain_update(salt).finalize().into()
}

fn part<const N: usize>(entropy: &[u8; 128], start: usize) -> [u8; N] {
    *entropy[start..].first_chunk().unwrap()
}

fn id_of(bytes: &Digest) -> Id {
    *bytes.first_chunk().unwrap()
}

/// Reads an id, which fills half of its array, and the secrets after it.
pub fn decode<const N: usize>(credential: &str) -> [Digest; N] {
    let mut bytes = [0; 80];
    URL_SAFE_NO_PAD.decode_slice(&credential[4..], &mut bytes[..N * 32 - 16]).unwrap();
    let mut parts = [[0; 32]; N];
    parts[0][..16].copy_from_slice(&bytes[..16]);
    for (part, secret) in parts[1..].iter_mut().zip(bytes[16..].chunks_exact(32)) {
        part.copy_from_slice(secret);
    }
    parts
}

fn push_credential(text: &mut String, prefix: &str, parts: &[&[u8]]) {
    let mut bytes = [0; 80];
    let mut length = 0;
    for part in parts {
        bytes[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    let mut encoded = [0; 107];
    let written = URL_SAFE_NO_PAD.encode_slice(&bytes[..length], &mut encoded).unwrap();
    text.push_str(prefix);
    text.push_str(std::str::from_utf8(&encoded[..written]).unwrap());
}

fn body(id: &Id, family: &Digest, current: &Digest, access: &Digest) -> String {
    let mut body = String::with_capacity(330);
    body.push_str("{\"access_token\":\"");
    push_credential(&mut body, "gat_", &[id, access]);
    body.push_str("\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"refresh_token\":\"");
    push_credential(&mut body, "grt_", &[id, family, current]);
    body.push_str("\",\"scope\":\"read write\"}");
    body
}
