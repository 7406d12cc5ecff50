//! How long an answer may be kept, by what it says itself (RFC 9111 §4.2.1).
//!
//! What lives here: reading `Cache-Control`, `Expires`, `Date` and `Age` as a cache that many
//! share. What never does: a cache, a guess where nothing was said, or a limit on what was; the
//! library has both. Whatever is malformed counts as stale.

use std::num::{IntErrorKind, ParseIntError};
use std::time::{Duration, SystemTime};

use reqwest::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};

/// For how much longer, if the answer says so; zero if it must not be kept.
pub(super) fn fresh_for(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let lifetime = match Control::of(headers) {
        Control { kept: false, .. } => Duration::ZERO,
        Control { shared: Some(age), .. } | Control { any: Some(age), .. } => age,
        Control { .. } => until_expiry(headers, now)?,
    };
    Some(lifetime.saturating_sub(age(headers)))
}

/// What `Cache-Control` says.
struct Control {
    kept: bool,
    shared: Option<Duration>,
    any: Option<Duration>,
}

impl Control {
    /// Directives are names in any case. Of one that is said twice, the shorter time counts.
    fn of(headers: &HeaderMap) -> Self {
        let mut control = Self { kept: true, shared: None, any: None };
        let lines = headers
            .get_all(CACHE_CONTROL)
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()));
        for line in lines {
            for directive in line.split(',') {
                let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
                match name.trim().to_ascii_lowercase().as_str() {
                    "no-store" | "no-cache" | "private" => control.kept = false,
                    "s-maxage" => shorten(&mut control.shared, seconds(value)),
                    "max-age" => shorten(&mut control.any, seconds(value)),
                    _ => {}
                }
            }
        }
        control
    }
}

fn shorten(time: &mut Option<Duration>, other: Duration) {
    *time = Some(time.map_or(other, |time| time.min(other)));
}

/// More than fits is a very long time (RFC 9111 §1.2.2); no number is none.
fn seconds(text: &str) -> Duration {
    let too_many = |error: &ParseIntError| *error.kind() == IntErrorKind::PosOverflow;
    let seconds = text
        .trim()
        .trim_matches('"')
        .parse()
        .unwrap_or_else(|error| if too_many(&error) { u64::MAX } else { 0 });
    Duration::from_secs(seconds)
}

/// By the clock of whoever answered, if it says what its clock says.
fn until_expiry(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = |name| text(headers, name).and_then(|text| httpdate::parse_http_date(text).ok());
    headers.get(EXPIRES)?;
    let expires = date(EXPIRES).unwrap_or(SystemTime::UNIX_EPOCH);
    Some(expires.duration_since(date(DATE).unwrap_or(now)).unwrap_or_default())
}

/// How long it lay in caches on the way.
fn age(headers: &HeaderMap) -> Duration {
    text(headers, AGE).map_or(Duration::ZERO, seconds)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 1994-11-15 12:45:26.
    fn seconds_left(lines: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let now = httpdate::parse_http_date("Tue, 15 Nov 1994 12:45:26 GMT").unwrap();
        fresh_for(&headers, now).map(|left| left.as_secs())
    }

    #[test]
    fn an_answer_is_fresh_for_as_long_as_it_says() {
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
        ] {
            assert_eq!(seconds_left(lines), left, "{lines}");
        }
    }

    #[test]
    fn what_must_not_be_kept_or_is_malformed_is_stale_at_once() {
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
            "expires: Tue, 15 Nov 1994 12:45:00 GMT",
            "expires: Tue, 15 Nov 1994 12:46:26 GMT\nage: 99999999999999999999",
        ] {
            assert_eq!(seconds_left(lines), Some(0), "{lines}");
        }
    }
}
