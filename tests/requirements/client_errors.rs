//! Tests of clients that cannot be built: each error names the value and the rule in a sentence.

use grantcore::Client;
use grantcore::client::{ClientError, StoredSecret};
use grantcore::value::{GrantTypes, RedirectRules, SecretMethod};

use crate::support::CALLBACK;

const NOTHING: GrantTypes = GrantTypes { authorization_code: false, refresh_token: false };

fn confidential() -> grantcore::client::ClientBuilder {
    let secret = StoredSecret::Digest(grantcore::value::Digest::of(b"a long random secret"));
    Client::confidential("web", SecretMethod::Basic, secret)
}

#[track_caller]
fn assert_message(built: Result<Client, ClientError>, message: &str) {
    assert_eq!(built.unwrap_err().to_string(), message);
}

#[test]
fn redir_01_the_error_of_a_missing_redirect_uri_names_the_fix() {
    let missing = "redirect_uris is empty: a client that uses the code flow has at least one \
        redirect URI, and a public client can use no other flow. Add one with redirect_uri(). For \
        a client with a secret that only asks for introspection, leave both grant types out.";
    assert_message(Client::public("app").build(), missing);
    assert_message(Client::public("app").grant_types(NOTHING).build(), missing);
    assert_message(confidential().build(), missing);
    assert_message(confidential().redirect_uri(CALLBACK).without_redirect_uris().build(), missing);
}

/// A resource server's client needs a secret and no redirect URI.
#[test]
fn redir_01_an_introspection_client_needs_no_redirect_uri() {
    let client = confidential().grant_types(NOTHING).build().unwrap();
    assert!(client.redirect_uris().is_empty());
    assert_eq!(client.grant_types(), NOTHING);
    let edited = client.clone().edit().name("Notes API").build().unwrap();
    assert_eq!(edited.grant_types(), NOTHING);
    let unused = "redirect URI 'https://app.example/cb' is refused: the client is not registered \
        for authorization_code, and no other grant type uses a redirect URI. Add \
        authorization_code to grant_types(), or drop the URI with without_redirect_uris().";
    assert_message(client.clone().edit().redirect_uri(CALLBACK).build(), unused);
    let both = GrantTypes { authorization_code: true, refresh_token: true };
    let flow = client.edit().redirect_uri(CALLBACK).grant_types(both).build().unwrap();
    assert_eq!(flow.grant_types(), both);
}

#[test]
fn redir_02_a_refused_uri_is_named_with_its_rule_and_its_fix() {
    for (uri, message) in [
        (
            "/cb",
            "redirect URI '/cb' is refused: a redirect URI is absolute. Register the whole URI, \
             such as https://app.example/callback.",
        ),
        (
            "https://app.example/cb#x",
            "redirect URI 'https://app.example/cb#x' is refused: a redirect URI has no fragment. \
             Leave the fragment out.",
        ),
        (
            "http://app.example/cb",
            "redirect URI 'http://app.example/cb' is refused: http is for loopback hosts only. \
             Use https, or one of the three loopback hosts in exactly this spelling.",
        ),
    ] {
        let built = Client::public("app").redirect_uri(CALLBACK).redirect_uri(uri).build();
        assert_message(built, message);
    }
}

/// A refused value is cleaned and cut before it is logged with the error.
#[test]
fn audit_07_a_refused_value_is_cleaned_and_bounded() {
    let uri = format!("https://app.example/\n{}", "x".repeat(3000));
    let error = Client::public("app").redirect_uri(&*uri).build().unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(r"redirect URI 'https://app.example/\nxxx"), "{message}");
    assert!(message.contains("x…' is refused: ") && message.len() < 500, "{message}");
}

#[test]
fn redir_18_too_many_uris_are_counted() {
    let rules = RedirectRules::default().with_limit(1);
    let client = Client::public("app").redirect_uri(CALLBACK).redirect_uri("https://b.example/cb");
    assert_message(
        client.build_under(&rules),
        "redirect_uris has 2 URIs: the redirect rules allow 1. Register fewer, or raise \
         RedirectRules::limit and pass the rules to build_under().",
    );
}

#[test]
fn client_05_refresh_tokens_without_codes_are_refused_by_name() {
    let refresh = GrantTypes { authorization_code: false, refresh_token: true };
    let message = "grant type refresh_token is refused: without authorization_code there is \
        nothing to refresh. Add authorization_code to grant_types(), or leave refresh_token out.";
    assert_message(confidential().grant_types(refresh).build(), message);
    let dynamic = Client::public("app")
        .redirect_uri(CALLBACK)
        .registration(grantcore::client::Registration::Dynamic);
    assert_message(dynamic.grant_types(refresh).build(), message);
}

#[test]
fn consent_14_a_refused_page_is_named_with_its_member() {
    let mut description = grantcore::client::ClientDescription::default();
    description.uri = Some("https://app.example/".to_owned());
    description.tos_uri = Some("http://app.example/tos".to_owned());
    assert_message(
        Client::public("app").redirect_uri(CALLBACK).description(description).build(),
        "tos_uri 'http://app.example/tos' is refused: a client's pages and its logo are at https \
         URLs of at most 2048 URI characters, with a host and without user and password. Correct \
         the URL, or leave tos_uri out.",
    );
}

#[test]
fn client_06_a_refused_client_id_is_named() {
    assert_message(
        Client::public("naïve").redirect_uri(CALLBACK).build(),
        "client_id 'na\\u{ef}ve' is refused: a client_id is 1 to 2,048 printable ASCII \
         characters. Choose another.",
    );
}

/// The redirect URIs stay, so that the refusal can be sent to the client.
#[test]
fn authz_16_a_client_of_the_operator_can_lose_the_code_flow_and_get_it_back() {
    let client = Client::public("app").redirect_uri(CALLBACK).build().unwrap();
    let without = client.clone().edit().grant_types(NOTHING).build().unwrap();
    assert_eq!(without.grant_types(), NOTHING);
    assert_eq!(without.redirect_uris(), client.redirect_uris());
    let lifted = without.clone().edit().without_restrictions().build().unwrap();
    let stated = without.edit().grant_types(client.grant_types()).build().unwrap();
    assert_eq!((&lifted, &stated), (&client, &client));
}
