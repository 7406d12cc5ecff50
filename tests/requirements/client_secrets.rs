//! Tests of STORE-04 for clients (I25): the secrets of a registration are in its response and
//! nowhere else, in any encoding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::operation::Operation;
use grantcore::policy::RegistrationRules;
use grantcore::request::{ManagementRequest, RegistrationRequest};
use grantcore::store::Commit;
use grantcore::value::Digest;
use grantcore::{Authorization, Reply, RequestParts};
use serde_json::{Value, json};

use crate::store_secrets::found;
use crate::support::clients::{Own, metadata, posting, with};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{World, entropy, json as body, policy};

/// Returns the text and the bytes of each secret.
fn secrets(own: &Own) -> Vec<Vec<u8>> {
    let texts = own.secret.iter().chain([&own.token]);
    texts
        .flat_map(|text| [text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(&text[4..]).unwrap()])
        .collect()
}

/// Returns everything that is stored and logged of this client.
fn kept(world: &World, id: &str) -> String {
    let client = world.client(id).unwrap();
    let record = serde_json::to_string(&client).unwrap();
    let binary = serde_json::to_value(&client).unwrap();
    format!(
        "{record} {binary} {client:?} {client:#?} {:?} {:?} {:?}",
        world.store.inner,
        world.events(),
        world.server.policy()
    )
}

/// Returns the debug texts of a decision on this request, before and after it is opened.
fn decided<O: Operation>(
    world: &World,
    request: &O,
    seed: u64,
    reply: impl Fn(O::Response) -> Reply,
) -> (String, Reply)
where
    O::Response: std::fmt::Debug,
{
    let moment = world.moment(entropy(seed));
    let decision = world.decision(request, &moment);
    let sealed = format!(
        "{decision:?} {decision:#?} {:?} {:?} {moment:?}",
        decision.write(),
        request.keys(world.server.policy(), &moment)
    );
    let settled = decision.settle(Commit::Done).unwrap();
    let opened = format!("{settled:?} {settled:#?}");
    let reply = reply(settled.outcome.unwrap());
    (format!("{sealed} {opened} {reply:?} {reply:#?}"), reply)
}

#[test]
fn store_04_a_registration_stores_digests_only() {
    let world = World::open();
    let requested = with(metadata(), "token_endpoint_auth_method", "client_secret_post");
    let mut shown = String::new();
    let sent = requested.to_string();
    let reply = world.post_registration(&posting(sent.as_bytes()));
    shown.extend([format!("{reply:?} {reply:#?}")]);
    let own = Own::of(body(&reply));

    let request =
        RegistrationRequest::parse(&posting(sent.as_bytes()), world.server.policy()).unwrap();
    let (text, reply) =
        decided(&world, &request, 50, |registered| registered.reply(world.server.policy()));
    shown.extend([text]);
    let other = Own::of(body(&reply));

    // Manages the registration in each way, with valid and invalid requests.
    for (method, update) in [
        ("GET", Value::Null),
        ("PUT", own.update(requested.clone())),
        ("PUT", with(own.update(requested.clone()), "client_secret", own.secret.as_deref())),
        ("PUT", with(own.update(requested.clone()), "client_secret", &*own.token)),
        ("PUT", with(own.update(requested.clone()), "registration_access_token", &*own.token)),
        ("POST", Value::Null),
    ] {
        let reply = world.manage(method, &own.id, &own.token, &update);
        shown.extend([format!("{reply:?}")]);
        let response = if reply.status == 200 {
            body(&reply)["registration_access_token"] == own.token
        } else {
            false
        };
        assert_eq!(response, reply.status == 200);
        if reply.status != 200 {
            shown.extend([&*reply.body]);
        }
    }
    let bearer = format!("Bearer {}", own.token);
    for method in ["GET", "PUT", "DELETE"] {
        let update = own.update(metadata()).to_string();
        let incoming = RequestParts {
            method,
            authorization: Authorization::One(bearer.as_bytes()),
            ..posting(update.as_bytes())
        };
        let request = ManagementRequest::parse(&own.id, &incoming, world.server.policy()).unwrap();
        shown.extend([decided(&world, &request, 51, |managed| {
            managed.reply(world.server.policy())
        })
        .0]);
    }
    shown.extend([world.token(&own.proven(Params::refresh("x"))).body]);
    shown.extend([world
        .token(&own.proven(Params::refresh("x")).set("client_secret", &own.token))
        .body]);
    world.store.fail([Fault::Dropped]);
    let failure = world.server.register(&posting(sent.as_bytes())).unwrap_err();
    shown.extend([format!("{failure:?} {failure:#?}")]);
    shown.extend([kept(&world, &own.id)]);

    let all: Vec<_> = [&own, &other].into_iter().flat_map(secrets).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(found(&shown, &all), [""; 0]);
    assert!(
        shown.contains("ClientRegistered")
            && shown.contains("ClientDeleted")
            && shown.contains(&own.id)
    );
    assert!(found(&reply.body, &all).len() >= 4, "the search finds values that exist");
}

