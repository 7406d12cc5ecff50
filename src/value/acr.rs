//! Authentication context class references (`acr`): the names of classes of logins, such as one
//! with a second factor. Only the host knows what a class means.

/// The longest name of a class, in bytes.
const BYTES: usize = 128;

/// Returns whether the text can name a class: 1 to 128 printable ASCII characters without a space,
/// a quote and a backslash, which would break a challenge (RFC 9470 §3).
pub(crate) fn is_acr(text: &str) -> bool {
    let is_printable = |b| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~');
    (1..=BYTES).contains(&text.len()) && text.bytes().all(is_printable)
}
