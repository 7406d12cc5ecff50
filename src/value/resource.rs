//! Resource indicators (RFC 8707): their form, their comparison, and the addresses of metadata
//! documents.

use super::uri::Uri;

/// Returns whether this is an absolute URI without a fragment (RFC 8707 §2): a scheme, a colon and
/// more text, of printable ASCII without `#`.
pub(crate) fn is_resource(text: &str) -> bool {
    let has_rest = |uri: Uri<'_>| text.len() > uri.scheme().len() + ":".len();
    Uri::split(text).is_some_and(has_rest)
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

/// Returns whether two indicators name the same resource: they are equal but for the letter case of
/// scheme and host, and an empty path equals `/`.
///
/// The endpoints and the check of access tokens share this rule. Nothing else is normalized: `/mcp`
/// and `/mcp/` differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let Some(a) = located(a) else { return false };
    let Some(b) = located(b) else { return false };
    a.origin().eq_ignore_ascii_case(b.origin()) && path_of(&a) == path_of(&b)
}

/// Returns whether `below` lies below the path of `above`: the same server, and the path of `above`
/// ends at the boundary of a segment.
///
/// A path with a query, an escape, a backslash or a dot segment covers nothing and is covered by
/// nothing, because servers disagree about the resource that it leads to.
pub(crate) fn covers(above: &str, below: &str) -> bool {
    let Some(above) = located(above) else { return false };
    let Some(below) = located(below) else { return false };
    let above_path = path_of(&above);
    let below_path = path_of(&below);
    let rest = below_path.strip_prefix(above_path.strip_suffix('/').unwrap_or(above_path));
    let is_plain = |path: &str| {
        !path.contains(['?', '%', '\\'])
            && path.split('/').all(|segment| !matches!(segment, "." | ".."))
    };
    above.origin().eq_ignore_ascii_case(below.origin())
        && rest.is_some_and(|rest| rest.starts_with('/'))
        && is_plain(above_path)
        && is_plain(below_path)
}

/// Returns the URI if it names a server.
fn located(text: &str) -> Option<Uri<'_>> {
    Uri::split(text).filter(|uri| uri.authority().is_some())
}

/// Returns path and query, `/` if both are empty.
fn path_of<'a>(uri: &Uri<'a>) -> &'a str {
    Some(uri.path_and_query()).filter(|path| !path.is_empty()).unwrap_or("/")
}

/// Returns `https://host/.well-known/SUFFIX/path?query`. A slash at the end of the path is removed.
pub(crate) fn well_known(identifier: &str, suffix: &str) -> String {
    let path = path(identifier);
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    format!("{}{}{query}", at_root(identifier, suffix), path.strip_suffix('/').unwrap_or(path))
}

/// Returns the identifier whose document is at this URL, without a slash at its end: the inverse of
/// [`well_known`].
pub(crate) fn identifier_of(url: &str, suffix: &str) -> Option<String> {
    let uri = Uri::split(url).filter(|uri| uri.authority().is_some())?;
    let rest = uri.path_and_query().strip_prefix("/.well-known/")?.strip_prefix(suffix)?;
    let is_boundary = rest.is_empty() || rest.starts_with(['/', '?']);
    is_boundary.then(|| [uri.origin(), rest].concat())
}

/// Returns `https://host/.well-known/SUFFIX`.
pub(crate) fn at_root(identifier: &str, suffix: &str) -> String {
    let origin = Uri::split(identifier).map_or(identifier, |uri| uri.origin());
    format!("{origin}/.well-known/{suffix}")
}

/// Returns what follows the origin of a URL.
pub(crate) fn path(url: &str) -> &str {
    Uri::split(url).map_or("", |uri| uri.path_and_query())
}

#[cfg(test)]
mod tests {
    use super::{covers, is_resource, same};

    #[test]
    fn same_ignores_case_of_scheme_and_host_and_an_empty_path() {
        assert!(same("HTTPS://MCP.example.com", "https://mcp.example.com/"));
        assert!(same("https://mcp.example.com/a", "https://MCP.example.com/a"));
        assert!(!same("https://mcp.example.com/a", "https://mcp.example.com/A"));
        assert!(!same("https://mcp.example.com/mcp", "https://mcp.example.com/mcp/"));
        assert!(!same("https://mcp.example.com", "https://mcp.example.com.evil"));
        assert!(!same("urn:a", "urn:A"));
    }

    #[test]
    fn a_path_covers_what_is_below_it_and_nothing_beside_it() {
        let mcp = "https://mcp.example.com/mcp";
        for below in [
            "https://mcp.example.com/mcp/tools",
            "HTTPS://MCP.example.com/mcp/a/b",
            "https://mcp.example.com/mcp/",
        ] {
            assert!(covers(mcp, below), "{below}");
        }
        assert!(
            covers("https://mcp.example.com", "https://mcp.example.com/mcp")
                && covers("https://a.example/x/", "https://a.example/x/y")
        );
        for other in [
            "https://mcp.example.com/mcp-other",
            "https://mcp.example.com/MCP/tools",
            "https://mcp.example.com/",
            "https://mcp.example.com.evil/mcp/tools",
            "http://mcp.example.com/mcp/tools",
            "https://mcp.example.com/mcp/../admin",
            "https://mcp.example.com/mcp/%2e%2e/admin",
            "https://mcp.example.com/mcp?a=/mcp/x",
            "urn:mcp:tools",
        ] {
            assert!(!covers(mcp, other), "{other}");
        }
    }

    #[test]
    fn an_indicator_is_absolute_and_has_no_fragment() {
        assert!(is_resource("https://mcp.example.com") && is_resource("urn:example:thing"));
        for bad in [
            "mcp.example.com",
            "https://x#f",
            "https://x#",
            "",
            ":",
            "https:",
            "/mcp",
            "https://a b",
            "1x:y",
        ] {
            assert!(!is_resource(bad), "{bad}");
        }
    }
}
