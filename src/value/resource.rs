//! Resource indicators (RFC 8707): when one is well formed and when two name the same resource.

/// Whether this is an absolute URI without a fragment (RFC 8707 §2): a scheme, `:`, something after
/// it, printable ASCII only.
pub(crate) fn is_resource(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    scheme_ok && !rest.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

/// Whether two indicators name one resource: equal but for the letter case of scheme and host, and
/// an empty path is `/`.
///
/// One rule for authorize, token, refresh and check. Nothing else is normalized: `/mcp` and `/mcp/`
/// differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Some((a_origin, a_path)), Some((b_origin, b_path))) = (split(a), split(b)) else {
        return false;
    };
    a_origin.eq_ignore_ascii_case(b_origin) && a_path == b_path
}

/// Whether what is below one identifier's path includes the other: the same server, the path on a
/// boundary of its segments. A path with a query, or with dot segments in any spelling, covers and
/// is covered by nothing.
pub(crate) fn covers(above: &str, below: &str) -> bool {
    let (Some((a_origin, a_path)), Some((b_origin, b_path))) = (split(above), split(below)) else {
        return false;
    };
    let rest = b_path.strip_prefix(a_path.strip_suffix('/').unwrap_or(a_path));
    let is_plain = |path: &str| {
        !path.contains(['?', '%', '\\'])
            && path.split('/').all(|segment| !matches!(segment, "." | ".."))
    };
    a_origin.eq_ignore_ascii_case(b_origin)
        && rest.is_some_and(|rest| rest.starts_with('/'))
        && is_plain(a_path)
        && is_plain(b_path)
}

/// Scheme and authority, and what follows them.
fn split(text: &str) -> Option<(&str, &str)> {
    let authority = text.find("://")? + 3;
    let end = text.get(authority..)?.find(['/', '?']).map_or(text.len(), |at| authority + at);
    let (origin, path) = text.split_at_checked(end)?;
    Some((origin, if path.is_empty() { "/" } else { path }))
}

/// `https://host/.well-known/SUFFIX/path?query`, the path's terminating slash removed.
pub(crate) fn well_known(identifier: &str, suffix: &str) -> String {
    let path = path(identifier);
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    format!("{}{}{query}", at_root(identifier, suffix), path.strip_suffix('/').unwrap_or(path))
}

/// `https://host/.well-known/SUFFIX`.
pub(crate) fn at_root(identifier: &str, suffix: &str) -> String {
    let path = path(identifier);
    let origin = identifier.strip_suffix(path).unwrap_or(identifier);
    format!("{origin}/.well-known/{suffix}")
}

/// What of a URL comes after its origin.
pub(crate) fn path(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let at = url.get(authority..).and_then(|rest| rest.find(['/', '?'])).map(|at| authority + at);
    at.and_then(|at| url.get(at..)).unwrap_or_default()
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
