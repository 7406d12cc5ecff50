//! For how long a response may be kept, by its own headers (RFC 9111 §4.2).
//!
//! `http-cache-semantics` computes it as a cache that many users share. This module only prepares
//! the headers, because the library, as of its version 3.0:
//!
//! - does not report whether a lifetime is stated at all, which the server must know to apply the
//!   default of its policy;
//! - compares the names of directives case by case (RFC 9111 §5.2 has them in any case);
//! - takes the first of two lifetimes, where the shorter one is safer (§4.2.1 allows both);
//! - reads a number that is too large as zero, which makes a response with such an `Age` fresh
//!   (§1.2.2 wants the greatest number);
//! - reads one of the three formats of a date (RFC 9110 §5.6.7 wants all).
//!
//! Nothing is kept here, and no lifetime is bounded: the server does both.

use std::num::IntErrorKind;
use std::time::{Duration, SystemTime};

use http::header::{
    AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName, HeaderValue, SET_COOKIE,
};
use http::{Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};

/// No lifetime is guessed: neither from `Last-Modified` nor for `immutable`.
const OPTIONS: CacheOptions = CacheOptions {
    shared: true,
    cache_heuristic: 0.0,
    immutable_min_time_to_live: Duration::ZERO,
    ignore_cargo_cult: false,
};

/// The directives that state a lifetime, or that there is none.
const LIFETIMES: [&str; 5] = ["max-age", "s-maxage", "no-store", "no-cache", "private"];

/// Returns for how much longer the response is fresh: zero if it must not be kept or is malformed,
/// `None` if it does not state a lifetime.
pub(crate) fn fresh_for(
    status: StatusCode,
    headers: &HeaderMap,
    now: SystemTime,
) -> Option<Duration> {
    let directives = directives(headers);
    let is_lifetime = |(name, _): &(String, _)| LIFETIMES.contains(&name.as_str());
    if !headers.contains_key(EXPIRES) && !directives.iter().any(is_lifetime) {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = prepared(headers, directives);
    // All requests are the same, without credentials.
    let policy = CachePolicy::new_options(&Request::new(()), &response, now, OPTIONS);
    Some(policy.time_to_live(now))
}

/// Returns the directives of `Cache-Control` by their names in lower case, the shortest lifetime
/// first. A directive has a number if it is `max-age` or `s-maxage`.
fn directives(headers: &HeaderMap) -> Vec<(String, Option<u64>)> {
    let mut directives = Vec::new();
    for line in headers.get_all(CACHE_CONTROL) {
        for directive in String::from_utf8_lossy(line.as_bytes()).split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim().to_ascii_lowercase();
            let has_seconds = matches!(name.as_str(), "max-age" | "s-maxage");
            let seconds = has_seconds.then(|| seconds(value.trim().trim_matches('"')));
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()) {
                directives.push((name, seconds));
            }
        }
    }
    directives.sort_by_key(|(_, seconds)| *seconds);
    directives
}

/// Reads a number of seconds. A number that is too large becomes the largest, and any other text
/// zero.
fn seconds(text: &str) -> u64 {
    text.parse().unwrap_or_else(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => u64::MAX,
        _ => 0,
    })
}

/// Returns the headers in the one form that the library reads.
fn prepared(headers: &HeaderMap, directives: Vec<(String, Option<u64>)>) -> HeaderMap {
    let mut prepared = headers.clone();
    // The library keeps no response with a cookie. The body of this one is public all the same: no
    // cookie was sent, and none is kept.
    prepared.remove(SET_COOKIE);
    if !directives.is_empty() {
        let directives = directives.into_iter().map(|(name, seconds)| match seconds {
            Some(seconds) => format!("{name}={seconds}"),
            None => name,
        });
        let value = directives.collect::<Vec<_>>().join(", ").try_into();
        let value = value.unwrap_or(HeaderValue::from_static("no-store"));
        prepared.insert(CACHE_CONTROL, value);
    }
    if let Some(age) = text(headers, AGE) {
        prepared.insert(AGE, seconds(age).into());
    }
    for name in [EXPIRES, DATE] {
        let date =
            text(headers, name.clone()).and_then(|text| httpdate::parse_http_date(text).ok());
        if let Some(date) = date.and_then(|date| httpdate::fmt_http_date(date).try_into().ok()) {
            prepared.insert(name, date);
        }
    }
    prepared
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the seconds that a response with these headers is fresh, at 1994-11-15 12:45:26.
    fn seconds_left(lines: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let now = httpdate::parse_http_date("Tue, 15 Nov 1994 12:45:26 GMT").unwrap();
        fresh_for(StatusCode::OK, &headers, now).map(|left| left.as_secs())
    }

    #[test]
    fn client_18_a_response_is_fresh_for_as_long_as_its_headers_say() {
        for (lines, left) in [
            ("", None),
            ("cache-control: public, must-revalidate", None),
            ("age: 5", None),
            ("date: Tue, 15 Nov 1994 12:45:26 GMT", None),
            ("cache-control: max-age=60", Some(60)),
            ("cache-control: Public, Max-Age = \"60\" ", Some(60)),
            ("cache-control: max-age=60\nage: 20", Some(40)),
            ("cache-control: max-age=60\nage: 61", Some(0)),
            ("cache-control: max-age=60, s-maxage=5", Some(5)),
            ("cache-control: s-maxage=600\ncache-control: max-age=5", Some(600)),
            ("cache-control: max-age=60\ncache-control: max-age=5", Some(5)),
            ("cache-control: max-age=99999999999999999999", Some(u64::MAX)),
            ("cache-control: max-age=60\nexpires: Tue, 15 Nov 1994 12:45:27 GMT", Some(60)),
            ("expires: Tue, 15 Nov 1994 12:46:26 GMT", Some(60)),
            (
                "expires: Tue, 15 Nov 1994 12:46:26 GMT\ndate: Tue, 15 Nov 1994 12:46:16 GMT\nage: 1",
                Some(9),
            ),
            ("expires: Tuesday, 15-Nov-94 12:46:26 GMT", Some(60)),
            ("cache-control: max-age=60\nset-cookie: a=b", Some(60)),
            ("last-modified: Tue, 15 Nov 1983 12:45:26 GMT", None),
            ("cache-control: max-age=60, immutable", Some(60)),
            ("cache-control: immutable", None),
            ("cache-control: immutable\nexpires: Tue, 15 Nov 1994 12:46:26 GMT", Some(60)),
        ] {
            assert_eq!(seconds_left(lines), left, "{lines}");
        }
    }

    #[test]
    fn client_18_what_must_not_be_kept_or_is_malformed_is_stale_at_once() {
        for lines in [
            "cache-control: no-store",
            "cache-control: max-age=60, No-Cache",
            "cache-control: no-cache=\"set-cookie\", max-age=60",
            "cache-control: max-age=60\ncache-control: private",
            "cache-control: max-age=0",
            "cache-control: max-age=soon",
            "cache-control: max-age",
            "cache-control: max-age=-1",
            "expires: 0",
            "cache-control: max-age=60\nvary: *",
            "expires: Tue, 15 Nov 1994 12:45:00 GMT",
            "expires: Tue, 15 Nov 1994 12:46:26 GMT\nage: 99999999999999999999",
        ] {
            assert_eq!(seconds_left(lines), Some(0), "{lines}");
        }
    }
}
