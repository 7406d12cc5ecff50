//! A client of each kind, as an operator, a registration or a document creates it.

use grantcore::client::{
    ApplicationType, Authentication, ClientDescription, ConsentMode, StoredSecret,
};
use grantcore::policy::RegistrationRules;
use grantcore::value::{
    Digest, GrantTypes, LoopbackPorts, MachineRights, Overlap, Scope, SecretMethod, Subject,
};
use grantcore::{Client, Timestamp};
use serde_json::Value;

use crate::support::clients::{DOCUMENT, ask, confidential, document, managed, metadata, with};
use crate::support::params::Params;
use crate::support::{CALLBACK, Granted, SECRET, World, app, policy, web};

const NOTHING: GrantTypes = GrantTypes { authorization_code: false, refresh_token: false };

/// The form of a slow hash, which the host verifies.
const SLOW_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";

pub(crate) fn clients() -> Vec<(&'static str, Client)> {
    let mut all = of_the_operator();
    all.extend(of_themselves());
    all
}

fn of_the_operator() -> Vec<(&'static str, Client)> {
    let slow = || StoredSecret::SlowHash(SLOW_HASH.into());
    let by_person = || {
        let client = Client::confidential("by-person", SecretMethod::Basic, slow());
        client.redirect_uri(CALLBACK).build().unwrap()
    };
    vec![
        ("client-public", app()),
        ("client-confidential", web()),
        ("client-confidential-slow-hash", by_person()),
        ("client-confidential-introspection", introspecting()),
        ("client-confidential-rotated", rotated(web())),
        ("client-confidential-slow-hash-rotated", rotated(by_person())),
        ("client-machine", machine()),
        ("client-machine-with-code-flow", machine_with_code_flow()),
        ("client-federated", federated()),
        ("client-described", described()),
        ("client-code-flow-restricted", restricted_by_the_operator()),
        ("client-skipping", web().edit().consent(ConsentMode::Skip).build().unwrap()),
        ("client-deactivated", app().deactivated()),
        ("client-grants-ended", app().with_grants_ended()),
        ("client-deleted", app().deleted()),
    ]
}

/// Returns a client with two secrets.
fn rotated(client: Client) -> Client {
    let new = StoredSecret::Digest(Digest::of(b"the new secret of a client"));
    let now = Timestamp::from_unix_seconds(crate::support::T);
    client.with_new_secret(new, Overlap::default(), now).unwrap()
}

/// Returns a resource server's client, without a code flow.
fn introspecting() -> Client {
    let secret = StoredSecret::Digest(Digest::of(b"a secret of the operator's choice"));
    Client::confidential("resource-server", SecretMethod::Post, secret)
        .grant_types(NOTHING)
        .build()
        .unwrap()
}

/// Returns a client that acts on its own behalf alone, at every resource.
pub(crate) fn machine() -> Client {
    let rights = MachineRights::new("read write".parse().unwrap());
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Client::machine("machine", secret, rights).build().unwrap()
}

/// Returns a client that acts for users and on its own behalf, there at two resources.
fn machine_with_code_flow() -> Client {
    let rights = MachineRights::new("admin".parse().unwrap());
    let rights = rights.at("https://mcp.example/mcp").at("https://notes.example/");
    web().edit().machine(rights).build().unwrap()
}

fn federated() -> Client {
    let rights = MachineRights::new("read".parse().unwrap()).at("https://mcp.example/mcp");
    Client::federated("workload", rights).build().unwrap()
}

fn restricted_by_the_operator() -> Client {
    app().edit().grant_types(NOTHING).build().unwrap()
}

/// Returns a client with every field that an operator can set.
fn described() -> Client {
    let page = |name: &str| Some(format!("https://app.example/{name}"));
    let mut description = ClientDescription::default();
    description.name = Some("The App “Ünïcode” \u{202e}".to_owned());
    (description.uri, description.logo_uri, description.tos_uri, description.policy_uri) =
        (page(""), page("logo"), page("tos"), page("privacy"));
    description.contacts = vec!["ops@app.example".to_owned(), "+49 30 1".to_owned()];
    description.application_type = Some(ApplicationType::Native);
    (description.software_id, description.software_version) =
        (Some("the-app".to_owned()), Some("1.2.3".to_owned()));
    Client::public("the app, described")
        .description(description)
        .redirect_uri("http://127.0.0.1/callback")
        .redirect_uri("com.example.app:/cb?x=1")
        .scope(Scope::parse("write read").unwrap())
        .loopback_ports(LoopbackPorts::IpLiterals)
        .owner(Subject::new("bob"))
        .trusted(false)
        .build()
        .unwrap()
}

fn of_themselves() -> Vec<(&'static str, Client)> {
    let registered = |metadata: &Value| {
        let (world, own) = managed(metadata);
        world.client(&own.id).unwrap()
    };
    vec![
        ("client-dynamic", registered(&metadata())),
        ("client-dynamic-confidential", registered(&confidential())),
        ("client-dynamic-web", registered(&with(metadata(), "application_type", "web"))),
        ("client-dynamic-unmanaged", unmanaged()),
        ("client-dynamic-renewed", renewed()),
        ("client-dynamic-deleted", deleted()),
        ("client-dynamic-restricted", restricted()),
        ("client-document", documented()),
    ]
}

/// Returns a registration of a server without management of registrations.
fn unmanaged() -> Client {
    let rules = RegistrationRules::default().with_management(false);
    let world = World::with(policy().registration(rules));
    let registered = world.registered(&metadata());
    world.client(registered["client_id"].as_str().unwrap()).unwrap()
}

/// Returns a client with every restriction that an operator can set.
fn restricted() -> Client {
    let (world, own) = managed(&confidential());
    let edited = world.client(&own.id).unwrap().edit();
    edited
        .scope(Scope::parse("read").unwrap())
        .grant_types(GrantTypes { authorization_code: true, refresh_token: false })
        .authentication(Authentication::by_secret(
            SecretMethod::Basic,
            StoredSecret::Digest(Digest::of(b"a secret of the operator's choice")),
        ))
        .build()
        .unwrap()
}

/// Returns a client whose lifetime was extended by a grant.
fn renewed() -> Client {
    let (world, own) = managed(&metadata());
    let before = world.client(&own.id).unwrap();
    world.at(60);
    let code = world.code(&ask(&own.id));
    assert!(Granted::of(&world.token(&own.proven(Params::redeem(&code)))).refresh.is_some());
    let after = world.client(&own.id).unwrap();
    assert!(after.expires() > before.expires());
    after
}

fn deleted() -> Client {
    let (world, own) = managed(&metadata());
    assert_eq!(world.manage("DELETE", &own.id, &own.token, &Value::Null).status, 204);
    world.client(&own.id).unwrap()
}

fn documented() -> Client {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.client(DOCUMENT).unwrap()
}
