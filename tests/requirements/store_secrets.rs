//! Tests of STORE-04: records and texts have no secret, in any encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use grantcore::client::StoredSecret;
use grantcore::moment::Moment;
use grantcore::operation::Operation;
use grantcore::request::{ConsentDecision, TokenRequest};
use grantcore::store::Commit;
use grantcore::value::SecretMethod;
use grantcore::{Authorization, Choice, Client, Reason};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{
    ALICE, CALLBACK, Granted, SECRET, VERIFIER, World, app, entropy, param, policy, web,
};

/// Returns one secret in every encoding that could reveal it.
fn spellings(secret: &[u8]) -> Vec<String> {
    let hex = |upper: bool| {
        secret
            .iter()
            .map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") })
            .collect::<String>()
    };
    let list = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let escaped: String = url::form_urlencoded::byte_serialize(secret).collect();
    let base64 = [
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    let text = String::from_utf8(secret.to_vec()).ok();
    base64.into_iter().chain([hex(false), hex(true), list(secret), escaped]).chain(text).collect()
}

/// Returns the text of a credential and its secret bytes, which follow the 16 bytes of the grant
/// id.
fn secrets_of(credential: &str) -> Vec<Vec<u8>> {
    let decoded = URL_SAFE_NO_PAD.decode(&credential[4..]).unwrap();
    let parts = decoded[16..].chunks_exact(32).map(<[u8]>::to_vec);
    std::iter::once(credential.as_bytes().to_vec()).chain(parts).collect()
}

pub(crate) fn found(shown: &str, secrets: &[Vec<u8>]) -> Vec<String> {
    secrets
        .iter()
        .flat_map(|secret| spellings(secret))
        .filter(|spelling| shown.contains(spelling.as_str()))
        .collect()
}

/// Returns all records, as a store writes them and as a log would show them.
fn stored(world: &World) -> String {
    let clients = [app(), web()]
        .map(|client| format!("{} {client:?}", serde_json::to_string(&client).unwrap()));
    let grants = world.grants().into_iter().map(|stored| {
        let grant = &*stored.record;
        format!("{} {grant:?} {grant:#?} {stored:?}", serde_json::to_string(grant).unwrap())
    });
    let trail = format!("{:?} {:?} {:?}", world.store.inner, world.events(), world.server.policy());
    clients.into_iter().chain(grants).chain([trail]).collect::<Vec<_>>().join("\n")
}

#[test]
fn store_04_records_and_debug_texts_have_digests_only() {
    let world = World::with(policy().replay_window(std::time::Duration::from_secs(30)));
    let mut shown = String::new();
    let mut show = |text: String| shown.extend([text, stored(&world)]);
    let moment = |seed| world.moment(entropy(seed));

    let page = world.page(&Params::authorize().by_web());
    show(format!("{page:?}"));
    let ticket = page.ticket();
    let decision = ConsentDecision::new(&ticket, ALICE, Choice::Allow).unwrap();
    show(format!(
        "{:?} {:?} {:?}",
        world.decision(&decision, &moment(50)),
        decision.keys(world.server.policy(), &moment(50)),
        moment(50)
    ));
    let redirect = world.decide(&ticket, Choice::Allow).unwrap();
    show(format!("{redirect:?}"));
    let code = param(&redirect.into_location(), "code").unwrap();

    let redeem = Params::redeem(&code).by_web();
    show(refusals(&world, &redeem));
    let (text, sealed) = decided(&world, &redeem, &moment(51));
    show(text);
    let reply = world.token(&redeem);
    show(format!("{reply:?}"));
    let first = Granted::of(&reply);
    show(format!("{:?}", world.access(&first.access)));
    let refresh = Params::refresh(first.refresh()).by_web();
    let (text, rotated) = decided(&world, &refresh, &moment(52));
    show(text);
    let second = Granted::of(&world.token(&refresh));
    let (text, again) = decided(&world, &refresh, &moment(53));
    show(text);
    assert_eq!(again, second, "inside the window");
    world.store.fail([Fault::Dropped]);
    show(format!(
        "{:?}",
        world
            .try_token(&Params::refresh(second.refresh()).by_web(), Authorization::None)
            .unwrap_err()
    ));
    world.at(30);
    show(format!("{:?} {:?}", world.token(&refresh), world.reason()));
    show(format!("{:?}", world.check(&second.access, &[]).unwrap_err()));

    let granted = [&first, &second, &sealed, &rotated]
        .into_iter()
        .flat_map(|tokens| [tokens.access.as_str(), tokens.refresh()]);
    let others = [VERIFIER.as_bytes(), SECRET.as_bytes(), ALICE.session()].map(<[u8]>::to_vec);
    let secrets: Vec<_> = granted
        .chain([ticket.as_str(), code.as_str()])
        .flat_map(secrets_of)
        .chain(others)
        .collect();
    assert_eq!(secrets.len(), 4 * 5 + 2 * 2 + 3);
    assert_eq!(found(&shown, &secrets), [""; 0]);
    assert!(
        shown.contains("refresh_reused") || shown.contains("RefreshReused"),
        "the flow was completed"
    );
    assert!(!found(&reply.body, &secrets).is_empty(), "the search finds values that exist");
}

/// Returns the responses to wrong requests with these secrets, and the debug texts of their
/// refusals.
fn refusals(world: &World, redeem: &Params) -> String {
    let wrong = [
        ("client_secret", "wrong"),
        ("redirect_uri", "https://x.example"),
        ("grant_type", "x"),
        ("code", "x"),
    ];
    let replies = wrong.map(|(name, value)| {
        let reply = world.token(&redeem.clone().set(name, value));
        assert_ne!(reply.status, 200);
        format!("{reply:?} {}", reply.body)
    });
    replies.concat()
}

/// Returns the debug texts of a decision on this request, before and after it is opened, with its
/// keys; and its tokens.
fn decided(world: &World, params: &Params, moment: &Moment) -> (String, Granted) {
    let body = params.encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
    let decision = world.decision(&request, moment);
    let sealed = format!(
        "{decision:?} {:?} {:?}",
        decision.write(),
        request.keys(world.server.policy(), moment)
    );
    let settled = decision.settle(Commit::Done).unwrap();
    (format!("{sealed} {settled:?}"), Granted::of(&settled.outcome.unwrap().reply()))
}

#[test]
fn store_04_look_up_is_by_the_grants_id() {
    let world = World::new();
    let tokens = world.tokens();
    for params in
        [Params::redeem(&world.code(&Params::authorize())), Params::refresh(tokens.refresh())]
    {
        let body = params.encode();
        let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
        let keys = request.keys(world.server.policy(), &world.moment(entropy(1)));
        assert!(world.grants().iter().any(|stored| Some(stored.record.id()) == keys.grant));
        assert_eq!((keys.client.as_named(), keys.subject.as_deref()), (Some("app"), None));
    }
}

#[test]
fn store_04_secrets_that_people_chose_need_a_slow_hash() {
    let chosen = || {
        Client::confidential(
            "web",
            SecretMethod::Post,
            StoredSecret::SlowHash("$slow$hunter2".into()),
        )
    };
    let probe = Params::refresh("x").by_web().set("client_secret", "hunter2");
    let without = World::new();
    without.put(chosen().redirect_uri(CALLBACK).build().unwrap());
    without.refused(&probe, 401, "invalid_client", Reason::ClientSecretWrong);
    let with = World::with(policy().slow_hash(
        |secret, hash| hash.strip_prefix("$slow$").map(str::as_bytes) == Some(secret),
        "$slow$",
    ));
    with.put(chosen().redirect_uri(CALLBACK).build().unwrap());
    with.refused(&probe, 400, "invalid_grant", Reason::RefreshUnknown);
    with.refused(
        &probe.set("client_secret", "hunter3"),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
}
