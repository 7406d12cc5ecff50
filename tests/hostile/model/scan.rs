//! Independent readers of what the servers produce: redirects, challenges, and a scan for secrets.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::wire::pairs;

/// Returns the parameters that a redirect adds to its URI, each once.
pub fn added(location: &str, base: &str) -> Result<BTreeMap<String, String>, String> {
    let rest = location.strip_prefix(base);
    let rest = rest.ok_or_else(|| format!("{location} does not begin with {base}"))?;
    let begins = if base.contains('?') { '&' } else { '?' };
    let rest = rest.strip_prefix(begins).ok_or_else(|| format!("{location} of {base}"))?;
    if !location.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['#', '?']) {
        return Err(format!("{location:?} has a character that no URI has"));
    }
    let mut found = BTreeMap::new();
    for (name, value) in pairs(rest.as_bytes()) {
        let text = |bytes| String::from_utf8(bytes).map_err(|_| "no text".to_owned());
        if found.insert(text(name)?, text(value)?).is_some() {
            return Err(format!("{location} has a parameter twice"));
        }
    }
    Ok(found)
}

/// Parses a challenge (RFC 9110 §11.6.1) with one scheme and quoted values.
pub fn challenge(header: &str) -> Result<BTreeMap<String, String>, String> {
    let fault = || format!("{header} is no challenge");
    let mut rest = header.strip_prefix("Bearer ").ok_or_else(fault)?;
    let mut found = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or_else(fault)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(fault());
        }
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or_else(fault)? {
                (at, '"') => break at,
                (_, '\\') => value.push(characters.next().ok_or_else(fault)?.1),
                (_, c) if c == ' ' || c.is_ascii_graphic() => value.push(c),
                _ => return Err(fault()),
            }
        };
        if found.insert(name.to_owned(), value).is_some() {
            return Err(fault());
        }
        match &after[end + 1..] {
            "" => return Ok(found),
            more => rest = more.strip_prefix(", ").ok_or_else(fault)?,
        }
    }
}

/// The length of the parts of secrets that are searched for.
const PART: usize = 20;

/// Finds secrets in texts: raw, in hexadecimal, in both alphabets of base64, percent-encoded.
#[derive(Default)]
pub struct Canaries {
    parts: HashSet<Vec<u8>>,
}

impl Canaries {
    /// Adds a credential: its prefix, 16 bytes of a grant's id, which is no secret, and its secret.
    pub fn add(&mut self, credential: &str) {
        let text = credential.get(4..).unwrap_or_default();
        self.parts.extend(text.as_bytes().get(22..22 + PART).map(<[u8]>::to_vec));
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return };
        let Some(secret) = bytes.get(16..) else { return };
        let hex = secret.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let upper = hex.to_uppercase();
        for spelling in [hex, upper, STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)] {
            self.parts.extend(spelling.as_bytes().get(..PART).map(<[u8]>::to_vec));
        }
    }

    /// Adds a secret that a client chose.
    pub fn add_text(&mut self, secret: &str) {
        self.parts.extend(secret.as_bytes().get(..PART).map(<[u8]>::to_vec));
    }

    /// Returns the first part of a secret that occurs in the text.
    pub fn found(&self, text: &str) -> Option<String> {
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
        let is_encoded = decoded.len() < text.len();
        let spellings = [text.as_bytes(), if is_encoded { &decoded } else { &[] }];
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=.~".contains(&byte);
        let words = spellings.iter().flat_map(|text| text.split(|byte| !is_part(*byte)));
        let mut windows =
            words.filter(|word| word.len() >= PART).flat_map(|word| word.windows(PART));
        windows
            .find(|part| self.parts.contains(*part))
            .map(|part| String::from_utf8_lossy(part).into_owned())
    }
}
