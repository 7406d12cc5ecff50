//! Tests of CLIENT-20 and -24: the id of a registered client, its authentication, and its use.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::Server;
use grantcore::moment::Entropy;
use grantcore::policy::{AuthMethods, RegistrationRules};
use grantcore::{AuthorizationStep, Choice, Client, FromStore, MemoryStore, Reason, Timestamp};

use crate::support::clients::{Own, ask, code_in, metadata, posting, with, without};
use crate::support::params::Params;
use crate::support::{Answered, CALLBACK, Granted, T, World, json as body, policy, user};

#[test]
fn client_20_an_id_is_128_random_bits_in_url_safe_characters() {
    let plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let confidential = without(metadata(), "token_endpoint_auth_method");
    let register = |bytes: [u8; 128]| {
        let server = Server::with_sources(
            policy().registration(RegistrationRules::default()).build().unwrap(),
            MemoryStore::new(),
            FromStore,
            || Timestamp::from_unix_seconds(T),
            move || Ok(Entropy::from_bytes(bytes)),
        );
        Own::of(body(
            &server
                .register(&posting(confidential.to_string().as_bytes()))
                .answered(server.policy()),
        ))
    };
    let mut seen = BTreeSet::new();
    for bit in 0..1024 {
        let mut bytes = [if bit % 2 == 0 { 0xFF } else { 0x5B }; 128];
        bytes[bit / 8] ^= 1 << (bit % 8);
        let own = register(bytes);
        assert_eq!(own.id, format!("gcl_{}", URL_SAFE_NO_PAD.encode(&bytes[16..32])));
        assert!(
            seen.insert(own.id.clone()) || !(128..256).contains(&bit),
            "each bit changes the id"
        );
        let secret = own.secret.unwrap();
        assert!(
            [&own.id, &secret, &own.token].into_iter().all(|text| plain(text)),
            "{secret} {}",
            own.token
        );
        let [secret, token] =
            [&secret, &own.token].map(|text| URL_SAFE_NO_PAD.decode(&text[4..]).unwrap());
        assert_eq!(
            (&*secret, &*token),
            (&bytes[32..64], &bytes[64..96]),
            "256 bits each, and none of them shared"
        );
    }
}

/// A user may have the same name as a client. A resource can still distinguish them.
#[test]
fn client_20_a_resource_can_distinguish_user_and_client() {
    let world = World::open();
    let own = world.own(&metadata());
    let user = user(&own.id, b"a browser");
    let step = world.authorize_as(&ask(&own.id), Some(user)).unwrap();
    let AuthorizationStep::NeedsConsent(page) = step else { panic!("{step:?}") };
    let location =
        world.server.consent(&page.ticket(), user, Choice::Allow).unwrap().into_location();
    let redeem = Params::redeem(&code_in(&location)).set("client_id", &own.id);
    let named = Granted::of(&world.token(&redeem));
    let alices = world.tokens_by(&own);
    let who = |token: &str| {
        let access = world.access(token);
        (access.client_id().to_string(), access.subject().unwrap().as_str().to_owned())
    };
    assert_eq!(who(&alices.access), (own.id.clone(), "alice".to_owned()));
    assert_eq!(who(&named.access), (own.id.clone(), own.id));
}

/// The offered methods, and the method that a client gets if it requests `none`,
/// `client_secret_basic`, `client_secret_post` or nothing.
const NEGOTIATED: [([bool; 3], [&str; 3]); 7] = [
    ([true, false, false], ["none", "none", "none"]),
    ([false, true, false], ["client_secret_basic", "client_secret_basic", "client_secret_basic"]),
    ([false, false, true], ["client_secret_post", "client_secret_post", "client_secret_post"]),
    ([true, true, false], ["none", "client_secret_basic", "client_secret_basic"]),
    ([true, false, true], ["none", "client_secret_post", "client_secret_post"]),
    ([false, true, true], ["client_secret_basic", "client_secret_basic", "client_secret_post"]),
    ([true, true, true], ["none", "client_secret_basic", "client_secret_post"]),
];

