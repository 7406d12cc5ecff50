//! The words and identifiers of the protocol as Rust values, and what requests print (I25).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantcore::moment::CorrelationId;
use grantcore::policy::RegistrationRules;
use grantcore::request::{
    AuthorizationRequest, ConsentDecision, IntrospectionRequest, ManagementRequest,
    RegistrationRequest, RevocationRequest, TokenRequest,
};
use grantcore::value::{ClientId, GrantId, GrantType, GrantTypes, Scope, SecretMethod, Subject};
use grantcore::{Authorization, Choice, ContentType, RequestParts};

use crate::support::params::Params;
use crate::support::{ALICE, SECRET, VERIFIER, World, policy};

/// Reads a text, and returns what the value prints and lends.
fn read_back<T>(text: &str) -> (String, String)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + AsRef<str>,
{
    let value: T = text.parse().unwrap();
    (value.to_string(), value.as_ref().to_owned())
}

#[test]
fn words_and_ids_print_what_they_are_read_from() {
    let same = |text: &str| (text.to_owned(), text.to_owned());
    for word in ["client_secret_basic", "client_secret_post"] {
        assert_eq!(read_back::<SecretMethod>(word), same(word));
        assert_eq!(serde_json::to_value(word.parse::<SecretMethod>().unwrap()).unwrap(), word);
    }
    for word in ["authorization_code", "refresh_token"] {
        assert_eq!(read_back::<GrantType>(word), same(word));
    }
    assert_eq!(read_back::<Scope>(" b a b"), same("a b"));
    assert_eq!(read_back::<ClientId>("https://a.example/c"), same("https://a.example/c"));
    assert_eq!(read_back::<Subject>("Jürgen"), same("Jürgen"));
    let id = "AAECAwQFBgcICQoLDA0ODw";
    assert_eq!(id.parse::<GrantId>().unwrap().to_string(), id);

    for text in ["none", "Client_secret_basic", "client_secret_basic ", ""] {
        assert!(text.parse::<SecretMethod>().is_err(), "{text}");
        assert!(text.parse::<GrantType>().is_err(), "{text}");
    }
    for text in ["", " ", "a\"", "ä"] {
        assert!(text.parse::<Scope>().is_err(), "{text}");
    }
    for text in ["", "ä", "\n"] {
        assert!(text.parse::<ClientId>().is_err(), "{text}");
    }
    for text in ["", "AAECAwQFBgcICQoLDA0OD", "AAECAwQFBgcICQoLDA0OD0", "AAECAwQFBgcICQoLDA0ODw=="]
    {
        assert!(text.parse::<GrantId>().is_err(), "{text}");
    }
}

#[test]
fn ids_of_requests_and_grants_print_all_of_their_bits() {
    let mut bytes = [0_u8; 16];
    for round in 0..=u8::MAX {
        for (index, byte) in (0_u8..).zip(&mut bytes) {
            *byte = round.wrapping_mul(7).wrapping_add(index.wrapping_mul(round | 1));
        }
        let hexadecimal = format!("{:032x}", u128::from_be_bytes(bytes));
        assert_eq!(CorrelationId::from_bytes(bytes).to_string(), hexadecimal);
        assert_eq!(GrantId::from_bytes(bytes).to_string(), URL_SAFE_NO_PAD.encode(bytes));
    }
}

#[test]
fn the_set_of_grant_types_lists_its_words() {
    let both = GrantTypes { authorization_code: true, refresh_token: true };
    assert!(both.iter().eq([GrantType::AuthorizationCode, GrantType::RefreshToken]));
    assert!(!both.contains(GrantType::ClientCredentials), "it is in the client's machine rights");
    let one = GrantTypes { refresh_token: false, ..both };
    assert!(one.contains(GrantType::AuthorizationCode) && !one.contains(GrantType::RefreshToken));
    assert!(one.iter().eq([GrantType::AuthorizationCode]));
}

/// Nothing that a request presents as a proof is printed, in the form or decoded.
#[test]
fn i25_a_request_prints_no_secret() {
    let world = World::with(policy().registration(RegistrationRules::default()));
    let policy = world.server.policy();
    let basic = STANDARD.encode(format!("web:{SECRET}"));
    let basic = format!("Basic {basic}");
    let bearer = format!("Bearer {SECRET}");
    let ticket = world.page(&Params::authorize()).ticket();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    let form = |params: &Params| params.encode().into_bytes();
    let redeem = form(&Params::redeem(&code));
    let refresh = form(&Params::refresh(tokens.refresh()));
    let named = form(&Params::refresh("").set("token", &tokens.access));
    let query = form(&Params::authorize().set("state", SECRET));
    let posted = |body, authorization| RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        authorization,
        body,
        ..RequestParts::default()
    };
    let by_basic = Authorization::One(basic.as_bytes());
    let metadata = br#"{"client_name":"Notes","redirect_uris":["https://app.example/cb"]}"#;
    let registering = RequestParts {
        content_type: ContentType::JSON,
        ..posted(metadata, Authorization::One(bearer.as_bytes()))
    };
    let asking = RequestParts { method: "GET", query: &query, ..RequestParts::default() };
    let managing = RequestParts { method: "GET", ..registering };

    let mut printed = String::new();
    let mut print = |value: &dyn std::fmt::Debug| {
        writeln!(printed, "{value:?}\n{value:#?}").unwrap();
    };
    print(&posted(&redeem, by_basic));
    print(&asking);
    print(&TokenRequest::parse(&posted(&redeem, Authorization::None), policy).unwrap());
    print(&TokenRequest::parse(&posted(&refresh, Authorization::None), policy).unwrap());
    print(&RevocationRequest::parse(&posted(&named, Authorization::None), policy).unwrap());
    print(&IntrospectionRequest::parse(&posted(&named, Authorization::None), policy).unwrap());
    print(&AuthorizationRequest::parse(&asking, Some(ALICE), policy).unwrap());
    print(&ConsentDecision::new(&ticket, ALICE, Choice::Allow).unwrap());
    print(&RegistrationRequest::parse(&registering, policy).unwrap());
    print(&ManagementRequest::parse("app", &managing, policy).unwrap());

    for secret in [
        &*ticket,
        &*code,
        tokens.refresh(),
        &*tokens.access,
        VERIFIER,
        SECRET,
        &*basic,
        "alice's browser",
    ] {
        // Where the prefix is left out, what follows it is the secret.
        let secret = secret.get(4..).unwrap();
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    for shown in ["app", "alice", "Notes"] {
        assert!(printed.contains(shown), "{shown} in {printed}");
    }
}
