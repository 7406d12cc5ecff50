//! `oxide-auth`, with its PKCE extension. Its requests arrive as maps of decoded parameters.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;

use oxide_auth::endpoint::{
    AccessTokenFlow, AuthorizationFlow, OwnerConsent, OwnerSolicitor, RefreshFlow, ResourceFlow,
    Solicitation,
};
use oxide_auth::frontends::simple::endpoint::{Generic, Vacant};
use oxide_auth::frontends::simple::extensions::{AddonList, Extended, Pkce};
use oxide_auth::frontends::simple::request::{Request, Response};
use oxide_auth::primitives::authorizer::AuthMap;
use oxide_auth::primitives::generator::RandomGenerator;
use oxide_auth::primitives::issuer::TokenMap;
use oxide_auth::primitives::registrar::{Client, ClientMap, RegisteredUrl};
use oxide_auth::primitives::scope::Scope;

use crate::support::floor::{between, tokens};
use crate::support::steps::{LIVE, Measured, spread};
use crate::support::{CHALLENGE, VERIFIER};

const WHO: &str = "oxide-auth 0.6.1";
const REDIRECT: &str = "https://app.example/cb";

struct Alice;

impl OwnerSolicitor<Request> for Alice {
    fn check_consent(&mut self, _: &mut Request, _: Solicitation) -> OwnerConsent<Response> {
        OwnerConsent::Authorized("alice".to_owned())
    }
}

type Parts =
    Generic<ClientMap, AuthMap<RandomGenerator>, TokenMap<RandomGenerator>, Alice, Vec<Scope>>;
type Server = RefCell<Extended<Parts, AddonList>>;

pub(super) fn steps() -> Vec<Measured> {
    let redirect = RegisteredUrl::Semantic(REDIRECT.parse().unwrap());
    let mut registrar = ClientMap::new();
    registrar.register_client(Client::public("app", redirect, "read write".parse().unwrap()));
    let mut addons = AddonList::new();
    addons.push_code(Pkce::required());
    let parts = Generic {
        registrar,
        authorizer: AuthMap::new(RandomGenerator::new(16)),
        issuer: TokenMap::new(RandomGenerator::new(16)),
        solicitor: Alice,
        scopes: vec!["read".parse().unwrap()],
        response: Vacant,
    };
    let server: &'static Server =
        Box::leak(Box::new(RefCell::new(Extended::extend_with(parts, addons))));
    let held: Vec<_> = (0..LIVE)
        .map(|_| format!("Bearer {}", tokens(&redeem(server, redemption(server))).1))
        .collect();
    let mut next = spread(Box::leak(held.into_boxed_slice()));
    vec![
        Measured::new(
            "authorize",
            WHO,
            request,
            |request| drop(black_box(authorize(server, request))),
            || {},
        ),
        Measured::new(
            "redeem",
            WHO,
            || redemption(server),
            |request| drop(black_box(redeem(server, request))),
            || {},
        ),
        Measured::new(
            "refresh",
            WHO,
            || {
                let token = tokens(&redeem(server, redemption(server))).0;
                let fields = [("grant_type", "refresh_token"), ("client_id", "app")];
                posted(&fields, ("refresh_token", token))
            },
            |request| drop(black_box(refresh(server, request))),
            || {},
        ),
        Measured::new(
            "check",
            WHO,
            move || Request { auth: Some(next().clone()), ..Request::default() },
            |request| drop(black_box(check(server, request))),
            || {},
        ),
    ]
}

fn request() -> Request {
    let fields = [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    Request { query: map(&fields), ..Request::default() }
}

fn authorize(server: &Server, request: Request) -> String {
    let mut server = server.borrow_mut();
    let Ok(mut flow) = AuthorizationFlow::prepare(&mut *server) else { panic!("no flow") };
    let Ok(response) = flow.execute(request) else { panic!("refused") };
    response.location.unwrap().into()
}

fn redemption(server: &Server) -> Request {
    let location = authorize(server, request());
    let code = between(&location, "code=", '&');
    let code = code.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    posted(&fields, ("code", code))
}

fn redeem(server: &Server, request: Request) -> String {
    let mut server = server.borrow_mut();
    let Ok(mut flow) = AccessTokenFlow::prepare(&mut *server) else { panic!("no flow") };
    let Ok(response) = flow.execute(request) else { panic!("refused") };
    text(&response)
}

fn refresh(server: &Server, request: Request) -> String {
    let mut server = server.borrow_mut();
    let Ok(mut flow) = RefreshFlow::prepare(&mut *server) else { panic!("no flow") };
    let Ok(response) = flow.execute(request) else { panic!("refused") };
    text(&response)
}

fn check(server: &Server, request: Request) -> oxide_auth::primitives::grant::Grant {
    let mut server = server.borrow_mut();
    let Ok(mut flow) = ResourceFlow::prepare(&mut *server) else { panic!("no flow") };
    let Ok(grant) = flow.execute(request) else { panic!("refused") };
    grant
}

fn text(response: &Response) -> String {
    let body = response.body.as_ref().unwrap().as_str();
    assert!(body.contains("access_token"), "{body}");
    body.to_owned()
}

fn posted(fields: &[(&str, &str)], (name, value): (&str, String)) -> Request {
    let mut urlbody = map(fields);
    urlbody.insert(name.to_owned(), value);
    Request { urlbody, ..Request::default() }
}

fn map(fields: &[(&str, &str)]) -> HashMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