#[test]
fn client_24_a_method_that_is_not_offered_is_replaced() {
    for ([none, basic, post], gets) in NEGOTIATED {
        let methods = AuthMethods::default()
            .with_public_clients(none)
            .with_client_secret_basic(basic)
            .with_client_secret_post(post);
        let world =
            World::with(policy().registration(RegistrationRules::default()).auth_methods(methods));
        let requests = ["none", "client_secret_basic", "client_secret_post", ""];
        for (requested, got) in requests.into_iter().zip(gets.into_iter().chain([gets[1]])) {
            let own = world.own(&with(metadata(), "token_endpoint_auth_method", requested));
            let registered = &own.response["token_endpoint_auth_method"];
            assert_eq!(registered, got, "{requested} of {methods:?}");
            let issued = ["client_secret", "client_secret_expires_at"]
                .map(|member| own.response.get(member).is_some());
            assert_eq!(issued, [got != "none"; 2], "{requested} of {methods:?}");
            let by_form = world.token(&own.proven(Params::refresh("x")));
            assert_eq!(
                by_form.status == 400,
                got != "client_secret_basic",
                "the response is authoritative: {}",
                by_form.body
            );
        }
    }
}

/// One large client registers twice at each connection, a second or two apart, and uses either
/// registration.
#[test]
fn client_24_the_same_registration_twice_makes_two_working_clients() {
    for method in ["none", "client_secret_post"] {
        let world = World::open();
        let requested = with(metadata(), "token_endpoint_auth_method", method);
        let first = world.own(&requested);
        world.at(1);
        let both = [first, world.own(&requested)];
        assert_ne!(both[0].id, both[1].id);
        for own in &both {
            let mut tokens = world.tokens_by(own);
            for _ in 0..2 {
                assert_eq!(world.access(&tokens.access).client_id().as_str(), own.id);
                tokens = Granted::of(&world.token(&own.proven(Params::refresh(tokens.refresh()))));
            }
            assert!(world.works(&tokens.access));
        }
    }
}

/// better-auth, CVE-2026-53512: the secret was checked for codes and not for refresh tokens. A
/// verifier does not replace it (windmill, GHSA-q9xg-f2v2-695g).
#[test]
fn cve_2026_53512_a_registered_client_authenticates_for_every_grant_type() {
    let world = World::open();
    let own = world.own(&with(metadata(), "token_endpoint_auth_method", "client_secret_post"));
    let tokens = world.tokens_by(&own);
    let redeem = own.proven(Params::redeem(&world.code(&ask(&own.id))));
    for params in [redeem, own.proven(Params::refresh(tokens.refresh()))] {
        world.refused(
            &params.clone().without("client_secret"),
            401,
            "invalid_client",
            Reason::ClientSecretMissing,
        );
        world.refused(
            &params.clone().set("client_secret", &own.token),
            401,
            "invalid_client",
            Reason::ClientSecretWrong,
        );
        Granted::of(&world.token(&params));
    }
}

/// Doorkeeper, CVE-2023-34246: another client with the id of a public client could use its earlier
/// consent.
#[test]
fn cve_2023_34246_a_registered_public_client_is_asked_again() {
    let world = World::open();
    let own = world.own(&metadata());
    for _ in 0..2 {
        let tokens = world.tokens_by(&own);
        assert!(world.works(&tokens.access));
        world.page(&ask(&own.id));
    }
}

/// A client that moves its redirect URI is another client than before.
#[test]
fn client_19_clients_with_other_redirect_uris_differ() {
    let at = |uri: &str| Client::public("own").redirect_uri(uri).build().unwrap();
    assert_eq!(at(CALLBACK), at(CALLBACK));
    assert_ne!(at(CALLBACK), at("https://app.example/elsewhere"));
}
