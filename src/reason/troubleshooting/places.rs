//! Where a client, a user or the operator sees a refusal: code, status and place at each endpoint.

use super::super::{Endpoint, ErrorCode, Reason};
use super::quoted;

/// A place in a response, and the endpoints whose responses have it.
struct Place {
    part: &'static str,
    endpoints: Vec<&'static str>,
}

/// Returns code, status and place of a reason at its endpoints. Endpoints with equal codes and
/// statuses are named together.
pub(super) fn seen(reason: Reason) -> String {
    type Answer = (Option<ErrorCode>, u16);
    let mut answers: Vec<(Answer, Vec<Place>)> = Vec::new();
    for endpoint in reason.endpoints() {
        let answer = (reason.code(*endpoint), reason.status(*endpoint));
        let place = place(reason, *endpoint);
        match answers.iter_mut().find(|(own, _)| *own == answer) {
            Some((_, places)) => add(place, places),
            None => answers.push((answer, vec![place])),
        }
    }
    let texts = answers.into_iter().map(|((code, status), places)| {
        let header = match (code, status) {
            (Some(ErrorCode::TooManyRequests | ErrorCode::TemporarilyUnavailable), _) => {
                " with `Retry-After`"
            }
            (_, 405) => " with `Allow`",
            _ => "",
        };
        let places: Vec<_> = places.iter().map(Place::text).collect();
        format!("{}, {status}{header}, {}", quoted(code), places.join(", "))
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// Adds a place, to the endpoints of an equal one if there is one.
fn add(place: Place, places: &mut Vec<Place>) {
    match places.iter_mut().find(|own| own.part == place.part) {
        Some(own) => own.endpoints.extend(place.endpoints),
        None => places.push(place),
    }
}

impl Place {
    fn text(&self) -> String {
        match self.endpoints.split_last() {
            None => self.part.to_owned(),
            Some((last, [])) => format!("{} of {last}", self.part),
            Some((last, others)) => format!("{} of {} or {last}", self.part, others.join(", ")),
        }
    }
}

/// Returns where the refusal is seen at this endpoint.
fn place(reason: Reason, endpoint: Endpoint) -> Place {
    let name = match endpoint {
        Endpoint::Authorization => {
            let part = if reason.is_redirectable() {
                "on the authorization page or in the redirect to the client"
            } else {
                "on the authorization page"
            };
            return Place { part, endpoints: Vec::new() };
        }
        Endpoint::Operator => {
            let part = "in the error of an administrative call";
            return Place { part, endpoints: Vec::new() };
        }
        Endpoint::Token => "the token endpoint",
        Endpoint::Revocation => "the revocation endpoint",
        Endpoint::Introspection => "the introspection endpoint",
        Endpoint::Registration => "the registration endpoint",
        Endpoint::Management => "the endpoint of a registration",
        Endpoint::Resource => "a protected resource",
    };
    let is_challenge = match endpoint {
        // Another token would not help these.
        Endpoint::Resource => {
            let is_plain = matches!(
                reason,
                Reason::BalanceInsufficient | Reason::AccountForbidden | Reason::PrincipalMismatch
            );
            reason.status(endpoint) < 500 && !is_plain
        }
        _ => reason.code(endpoint).is_none(),
    };
    let part = if is_challenge { "in the challenge" } else { "in the JSON" };
    Place { part, endpoints: vec![name] }
}
