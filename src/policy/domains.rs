//! Rules about hosts: which documents are read, which clients are trusted for their own host, and
//! where registrations may redirect to.

use crate::value::uri::{Uri, is_port, is_same_origin};

/// A pattern of hosts: a host, or `*.` and a host for every name below it. A port other than the
/// scheme's default is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    /// In lower case, without `*.`.
    host: String,
    port: Option<String>,
    is_below: bool,
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        let (is_below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = split_port(rest);
        if port.is_some_and(|port| !is_port(port)) {
            return None;
        }
        let is_host = if is_below {
            // The names below a top-level domain belong to others.
            is_name(host) && host.contains('.')
        } else {
            is_name(host) || is_address(host)
        };
        is_host.then(|| Self {
            host: host.to_ascii_lowercase(),
            port: port.map(str::to_owned),
            is_below,
        })
    }

    fn matches(&self, uri: &Uri<'_>) -> bool {
        let default = match uri.scheme() {
            "https" => "443",
            "http" => "80",
            _ => "",
        };
        let port = uri.port().filter(|port| *port != default);
        port == self.port.as_deref() && self.matches_host(uri.host())
    }

    fn matches_host(&self, host: &str) -> bool {
        if !self.is_below {
            return host.eq_ignore_ascii_case(&self.host);
        }
        let start = host.len().checked_sub(self.host.len());
        let Some((labels, domain)) = start.and_then(|start| host.split_at_checked(start)) else {
            return false;
        };
        domain.eq_ignore_ascii_case(&self.host) && labels.len() > 1 && labels.ends_with('.')
    }
}

/// Splits a port off. The colons of an IPv6 address are within its brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = text.get(end..).and_then(|rest| rest.find(':')).map(|at| end + at);
    match colon.and_then(|at| text.split_at_checked(at)) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => (text, None),
    }
}

/// Returns whether this is a name of a host, of labels of 1 to 63 characters.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Returns whether this has the characters of an IPv6 address in brackets.
fn is_address(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|address| {
        !address.is_empty()
            && address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
    })
}

/// A list of patterns, and the texts that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostPatterns {
    valid: Vec<HostPattern>,
    invalid: Vec<String>,
}

impl HostPatterns {
    pub(crate) fn parse(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut parsed = Self::default();
        for pattern in patterns {
            let pattern = pattern.into();
            match HostPattern::parse(&pattern) {
                Some(valid) => parsed.valid.push(valid),
                None => parsed.invalid.push(pattern),
            }
        }
        parsed
    }

    /// Returns a text of the list that is no pattern.
    pub(crate) fn invalid(&self) -> Option<&str> {
        self.invalid.first().map(String::as_str)
    }

    /// Returns whether the host of a URL matches a pattern.
    pub(crate) fn matches(&self, url: &str) -> bool {
        let Some(uri) = Uri::split(url) else { return false };
        self.valid.iter().any(|pattern| pattern.matches(&uri))
    }
}

/// Rules about the domain of a `client_id` that is the URL of a document (MCP Security, Trust
/// Policies). They are judged before anything is fetched, and count at once, as the deactivation of
/// a client does.
///
/// A pattern is a host, or `*.` and a host for every name below it and not itself. A port is named
/// unless it is the default. A denied domain stays denied if it is allowed or trusted too.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{DocumentRules, DomainRules};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .client_documents(DocumentRules::default())
///     .document_domains(DomainRules::default()
///         .with_allowed(["claude.ai", "*.cursor.com", "client.example:8443"])
///         .with_denied(["old.cursor.com"])
///         .with_trusted(["claude.ai"]))
///     .build()?;
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct DomainRules {
    denied: HostPatterns,
    allowed: Option<HostPatterns>,
    trusted: HostPatterns,
}

impl DomainRules {
    /// Refuses clients whose document is at one of these hosts. Default: none.
    pub fn with_denied(self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { denied: HostPatterns::parse(patterns), ..self }
    }

    /// Refuses clients whose document is at any other host. Default: every host is allowed.
    ///
    /// Clients that nobody has listed cannot connect, whatever their users want.
    pub fn with_allowed(self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed: Some(HostPatterns::parse(patterns)), ..self }
    }

    /// Trusts clients whose document is at one of these hosts for redirects to the origin of their
    /// document, and marks them on the consent page. The user is still asked. Default: none.
    ///
    /// Any link can then send a signed-in user to that origin by way of this server (OAuth 2.1
    /// §7.13).
    pub fn with_trusted(self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { trusted: HostPatterns::parse(patterns), ..self }
    }

    /// Returns the first text that is no pattern, with the name of its list.
    pub(super) fn invalid(&self) -> Option<(&'static str, &str)> {
        let lists = [
            ("with_denied", Some(&self.denied)),
            ("with_allowed", self.allowed.as_ref()),
            ("with_trusted", Some(&self.trusted)),
        ];
        lists.into_iter().find_map(|(name, list)| Some((name, list?.invalid()?)))
    }

    /// Returns whether the client of this document is refused.
    pub(crate) fn denies(&self, client_id: &str) -> bool {
        self.denied.matches(client_id)
            || self.allowed.as_ref().is_some_and(|allowed| !allowed.matches(client_id))
    }

    /// Returns whether the client of this document is trusted for this redirect URI: one of the
    /// document's own origin.
    pub(crate) fn trusts(&self, client_id: &str, redirect_uri: &str) -> bool {
        self.trusted.matches(client_id)
            && !self.denies(client_id)
            && is_same_origin(client_id, redirect_uri)
    }
}

#[cfg(test)]
mod tests {
    use super::HostPatterns;

    fn matches(pattern: &str, url: &str) -> bool {
        let patterns = HostPatterns::parse([pattern]);
        assert_eq!(patterns.invalid(), None, "{pattern}");
        patterns.matches(url)
    }

    #[test]
    fn a_pattern_matches_a_host_or_the_names_below_one() {
        for (pattern, url) in [
            ("example.com", "https://example.com/a"),
            ("EXAMPLE.com", "https://Example.COM:443"),
            ("*.example.com", "https://a.example.com/"),
            ("*.example.com", "https://b.a.EXAMPLE.com/"),
            ("example.com:8443", "https://example.com:8443/a"),
            ("[::1]", "http://[::1]/a"),
        ] {
            assert!(matches(pattern, url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("example.com", "https://a.example.com/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*.example.com", "https://.example.com/"),
            ("*.example.com", "https://example.com.evil/"),
            ("example.com", "https://example.com.evil/"),
            ("example.com", "https://example.com:8443/"),
            ("example.com:8443", "https://example.com/"),
            ("example.com", "https://evil/example.com"),
            ("example.com", "https://example.com@evil/"),
        ] {
            assert!(!matches(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn other_texts_are_no_patterns() {
        for text in [
            "",
            "*",
            "*.com",
            "*.",
            "a.*.com",
            "https://a.example",
            "a.example/b",
            "a..example",
            "a.example:",
            "a.example:0",
            "a.example:x",
            "a b",
            "*.[::1]",
            "ä.example",
            ".example",
        ] {
            assert_eq!(HostPatterns::parse([text]).invalid(), Some(text));
        }
    }
}
