//! The map between the paths of callers and those of an upstream, in both directions.

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, uri};
use percent_encoding::percent_decode_str;
use url::Url;

/// The paths of one protected upstream.
pub(super) struct Mapping {
    /// The path of this server, such as `/notes`.
    path: String,
    /// The scheme and the authority of the upstream.
    origin: Uri,
    /// The path of the upstream as it is configured, and without a slash at the end.
    exact: String,
    base: String,
    /// The URL of the resource, without a slash at the end.
    public: String,
}

impl Mapping {
    /// Returns the map of a path of this server to the URL of an upstream. `resource` is the URL
    /// that callers use.
    pub(super) fn new(path: &str, upstream: &Url, resource: &str) -> Self {
        let exact = upstream.path().to_owned();
        Self {
            path: path.to_owned(),
            #[expect(clippy::expect_used, reason = "the origin of a URL is a URI")]
            origin: upstream.origin().ascii_serialization().parse().expect("a URI"),
            base: exact.trim_end_matches('/').to_owned(),
            exact,
            public: resource.trim_end_matches('/').to_owned(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the URI at the upstream: the path of the upstream in place of the protected one, and
    /// the rest and the query byte for byte. Returns `None` for a path that an upstream could read
    /// as one outside of its own.
    pub(super) fn target(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path().strip_prefix(&self.path).filter(|rest| is_plain(rest))?;
        let path =
            if rest.is_empty() { self.exact.clone() } else { format!("{}{rest}", self.base) };
        let target = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut parts: uri::Parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Returns the `Location` for the caller: the public URL of an address below the path of the
    /// upstream. Returns `None` for any other address. `target` is the URI that was called.
    pub(super) fn location(&self, target: &Uri, location: &HeaderValue) -> Option<HeaderValue> {
        let called = Url::parse(&target.to_string()).ok()?;
        let meant = called.join(location.to_str().ok()?).ok()?;
        let has_user = !meant.username().is_empty() || meant.password().is_some();
        if meant.origin() != called.origin() || has_user {
            return None;
        }
        let rest = meant.path().strip_prefix(&self.base).filter(|rest| is_plain(rest))?;
        let mut public = format!("{}{rest}", self.public);
        for (sign, part) in [('?', meant.query()), ('#', meant.fragment())] {
            public.extend(part.map(|part| format!("{sign}{part}")));
        }
        HeaderValue::try_from(public).ok()
    }
}

/// Returns whether what follows a mapped path stays below it, however often an upstream decodes it
/// and whatever it takes for a separator.
fn is_plain(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix('/') else { return rest.is_empty() };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // A slash at the end is no empty segment.
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || !is_plain_segment(segment) {
            return false;
        }
    }
    true
}

fn is_plain_segment(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let is_encoded = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let signs = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if !segment.is_ascii() || !signs.map(|(at, _)| at).all(is_encoded) {
        return false;
    }
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    // A decoded percent sign would begin another escape for an upstream that decodes twice.
    let is_safe = |byte: &u8| !matches!(byte, b'/' | b'\\' | b'%') && !byte.is_ascii_control();
    if !bytes.iter().all(|byte| *byte == b'%' || is_safe(byte)) || !decoded.iter().all(is_safe) {
        return false;
    }
    // Some servers drop parameters (`..;a`), and spaces at the end of a name.
    let name = decoded.split(|byte| *byte == b';').next().unwrap_or_default();
    !matches!(name.trim_ascii(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(upstream: &str) -> Mapping {
        Mapping::new("/notes", &Url::parse(upstream).unwrap(), "https://auth.example/notes")
    }

    fn target(upstream: &str, path: &str) -> Option<String> {
        Some(mapping(upstream).target(&path.parse().unwrap())?.to_string())
    }

    #[test]
    fn a_path_is_mapped_and_its_rest_is_unchanged() {
        let deep = "http://127.0.0.1:3000/mcp";
        for (upstream, path, expected) in [
            (deep, "/notes", "http://127.0.0.1:3000/mcp"),
            (deep, "/notes/", "http://127.0.0.1:3000/mcp/"),
            (deep, "/notes/x?y", "http://127.0.0.1:3000/mcp/x?y"),
            (deep, "/notes?", "http://127.0.0.1:3000/mcp?"),
            (deep, "/notes?a=/../%2F'|{}&&=", "http://127.0.0.1:3000/mcp?a=/../%2F'|{}&&="),
            (deep, "/notes/a/B.c/...", "http://127.0.0.1:3000/mcp/a/B.c/..."),
            (deep, "/notes/%C3%a4%20b", "http://127.0.0.1:3000/mcp/%C3%a4%20b"),
            ("http://a/mcp/", "/notes", "http://a/mcp/"),
            ("http://a/mcp/", "/notes/x", "http://a/mcp/x"),
            ("https://a:8443", "/notes", "https://a:8443/"),
            ("https://a:8443", "/notes/x/", "https://a:8443/x/"),
        ] {
            assert_eq!(target(upstream, path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_upstream() {
        for rest in [
            "/..",
            "/../x",
            "/x/../../y",
            "/.",
            "/./x",
            "/%2e%2e/x",
            "/%2E%2e",
            "/.%2e",
            "/..;a/x",
            "/..%3b/x",
            "/..%20/x",
            "/a%2fb",
            "/..%2F..%2Fx",
            "/..%5c..",
            "/..\\x",
            "/a\\b",
            "/%252e%252e/x",
            "/a%25",
            "/a%00",
            "/a%0d%0aHost:x",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "//x",
            "//",
            "/a//b",
            "/%2f%2fevil.example",
        ] {
            let path = format!("/notes{rest}");
            assert_eq!(target("http://127.0.0.1:3000/mcp", &path), None, "{path}");
            assert_eq!(target("http://127.0.0.1:3000", &path), None, "{path}");
        }
        for other in ["/notesx", "/note", "/", "/NOTES", "/n%6ftes"] {
            assert_eq!(target("http://127.0.0.1:3000/mcp", other), None, "{other}");
        }
    }

    #[test]
    fn a_redirect_leads_to_the_protected_path_or_nowhere() {
        let mapping = mapping("http://127.0.0.1:3000/mcp");
        let called = "http://127.0.0.1:3000/mcp/a/b?c".parse().unwrap();
        for (location, expected) in [
            ("/mcp", Some("https://auth.example/notes")),
            ("/mcp/", Some("https://auth.example/notes/")),
            ("/mcp/x?y#z", Some("https://auth.example/notes/x?y#z")),
            ("http://127.0.0.1:3000/mcp/x", Some("https://auth.example/notes/x")),
            ("c", Some("https://auth.example/notes/a/c")),
            ("../c", Some("https://auth.example/notes/c")),
            ("?d", Some("https://auth.example/notes/a/b?d")),
            ("../../c", None),
            ("/mcpx", None),
            ("/", None),
            ("/mcp/..", None),
            ("/mcp/%2e%2e/x", None),
            ("/mcp/..%2fx", None),
            ("//evil.example/mcp/x", None),
            ("\\\\evil.example/mcp/x", None),
            ("https://127.0.0.1:3000/mcp/x", None),
            ("http://127.0.0.1:3001/mcp/x", None),
            ("http://user@127.0.0.1:3000/mcp/x", None),
            ("https://auth.example/login", None),
            ("javascript:alert(1)", None),
        ] {
            let location = HeaderValue::from_static(location);
            let found = mapping.location(&called, &location);
            assert_eq!(found.as_ref().map(|own| own.to_str().unwrap()), expected, "{location:?}");
        }
    }
}
