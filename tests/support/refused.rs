//! Complete assertions of the authorization endpoint's refusals, and of the store afterwards.

use grantcore::grant::GrantState;
use grantcore::reason::ErrorCode;
use grantcore::response::Problem;
use grantcore::{Reason, Refusal, Reply};

use super::params::Params;
use super::{CALLBACK, ISSUER, World};

/// Sends alice's request, expects a refusal, and returns it.
#[track_caller]
pub fn refused(world: &World, params: &Params) -> Refusal {
    match world.authorize(params) {
        Err(refusal) => refusal,
        Ok(step) => panic!("not refused but {step:?}"),
    }
}

/// Asserts `PAGE(status, code)`: the error is shown to the user, with the correlation id of its
/// event. There is no redirect and no link to one, no issuer and no ticket.
#[track_caller]
pub fn assert_page(
    world: &World,
    refusal: &Refusal,
    status: u16,
    code: &str,
    reason: Reason,
) -> Problem {
    let policy = world.server.policy();
    let reply = refusal.reply(policy);
    let problem = refusal.problem(policy);
    let code_on_page = problem.code.map(ErrorCode::as_str);
    assert_eq!((reply.status, code_on_page, world.reason()), (status, Some(code), Some(reason)));
    assert_eq!(problem.status, status);
    assert!(problem.description.starts_with(reason.description()), "{}", problem.description);
    assert_eq!(
        (refusal.location(policy), reply.header("location"), &problem.continue_url),
        (None, None, &None)
    );
    assert!(
        reply.body.contains(code) && reply.body.contains(&*problem.description),
        "{}",
        reply.body
    );
    assert!(!reply.body.contains(ISSUER) && !reply.body.contains("gct_"), "{}", reply.body);
    let correlation = world.events().last().unwrap().correlation;
    assert_eq!(refusal.correlation(), Some(correlation));
    assert_eq!(reply.header("x-correlation-id"), Some(&*correlation.to_string()));
    problem
}

/// Asserts `REDIR(code)` at the callback of [`Params::authorize`], with its state.
#[track_caller]
pub fn assert_redir(world: &World, refusal: &Refusal, code: &str, reason: Reason) {
    assert_redir_to(world, refusal, CALLBACK, Some("xyz"), code, reason);
}

/// Asserts `REDIR(code)`: a 303 without a body to the error response at this URI.
#[track_caller]
pub fn assert_redir_to(
    world: &World,
    refusal: &Refusal,
    uri: &str,
    state: Option<&str>,
    code: &str,
    reason: Reason,
) {
    let reply = refusal.reply(world.server.policy());
    let location =
        reply.header("location").unwrap_or_else(|| panic!("no redirect but {}", reply.body));
    assert_eq!(
        (reply.status, &*reply.body, refusal.location(world.server.policy()).as_deref()),
        (303, "", Some(location))
    );
    assert_eq!(world.reason(), Some(reason));
    assert_error_url(location, uri, state, code, reason);
}

/// Asserts that the URL has exactly the error response of OAuth 2.1 §4.1.2.1 and RFC 9207 §2 at
/// this URI.
#[track_caller]
pub fn assert_error_url(url: &str, uri: &str, state: Option<&str>, code: &str, reason: Reason) {
    let mut found = added(url, uri);
    // The stable description is a prefix. The received value may follow it.
    for (_, value) in found.iter_mut().filter(|(name, _)| name == "error_description") {
        assert!(value.starts_with(reason.description()), "{url}");
        value.truncate(reason.description().len());
    }
    let mut wanted =
        vec![("error", code), ("error_description", reason.description()), ("iss", ISSUER)];
    wanted.extend(state.map(|state| ("state", state)));
    let wanted: Vec<_> =
        wanted.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(found, wanted, "{url}");
}

/// Returns the response parameters that were added to this URI, decoded once, by name.
#[track_caller]
pub fn added(url: &str, uri: &str) -> Vec<(String, String)> {
    let query = url.strip_prefix(uri).unwrap_or_else(|| panic!("{url} does not begin with {uri}"));
    let query = query.strip_prefix(['?', '&']).unwrap_or(query);
    let mut pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs
}

/// Returns the whole response without its correlation id, to compare it with another.
pub fn wire(reply: &Reply) -> String {
    let headers: Vec<_> =
        reply.headers.iter().filter(|(name, _)| *name != "x-correlation-id").collect();
    format!("{} {headers:?} {}", reply.status, reply.body)
}

/// Returns the states of alice's grants.
pub fn states(world: &World) -> Vec<GrantState> {
    world.grants().iter().map(|stored| stored.record.state()).collect()
}

/// Returns the number of codes that were issued to alice.
pub fn codes(world: &World) -> usize {
    states(world)
        .iter()
        .filter(|state| matches!(state, GrantState::CodeIssued | GrantState::Active))
        .count()
}
