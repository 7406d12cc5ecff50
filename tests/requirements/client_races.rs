//! Tests of CLIENT-12, -13 and -21 in parallel: a change of a registration is decided again on the
//! result of another change.

use grantcore::blocking::Server;
use grantcore::client::ClientStatus;
use grantcore::event::EventKind;
use grantcore::reason::ErrorCode;
use grantcore::{Authorization, Choice, MemoryStore, Reason, Reply, RequestParts, Timestamp};
use serde_json::{Value, json};

use crate::support::clients::{MOVED, Own, ask, confidential, managed, metadata, posting, with};
use crate::support::params::Params;
use crate::support::refused::{assert_page, codes, refused};
use crate::support::steps::DAY;
use crate::support::store::{Broken, Fault};
use crate::support::{Answered, CALLBACK, Outcome, T, World, assert_refused, json as body};

/// Manages the same registration by another request.
fn sent_by(
    server: &Server<&MemoryStore>,
    method: &str,
    own: &(String, String),
    sent: &Value,
) -> Reply {
    let bearer = format!("Bearer {}", own.1);
    let sent = with(sent.clone(), "client_id", &*own.0).to_string();
    let incoming = RequestParts {
        method,
        authorization: Authorization::One(bearer.as_bytes()),
        ..posting(sent.as_bytes())
    };
    server.manage(&own.0, &incoming).answered(server.policy())
}

/// Returns the id and the token of a registration, for another request.
fn key(own: &Own) -> (String, String) {
    (own.id.clone(), own.token.clone())
}

fn status(world: &World, own: &Own) -> ClientStatus {
    world.client(&own.id).unwrap().status()
}

#[test]
fn client_21_an_update_does_not_undo_a_deactivation() {
    for conflicts in 0..3 {
        let (world, own) = managed(&metadata());
        world.store.fail(vec![Fault::Conflict; conflicts]);
        let id = own.id.clone();
        world.meanwhile(move |server| {
            server.set_client_status(&id, ClientStatus::Deactivated).unwrap();
        });
        let reply = world.manage(
            "PUT",
            &own.id,
            &own.token,
            &own.update(with(metadata(), "client_name", "Other")),
        );
        assert_refused(&world, &reply, 401, "invalid_token", Reason::ManagementTokenWrong);
        assert_eq!(status(&world, &own), ClientStatus::Deactivated);
        assert_eq!(
            world.client(&own.id).unwrap().description().name.as_deref(),
            Some("Notes Helper")
        );
        let problem = refused(&world, &ask(&own.id)).problem(world.server.policy());
        assert_eq!(
            (problem.status, problem.code, world.reason()),
            (400, Some(ErrorCode::InvalidClient), Some(Reason::ClientDeactivated))
        );
    }
}

#[test]
fn client_21_a_deactivation_survives_an_update() {
    let (world, own) = managed(&metadata());
    let tokens = world.tokens_by(&own);
    let other = key(&own);
    world.meanwhile(move |server| {
        assert_eq!(
            sent_by(server, "PUT", &other, &with(metadata(), "client_name", "Other")).status,
            200
        );
    });
    world.server.set_client_status(&own.id, ClientStatus::Deactivated).unwrap();
    let client = world.client(&own.id).unwrap();
    assert_eq!(
        (client.status(), client.description().name.as_deref()),
        (ClientStatus::Deactivated, Some("Other"))
    );
    assert!(!world.works(&tokens.access));
    assert_eq!(world.manage("PUT", &own.id, &own.token, &own.update(metadata())).status, 401);
    assert_eq!(status(&world, &own), ClientStatus::Deactivated);
}

#[test]
fn client_21_an_applied_deactivation_without_acknowledgement_is_recognized() {
    let (world, own) = managed(&metadata());
    world.store.fail([Fault::AppliedThenConflict]);
    world.server.set_client_status(&own.id, ClientStatus::Deactivated).unwrap();
    assert_eq!(status(&world, &own), ClientStatus::Deactivated);
}

/// Requests that are decided on the client, and written just after another request has deleted it.
type Request = fn(&World, &Own, &str);