#[test]
fn store_04_a_secret_of_an_update_is_returned_once() {
    let world = World::open();
    let public = world.own(&metadata());
    let requested = with(metadata(), "token_endpoint_auth_method", "client_secret_basic");
    let update = public.update(requested.clone()).to_string();
    let bearer = format!("Bearer {}", public.token);
    let incoming = RequestParts {
        method: "PUT",
        authorization: Authorization::One(bearer.as_bytes()),
        ..posting(update.as_bytes())
    };
    let request = ManagementRequest::parse(&public.id, &incoming, world.server.policy()).unwrap();
    let (mut shown, reply) =
        decided(&world, &request, 50, |managed| managed.reply(world.server.policy()));
    let sealed = Own::of(body(&reply));
    let own = Own::of(world.updated(&public, requested));
    shown.extend([kept(&world, &own.id)]);
    shown.extend([without_token(&world.manage("GET", &own.id, &own.token, &Value::Null), &own)]);
    let all: Vec<_> = [&sealed, &own].into_iter().flat_map(secrets).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(found(&shown, &all), [""; 0]);
}

/// Returns the body without the one secret that it must have.
fn without_token(reply: &Reply, own: &Own) -> String {
    assert!(reply.body.contains(&own.token), "{}", reply.body);
    reply.body.replace(&own.token, "")
}

/// A stored digest is the digest of the secret's text, and no endpoint accepts it as a secret.
#[test]
fn store_04_a_stored_digest_authenticates_no_client() {
    let world = World::open();
    let own = world.own(&with(metadata(), "token_endpoint_auth_method", "client_secret_post"));
    let record = serde_json::to_value(world.client(&own.id).unwrap()).unwrap();
    let digest = |text: &str| serde_json::to_value(Digest::of(text.as_bytes())).unwrap();
    let secret = &record["kind"]["proved"]["by"]["secret"]["secrets"]["current"]["digest"];
    let management = &record["origin"]["dynamic"]["registration_access_token_digest"];
    assert_eq!(
        (secret, management),
        (&digest(own.secret.as_deref().unwrap()), &digest(&own.token))
    );
    let [secret, management] =
        [secret, management].map(|digest| digest.as_str().unwrap().to_owned());
    for stored in [
        secret.clone(),
        management.clone(),
        format!("gcs_{secret}"),
        format!("gcm_{management}"),
        format!("gcm_{secret}"),
    ] {
        assert_eq!(world.manage("GET", &own.id, &stored, &Value::Null).status, 401);
        assert_eq!(
            world
                .token(
                    &Params::refresh("x").set("client_id", &own.id).set("client_secret", &stored)
                )
                .status,
            401
        );
    }
}

/// An initial access token, which many clients may share, is not stored.
#[test]
fn store_04_an_initial_access_token_is_not_stored() {
    let token = "an-initial-access-token-0123456789";
    let world = World::with(policy().registration(
        RegistrationRules::default().with_initial_access_tokens([Digest::of(token.as_bytes())]),
    ));
    let header = format!("Bearer {token}");
    let sent = metadata().to_string();
    let reply = world.register_bytes(sent.as_bytes(), Authorization::One(header.as_bytes()));
    let own = Own::of(body(&reply));
    let wrong = world.register_bytes(
        json!([token]).to_string().as_bytes(),
        Authorization::One(header.as_bytes()),
    );
    let shown = format!(
        "{} {reply:?} {} {} {:?}",
        kept(&world, &own.id),
        reply.body,
        wrong.body,
        world.server.policy()
    );
    assert_eq!((wrong.status, found(&shown, &[token.as_bytes().to_vec()])), (400, vec![]));
}
