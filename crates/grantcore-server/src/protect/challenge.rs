//! The challenge of an upstream that asks for more scope (RFC 6750 §3.1; MCP, Authorization, Scope
//! Challenge Handling).
//!
//! A challenge of an upstream does not pass: another scheme, realm or metadata document would send
//! the caller's client away from this server. But a client needs a challenge in order to step up.
//! So a challenge that asks for more scope is replaced by one with this server's metadata document
//! and all scope tokens that the call needs: those of every call, and those that the upstream asks
//! for and the resource declares. A client asks the user for exactly what the challenge names.

use axum::http::{HeaderMap, HeaderValue, header};
use grantcore::policy::Resource;
use http_auth::ChallengeParser;

/// The code of the error.
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

/// Returns the challenge for the caller of this resource, whose every call needs the `required`
/// scope, or `None` if the upstream does not ask for more scope (RS-10).
pub(super) fn for_more_scope(
    received: &HeaderMap,
    resource: &Resource,
    required: &str,
) -> Option<HeaderValue> {
    let asked = received
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(scope_of)?;
    let mut needed: Vec<&str> = required.split_ascii_whitespace().collect();
    let declared = |token: &&String| resource.scopes().any(|own| own == token.as_str());
    let mut is_answerable = false;
    for token in asked.iter().filter(declared) {
        is_answerable = true;
        if !needed.contains(&token.as_str()) {
            needed.push(token);
        }
    }
    let mut challenge = format!(
        "Bearer resource_metadata=\"{}\", error=\"{INSUFFICIENT_SCOPE}\"",
        resource.metadata_url()
    );
    // A scope that the client has already would send it around in a circle.
    if is_answerable {
        challenge.extend([", scope=\"", &needed.join(" "), "\""]);
    }
    HeaderValue::try_from(challenge).ok()
}

/// Returns the scope tokens that a header asks for, each once, if it has a challenge that asks for
/// more scope. What comes after a challenge that cannot be parsed is ignored.
fn scope_of(value: &str) -> Option<Vec<String>> {
    let challenges = ChallengeParser::new(value).map_while(Result::ok);
    for challenge in challenges.filter(|own| own.scheme.eq_ignore_ascii_case("bearer")) {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if parameter("error").as_deref() != Some(INSUFFICIENT_SCOPE) {
            continue;
        }
        let mut tokens: Vec<String> = Vec::new();
        for token in parameter("scope").unwrap_or_default().split_ascii_whitespace() {
            if !tokens.iter().any(|own| own == token) {
                tokens.push(token.to_owned());
            }
        }
        return Some(tokens);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(lines: &[&str]) -> Option<String> {
        let resource = Resource::new("https://auth.example/notes", "read write").unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
        }
        let challenge = for_more_scope(&headers, &resource, "read")?;
        Some(challenge.to_str().unwrap().to_owned())
    }

    #[test]
    fn rs_10_protect_only_a_challenge_for_more_scope_is_made_anew() {
        let own = "Bearer resource_metadata=\
            \"https://auth.example/.well-known/oauth-protected-resource/notes\", \
            error=\"insufficient_scope\"";
        let write = format!("{own}, scope=\"read write\"");
        for (lines, expected) in [
            (&["Bearer error=\"insufficient_scope\", scope=\"write\""][..], Some(&*write)),
            (&["bearer ERROR=insufficient_scope, Scope=\"write admin  write\""], Some(&write)),
            (
                &[
                    "Basic realm=\"x\"",
                    "Bearer realm=\"evil\", error=\"insufficient_scope\", \
                    resource_metadata=\"https://evil.example/\", scope=\"write\"",
                ],
                Some(&write),
            ),
            (
                &["Basic realm=\"a, b\", Bearer error=\"insufficient_scope\", scope=write"],
                Some(&write),
            ),
            (&["Bearer error=\"insufficient_scope\", scope=\"wr\\ite\""], Some(&write)),
            (&["Bearer error=\"insufficient_scope\", scope=\"write read\""], Some(&write)),
            (&["Bearer error=\"insufficient_scope\", scope=\"admin\""], Some(own)),
            (&["Bearer error=\"insufficient_scope\""], Some(own)),
            (&["Bearer error=\"invalid_token\", scope=\"write\""], None),
            (&["DPoP error=\"insufficient_scope\", scope=\"write\""], None),
            (&["Bearer scope=\"error=\\\"insufficient_scope\\\"\""], None),
            (&["insufficient_scope"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(challenge(lines).as_deref(), expected, "{lines:?}");
        }
    }
}