#[test]
fn client_13_nothing_undoes_a_deletion() {
    let requests: [Request; 5] = [
        |world, own, _| {
            assert_eq!(
                world.manage("PUT", &own.id, &own.token, &own.update(confidential())).status,
                401
            );
        },
        |world, own, _| {
            assert_eq!(world.manage("DELETE", &own.id, &own.token, &Value::Null).status, 204);
        },
        |world, own, _| {
            let _ = world.server.set_client_status(&own.id, ClientStatus::Deactivated).outcome();
        },
        |world, own, _| {
            // A reactivation writes only if it changes the status.
            let _ = world.server.set_client_status(&own.id, ClientStatus::Deactivated).outcome();
            let _ = world.server.set_client_status(&own.id, ClientStatus::Active).outcome();
        },
        |world, _, ticket| {
            // The approval renews the client first.
            let refusal = world.decide(ticket, Choice::Allow).unwrap_err();
            assert_page(world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
        },
    ];
    for (n, act) in requests.into_iter().enumerate() {
        let (world, own) = managed(&metadata());
        let ticket = world.page(&ask(&own.id)).ticket();
        let other = key(&own);
        world.meanwhile(move |server| {
            assert_eq!(sent_by(server, "DELETE", &other, &json!({})).status, 204);
        });
        act(&world, &own, &ticket);
        let reply = refused(&world, &ask(&own.id)).reply(world.server.policy());
        assert!(
            reply.status == 400 && reply.body.contains("invalid_client") && codes(&world) == 0,
            "act {n}: {}",
            reply.body
        );
        let unknown =
            world.server.set_client_status(&own.id, ClientStatus::Active).outcome().unwrap_err();
        assert_eq!(
            (unknown.reason(), refused(&world, &ask(&own.id)).reason()),
            (Reason::ClientUnknown, Reason::ClientUnknown),
            "act {n}"
        );
        assert_eq!(world.manage("GET", &own.id, &own.token, &Value::Null).status, 401);
    }
}

#[test]
fn client_13_a_deletion_survives_an_update() {
    let (world, own) = managed(&metadata());
    let other = key(&own);
    world.meanwhile(move |server| {
        assert_eq!(sent_by(server, "PUT", &other, &confidential()).status, 200);
    });
    assert_eq!(world.manage("DELETE", &own.id, &own.token, &Value::Null).status, 204);
    assert_eq!(refused(&world, &ask(&own.id)).reason(), Reason::ClientUnknown);
}

#[test]
fn client_12_the_second_of_two_updates_is_decided_on_the_first() {
    let (world, own) = managed(&metadata());
    let other = key(&own);
    let earlier = with(with(metadata(), "redirect_uris", vec![MOVED]), "software_id", "earlier");
    world.meanwhile(move |server| assert_eq!(sent_by(server, "PUT", &other, &earlier).status, 200));
    let response = world.updated(&own, with(metadata(), "client_name", "Later"));
    assert_eq!(
        (&response["client_name"], &response["redirect_uris"], response.get("software_id")),
        (&json!("Later"), &json!([CALLBACK]), None)
    );
    assert_eq!(body(&world.manage("GET", &own.id, &own.token, &Value::Null)), response);
}

/// The first update issues the secret. The other update does not replace it.
#[test]
fn client_12_only_one_of_two_updates_issues_the_secret() {
    let (world, public) = managed(&metadata());
    let other = key(&public);
    let response = std::sync::Arc::new(std::sync::Mutex::new(None));
    let first = std::sync::Arc::clone(&response);
    world.meanwhile(move |server| {
        *first.lock().unwrap() = Some(body(&sent_by(server, "PUT", &other, &confidential())));
    });
    assert_eq!(world.updated(&public, confidential()).get("client_secret"), None);
    let own = Own::of(response.lock().unwrap().take().unwrap());
    assert!(own.secret.is_some() && world.works(&world.tokens_by(&own).access));
}

/// A secret that was right at the beginning of the request is checked again on the current record.
#[test]
fn client_12_a_secret_replaced_in_parallel_is_refused() {
    let (world, own) = managed(&confidential());
    let other = key(&own);
    world.meanwhile(move |server| {
        assert_eq!(sent_by(server, "PUT", &other, &metadata()).status, 200);
    });
    let sent =
        with(with(confidential(), "client_name", "Later"), "client_secret", own.secret.as_deref());
    let reply = world.manage("PUT", &own.id, &own.token, &own.update(sent));
    assert_refused(&world, &reply, 400, "invalid_client_metadata", Reason::MetadataSecret);
    assert_eq!(world.client(&own.id).unwrap().description().name.as_deref(), Some("Notes Helper"));
}

#[test]
fn client_12_an_applied_update_without_acknowledgement_is_recognized() {
    // From public to confidential: the secret is in the response although the record has it
    // already.
    let (world, public) = managed(&metadata());
    world.store.fail([Fault::AppliedThenConflict]);
    let own = Own::of(world.updated(&public, confidential()));
    assert!(world.works(&world.tokens_by(&own).access));
    // From confidential to public: the request has the secret, which was right until the update was
    // applied.
    world.store.fail([Fault::AppliedThenConflict]);
    let response = world.updated(&own, with(metadata(), "client_secret", own.secret.as_deref()));
    assert_eq!(
        (response.get("client_secret"), &response["token_endpoint_auth_method"]),
        (None, &json!("none"))
    );
    assert_eq!(world.events().pop().map(|event| event.kind), Some(EventKind::ClientUpdated));
}

#[test]
fn client_12_a_pending_consent_is_decided_on_the_update() {
    let (world, own) = managed(&metadata());
    let ticket = world.page(&ask(&own.id)).ticket();
    let other = key(&own);
    // The approval renews the client before it is written. That write detects the update.
    let moved = with(metadata(), "redirect_uris", vec![MOVED]);
    world.meanwhile(move |server| assert_eq!(sent_by(server, "PUT", &other, &moved).status, 200));
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    assert_eq!(codes(&world), 0);
}

/// The client had one redirect URI, which its request could leave out.
#[test]
fn consent_10_a_redirect_uri_that_is_registered_is_no_fault_of_an_open_page() {
    let (world, own) = managed(&metadata());
    let ticket = world.page(&ask(&own.id).without("redirect_uri")).ticket();
    let both = with(metadata(), "redirect_uris", vec![CALLBACK, MOVED]);
    world.updated(&own, both);
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    assert!(location.starts_with(CALLBACK), "{location}");
    let (world, own) = managed(&metadata());
    let ticket = world.page(&ask(&own.id).without("redirect_uri")).ticket();
    world.updated(&own, with(metadata(), "redirect_uris", vec![MOVED]));
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
}

/// A parallel approval has renewed the client, and the update keeps the renewal.
#[test]
fn client_12_an_update_does_not_shorten_the_lifetime() {
    let (world, own) = managed(&metadata());
    let ticket = world.page(&ask(&own.id)).ticket();
    world.meanwhile(move |server| {
        drop(server.consent(&ticket, crate::support::ALICE, Choice::Allow).unwrap());
    });
    world.updated(&own, with(metadata(), "client_name", "Other"));
    let client = world.client(&own.id).unwrap();
    assert!(client.expires() > Timestamp::from_unix_seconds(T + 30 * DAY), "{client:?}");
    assert_eq!((client.description().name.as_deref(), codes(&world)), (Some("Other"), 1));
}

#[test]
fn store_05_no_update_is_answered_before_it_is_durable() {
    for (fault, secret) in [(Fault::Dropped, false), (Fault::Unacknowledged, true)] {
        let (world, own) = managed(&metadata());
        world.store.fail([fault]);
        let bearer = format!("Bearer {}", own.token);
        let sent = own.update(confidential()).to_string();
        let authorization = Authorization::One(bearer.as_bytes());
        let incoming = RequestParts { method: "PUT", authorization, ..posting(sent.as_bytes()) };
        let failure = world.server.manage(&own.id, &incoming).expect_err("the store fails");
        assert_eq!(failure.failure().unwrap().store_error(), Some(&Broken));
        let reply = failure.reply(world.server.policy());
        assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
        assert_eq!(
            (reply.header("retry-after"), body(&reply).get("client_secret")),
            (Some("1"), None)
        );
        let reply = world.token(&Params::refresh("x").set("client_id", &own.id));
        assert_eq!(reply.status == 401, secret, "{fault:?}");
    }
    let (world, own) = managed(&metadata());
    world.store.fail([Fault::Conflict; 4]);
    let reply = world.manage("PUT", &own.id, &own.token, &own.update(confidential()));
    assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::Contended);
}
