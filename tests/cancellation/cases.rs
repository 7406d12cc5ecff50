//! Every operation that writes, with its preparation.

use std::pin::Pin;

use grantcore::client::ClientStatus;
use grantcore::request::Fetch;
use grantcore::{Choice, RequestParts, RevokedBy};
use serde_json::json;

use crate::slow::Server;
use crate::support::clients::{DOCUMENT, document, fetched, metadata, posting};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{ALICE, World};

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Run = Box<dyn for<'a> Fn(&'a Server) -> Running<'a>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Prepares the world for the operation.
    pub(crate) prepare: fn(&World) -> Run,
}

const ADMIN: RevokedBy<'static> = RevokedBy::Administrator("because");

/// Returns a token request.
fn token(params: &Params) -> Run {
    let body = params.encode();
    Box::new(move |server| {
        let body = body.clone();
        Box::pin(async move { drop(server.token(&form(&body)).await) })
    })
}

/// Returns a revocation by the client `app`.
fn revocation(token: &str) -> Run {
    let params = Params::refresh("x").without("grant_type").without("refresh_token");
    let body = params.and("token", token).encode();
    Box::new(move |server| {
        let body = body.clone();
        Box::pin(async move { drop(server.revoke(&form(&body)).await) })
    })
}

fn authorization(params: &Params) -> Run {
    let query = params.encode();
    Box::new(move |server| {
        let query = query.clone();
        Box::pin(async move {
            let incoming =
                RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
            drop(server.authorize(&incoming, Some(ALICE)).await);
        })
    })
}

fn consent(ticket: String, is_allowed: bool) -> Run {
    Box::new(move |server| {
        let ticket = ticket.clone();
        let choice = if is_allowed { Choice::Allow } else { Choice::Deny };
        Box::pin(async move { drop(server.consent(&ticket, ALICE, choice).await) })
    })
}

fn manage(world: &World, method: &'static str, change: bool) -> Run {
    let own = world.own(&metadata());
    let mut body = own.update(metadata());
    if change {
        body["client_name"] = json!("Another name");
    }
    let body = body.to_string();
    let header = format!("Bearer {}", own.token);
    Box::new(move |server| {
        let body = body.clone();
        let header = header.clone();
        let id = own.id.clone();
        Box::pin(async move {
            let authorization = grantcore::Authorization::One(header.as_bytes());
            let incoming = RequestParts { method, authorization, ..posting(body.as_bytes()) };
            drop(server.manage(&id, &incoming).await);
        })
    })
}

pub(crate) const CASES: [Case; 20] = [
    Case { name: "authorize", prepare: |_| authorization(&Params::authorize()) },
    Case {
        name: "authorize with a document",
        prepare: |_| {
            let query = Params::authorize().set("client_id", DOCUMENT).encode();
            let text = document().to_string();
            Box::new(move |server| {
                let query = query.clone();
                let text = text.clone();
                Box::pin(async move {
                    let incoming = RequestParts {
                        method: "GET",
                        query: query.as_bytes(),
                        ..RequestParts::default()
                    };
                    let fetch = Fetch::Document(fetched(text.as_bytes()));
                    drop(server.authorize_with_document(&incoming, Some(ALICE), fetch).await);
                })
            })
        },
    },
    Case {
        name: "consent",
        prepare: |world| consent(world.page(&Params::authorize()).ticket(), true),
    },
    Case {
        name: "consent that renews its client",
        prepare: |world| {
            let own = world.own(&metadata());
            let page = world.page(&Params::authorize().set("client_id", &own.id));
            consent(page.ticket(), true)
        },
    },
    Case {
        name: "denial",
        prepare: |world| consent(world.page(&Params::authorize()).ticket(), false),
    },
    Case {
        name: "redeem",
        prepare: |world| token(&Params::redeem(&world.code(&Params::authorize()))),
    },
    Case {
        name: "code twice",
        prepare: |world| {
            let request = Params::redeem(&world.code(&Params::authorize()));
            assert_eq!(world.token(&request).status, 200);
            token(&request)
        },
    },
    Case { name: "refresh", prepare: |world| token(&Params::refresh(world.tokens().refresh())) },
    Case {
        name: "refresh token twice",
        prepare: |world| {
            let first = world.tokens();
            world.refreshed(first.refresh());
            token(&Params::refresh(first.refresh()))
        },
    },
    Case { name: "revoke a refresh token", prepare: |world| revocation(world.tokens().refresh()) },
    Case { name: "revoke an access token", prepare: |world| revocation(&world.tokens().access) },
    Case {
        name: "register",
        prepare: |_| {
            let body = metadata().to_string();
            Box::new(move |server| {
                let body = body.clone();
                Box::pin(async move { drop(server.register(&posting(body.as_bytes())).await) })
            })
        },
    },
    Case { name: "update a registration", prepare: |world| manage(world, "PUT", true) },
    Case { name: "delete a registration", prepare: |world| manage(world, "DELETE", false) },
    Case {
        name: "deactivate",
        prepare: |_| {
            Box::new(|server| {
                Box::pin(async {
                    drop(server.set_client_status("app", ClientStatus::Deactivated).await);
                })
            })
        },
    },
    Case {
        name: "end a client's grants",
        prepare: |_| {
            Box::new(|server| Box::pin(async { drop(server.revoke_client("app", ADMIN).await) }))
        },
    },
    Case {
        name: "end a grant",
        prepare: |world| {
            world.tokens();
            let grant = world.grants()[0].record.id();
            Box::new(move |server| {
                Box::pin(async move { drop(server.revoke_grant(grant, ADMIN).await) })
            })
        },
    },
    Case {
        name: "end a connection",
        prepare: |world| {
            world.tokens();
            let grant = world.grants()[0].record.id();
            Box::new(move |server| {
                Box::pin(async move { drop(server.revoke_connection("alice", grant).await) })
            })
        },
    },
    Case {
        name: "end a user's grants",
        prepare: |world| {
            world.tokens();
            world.tokens();
            Box::new(|server| Box::pin(async { drop(server.revoke_user("alice", ADMIN).await) }))
        },
    },
    Case {
        name: "end a user's grants for a client",
        prepare: |world| {
            world.tokens();
            world.tokens();
            Box::new(|server| {
                Box::pin(async {
                    drop(server.revoke_user_client("alice", "app", ADMIN).await);
                })
            })
        },
    },
];

/// A request with an assertion: a mark, and then a grant.
#[cfg(feature = "conformance")]
pub(crate) const MARKING: Case = Case {
    name: "a request with an assertion",
    prepare: |world| {
        let end = world.now().after(std::time::Duration::from_secs(300));
        let request = grantcore::conformance::AssertionRequest::new("one", end).unwrap();
        Box::new(move |server| {
            let request = request.clone();
            Box::pin(async move { drop(server.run(request).await) })
        })
    },
};
