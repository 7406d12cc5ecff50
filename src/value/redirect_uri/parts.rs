//! The parts of a URI as they are written: scheme, authority, and the port of a loopback one.

use std::ops::RangeInclusive;

use crate::value::loopback;

/// `scheme ":"` at the start (RFC 3986 §3.1).
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

/// What stands between `//` and the path, if the URI has an authority.
pub(super) fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    rest.split(['/', '?', '#']).next()
}

/// Splits an `http` loopback URI into its host, one of [`loopback::LITERALS`], and the rest from the
/// port on.
pub(super) fn split_loopback(uri: &str) -> Option<(&'static str, &str)> {
    let after_scheme = uri.strip_prefix("http://")?;
    let (host, rest) = loopback::LITERALS
        .iter()
        .find_map(|host| Some((*host, after_scheme.strip_prefix(host)?)))?;
    // What follows the host must end it: `http://127.0.0.1.example` is another host.
    (rest.is_empty() || rest.starts_with([':', '/', '?'])).then_some((host, rest))
}

/// The host as it is written in an authority without userinfo: what stands before the port.
pub(super) fn written_host(authority: &str) -> &str {
    let end = authority
        .rfind(']')
        .map_or_else(|| authority.find(':').unwrap_or(authority.len()), |bracket| bracket + 1);
    authority.get(..end).unwrap_or(authority)
}

/// The rest without its port: as it is if it has none, nothing if the port is malformed (REDIR-15).
pub(super) fn without_port(rest: &str) -> Option<&str> {
    let Some(after) = rest.strip_prefix(':') else { return Some(rest) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = after.split_at_checked(digits)?;
    is_port(port).then_some(rest)
}

/// A decimal number from 1 to 65535 without sign or leading zero.
pub(super) fn is_port(text: &str) -> bool {
    const PORTS: RangeInclusive<u32> = 1..=65535;
    !text.starts_with('0')
        && text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse().is_ok_and(|port| PORTS.contains(&port))
}
