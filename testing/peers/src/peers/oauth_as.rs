//! `oauth-as`. Its check is `introspect`, the form for hosts: it looks the token up by its text, and
//! looks at its expiry. The host compares the scope.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oauth_as::server::UserApproval;
use oauth_as::{
    AuthorizationRequest, AuthorizationServer, Client, ClientAuth, ClientId, Clock, GrantType,
    MemoryStorage, ScopeSet, ServerConfig, TokenRequest,
};

use crate::support::steps::{LIVE, Measured, spread};
use crate::support::{CHALLENGE, VERIFIER};

const WHO: &str = "oauth-as 1.0.1";
const REDIRECT: &str = "https://app.example/cb";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
}

type Server = AuthorizationServer<MemoryStorage, Fixed>;

pub(super) fn steps() -> Vec<Measured> {
    let server: &'static Server = Box::leak(Box::new(Server::with_clock(
        ServerConfig::new("https://auth.example", "https://auth.example/device"),
        MemoryStorage::new(),
        Fixed,
    )));
    let client = Client {
        client_id: ClientId::new("app"),
        auth: ClientAuth::Public,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![REDIRECT.to_owned()],
        allowed_scopes: ScopeSet::parse("read write").unwrap(),
        default_scopes: ScopeSet::parse("read").unwrap(),
        name: Some("App".to_owned()),
        registration: None,
    };
    ready(server.register_client(client)).unwrap();
    let held: Vec<_> = (0..LIVE)
        .map(|number| {
            let code = code(server, &request(), &format!("user-{number}"));
            ready(server.token(redemption(code))).unwrap().access_token.to_string()
        })
        .collect();
    let needed = ScopeSet::parse("read").unwrap();
    let mut next = spread(Box::leak(held.into_boxed_slice()));
    vec![
        Measured::new(
            "authorize",
            WHO,
            request,
            |request| {
                let validated = ready(server.validate_authorization_request(&request)).unwrap();
                let approval = UserApproval::granted(&validated, "alice");
                let response = ready(server.issue_authorization_code(approval)).unwrap();
                drop(black_box(response.location(&validated.redirect_uri)));
            },
            || {},
        ),
        Measured::new(
            "redeem",
            WHO,
            || redemption(code(server, &request(), "alice")),
            |request| answer(server, request),
            || {},
        ),
        Measured::new(
            "refresh",
            WHO,
            || {
                let issued = ready(server.token(redemption(code(server, &request(), "alice"))));
                TokenRequest::RefreshToken {
                    client_id: ClientId::new("app"),
                    client_secret: None,
                    refresh_token: issued.unwrap().refresh_token.unwrap().to_string(),
                    scope: None,
                }
            },
            |request| answer(server, request),
            || {},
        ),
        Measured::new(
            "check",
            WHO,
            move || next().as_str(),
            move |token| {
                let token = ready(server.introspect(token)).unwrap().unwrap();
                assert!(black_box(needed.is_subset(&token.scope)));
            },
            || {},
        ),
    ]
}

fn request() -> AuthorizationRequest<'static> {
    AuthorizationRequest::from_pairs([
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ])
}

fn code(server: &Server, request: &AuthorizationRequest<'_>, user: &str) -> String {
    let validated = ready(server.validate_authorization_request(request)).unwrap();
    let approval = UserApproval::granted(&validated, user);
    ready(server.issue_authorization_code(approval)).unwrap().code.to_string()
}

fn redemption(code: String) -> TokenRequest {
    TokenRequest::AuthorizationCode {
        client_id: ClientId::new("app"),
        client_secret: None,
        code,
        redirect_uri: Some(REDIRECT.to_owned()),
        code_verifier: Some(VERIFIER.to_owned()),
    }
}

fn answer(server: &Server, request: TokenRequest) {
    let response = ready(server.token(request)).unwrap();
    drop(black_box(serde_json::to_string(&response).unwrap()));
}

/// The store is in memory, so that no future waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future waits"),
    }
}
