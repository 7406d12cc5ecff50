//! Tests of I21, I26 and I27: who can revoke, how random a secret is, and what a guess shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::Server;
use grantcore::policy::{IntrospectionRules, RegistrationRules, RevocationRules};
use grantcore::response::Redirect;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, Error, FromStore, Reply, RequestParts,
    RevokedBy, Timestamp,
};
use serde_json::json;

use crate::support::clients::{confidential, metadata, posting};
use crate::support::params::Params;
use crate::support::refused::wire;
use crate::support::steps::form;
use crate::support::store::{Broken, Fault};
use crate::support::{
    ALICE, Answered, CALLBACK, Granted, MCP, SECRET, T, World, entropy, json as body, needs,
    policy, user,
};

fn world() -> World {
    let world = World::with(
        policy()
            .revocation(RevocationRules::default())
            .registration(RegistrationRules::default())
            .introspection(IntrospectionRules::default().with_resource_server("web", MCP)),
    );
    world.put(Client::public("other").redirect_uri(CALLBACK).build().unwrap());
    world
}

/// Returns every record as it is stored.
fn records(world: &World) -> String {
    let grants = world.store.inner.grants(None, usize::MAX);
    let grants = grants.iter().map(|stored| (stored.version.0, json!(&*stored.record)));
    let clients = world.store.inner.clients(None, usize::MAX);
    let clients = clients.iter().map(|stored| (stored.version.0, json!(&*stored.record)));
    format!("{:?}{:?}", grants.collect::<Vec<_>>(), clients.collect::<Vec<_>>())
}

/// Returns the revocation of a token by the client `app`.
fn revoking(token: &str) -> Params {
    Params::refresh(token).without("grant_type").without("refresh_token").and("token", token)
}

fn revoke(world: &World, params: &Params) -> Reply {
    let body = params.encode();
    world.server.revoke(&form(&body)).answered(world.server.policy())
}

#[test]
fn i21_only_the_owning_client_its_user_or_an_administrator_revokes_and_twice_is_once() {
    type Call = fn(&World, &Granted) -> bool;
    let strangers: [(&str, Call); 6] = [
        ("another client", |world, tokens| {
            revoke(world, &revoking(tokens.refresh()).set("client_id", "other")).status == 200
        }),
        ("another client, an access token", |world, tokens| {
            revoke(world, &revoking(&tokens.access).set("client_id", "other")).status == 200
        }),
        ("another client with its secret", |world, tokens| {
            let params = revoking(tokens.refresh()).set("client_id", "web");
            revoke(world, &params.set("client_secret", SECRET)).status == 200
        }),
        ("no client", |world, tokens| {
            revoke(world, &revoking(tokens.refresh()).without("client_id")).status == 200
        }),
        ("the client with a secret that it does not have", |world, tokens| {
            revoke(world, &revoking(tokens.refresh()).set("client_secret", SECRET)).status == 200
        }),
        ("another user", |world, _| {
            world.server.revoke_connection("bob", world.only_grant().id()).is_ok()
        }),
    ];
    let owners: [(&str, Call); 4] = [
        ("the client by its refresh token", |world, tokens| {
            revoke(world, &revoking(tokens.refresh())).status == 200
        }),
        ("the client by its access token", |world, tokens| {
            revoke(world, &revoking(&tokens.access)).status == 200
        }),
        ("the user", |world, _| {
            world.server.revoke_connection("alice", world.only_grant().id()).is_ok()
        }),
        ("an administrator", |world, _| {
            let by = RevokedBy::Administrator("ticket 4711");
            world.server.revoke_grant(world.only_grant().id(), by).is_ok()
        }),
    ];
    for (name, owner) in owners {
        let world = world();
        let first = world.tokens();
        let tokens = world.refreshed(first.refresh());
        for (stranger, call) in strangers {
            let before = records(&world);
            assert!(!call(&world, &tokens), "{stranger} is refused");
            assert!(!call(&world, &Granted { refresh: first.refresh.clone(), ..tokens.clone() }));
            assert_eq!(records(&world), before, "{stranger} changes nothing");
            assert!(world.works(&tokens.access), "{stranger}");
        }
        assert!(owner(&world, &tokens), "{name}");
        assert!(!world.works(&tokens.access), "{name}");
        let after = records(&world);
        for _ in 0..3 {
            assert!(owner(&world, &tokens), "{name} again");
            assert_eq!(records(&world), after, "{name} again changes nothing");
        }
        for (stranger, call) in strangers {
            call(&world, &tokens);
            assert_eq!(records(&world), after, "{stranger} changes nothing afterwards");
        }
    }
}

/// One request of a flow that is sent by another process, which draws its own entropy.
struct Case {
    name: &'static str,
    /// Returns the request after its preparation.
    prepare: fn(&World) -> Send,
    /// Whether a success needs entropy.
    draws: bool,
}

/// Sends a request to this server.
type Send = Box<dyn Fn(&OneServer<'_>) -> Result<String, Error<Broken>>>;
type OneServer<'a> = Server<&'a crate::support::store::TestStore>;

fn token(params: Params) -> Send {
    Box::new(move |server| server.token(&form(&params.encode())).map(|reply| reply.body))
}

fn manage(world: &World, method: &'static str) -> Send {
    let own = world.own(&confidential());
    Box::new(move |server| {
        let header = format!("Bearer {}", own.token);
        let body = own.update(confidential()).to_string();
        let authorization = Authorization::One(header.as_bytes());
        let request = RequestParts { method, authorization, ..posting(body.as_bytes()) };
        server.manage(&own.id, &request).map(|reply| reply.body)
    })
}

const CASES: [Case; 8] = [
    Case {
        name: "authorize",
        prepare: |_| {
            Box::new(|server| {
                let query = Params::authorize().encode();
                let query = query.as_bytes();
                let request = RequestParts { method: "GET", query, ..RequestParts::default() };
                match server.authorize(&request, Some(ALICE))? {
                    AuthorizationStep::NeedsConsent(page) => Ok(page.ticket()),
                    step => panic!("{step:?}"),
                }
            })
        },
        draws: true,
    },
    Case {
        name: "allow",
        prepare: |world| {
            let ticket = world.page(&Params::authorize()).ticket();
            Box::new(move |server| {
                server.consent(&ticket, ALICE, Choice::Allow).map(Redirect::into_location)
            })
        },
        draws: true,
    },
    Case {
        name: "redeem",
        prepare: |world| token(Params::redeem(&world.code(&Params::authorize()))),
        draws: true,
    },
    Case {
        name: "refresh",
        prepare: |world| token(Params::refresh(world.tokens().refresh())),
        draws: true,
    },
    Case {
        name: "register",
        prepare: |_| {
            Box::new(|server| {
                let metadata = confidential().to_string();
                let source = "192.0.2.1";
                let request = RequestParts { source, ..posting(metadata.as_bytes()) };
                server.register(&request).map(|reply| reply.body)
            })
        },
        draws: true,
    },
    Case { name: "update", prepare: |world| manage(world, "PUT"), draws: false },
    Case { name: "delete", prepare: |world| manage(world, "DELETE"), draws: false },
    Case {
        name: "revoke",
        prepare: |world| {
            let params = revoking(world.tokens().refresh());
            Box::new(move |server| server.revoke(&form(&params.encode())).map(|reply| reply.body))
        },
        draws: false,
    },
];

/// Returns a server on the store of this world that draws these, and counts the draws.
fn server<'a>(
    world: &'a World,
    drawn: &'static AtomicU64,
    draw: impl Fn(u64) -> Result<grantcore::moment::Entropy, grantcore::moment::EntropyError>
    + std::marker::Send
    + Sync
    + 'static,
) -> OneServer<'a> {
    Server::with_sources(
        world.server.policy().clone(),
        &*world.store,
        FromStore,
        || Timestamp::from_unix_seconds(T),
        move || draw(drawn.fetch_add(1, Ordering::SeqCst)),
    )
}

/// A request draws once, however often it is decided, and without entropy it writes nothing.
#[test]
fn i26_entropy_is_drawn_once_per_request_and_without_it_nothing_is_written() {
    for case in &CASES {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        for conflicts in 0..4 {
            let world = world();
            let send = (case.prepare)(&world);
            let server = server(&world, &DRAWN, |number| Ok(entropy(number + 5_000)));
            world.store.fail(vec![Fault::Conflict; conflicts]);
            let before = DRAWN.load(Ordering::SeqCst);
            let commits = world.store.commits();
            let answer = send(&server);
            assert!(answer.is_ok(), "{} after {conflicts} conflicts: {answer:?}", case.name);
            let draws = DRAWN.load(Ordering::SeqCst) - before;
            assert!(draws <= 1 && (draws == 1 || !case.draws), "{}: {draws} draws", case.name);
            assert_eq!(world.store.commits() - commits, conflicts + 1, "{}", case.name);
        }
        let world = world();
        let send = (case.prepare)(&world);
        let dry = server(&world, &DRAWN, |_| Err(grantcore::moment::EntropyError));
        let before = records(&world);
        let commits = world.store.commits();
        match send(&dry) {
            Ok(_) => assert!(!case.draws, "{} succeeds without entropy", case.name),
            Err(error) => {
                let reply = error.reply(dry.policy());
                let text = format!("{} {:?} {}", reply.status, reply.headers, reply.body);
                assert!(text.contains("temporarily_unavailable"), "{}: {text}", case.name);
                assert_eq!(world.store.commits(), commits, "{}", case.name);
                assert_eq!(records(&world), before, "{}", case.name);
            }
        }
    }
}

/// Returns the bytes of each credential in a text, by its prefix.
fn credentials(text: &str) -> BTreeMap<String, Vec<u8>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // A client id is no secret.
    let is_secret =
        |word: &&str| word.len() > 20 && word.get(3..4) == Some("_") && !word.starts_with("gcl");
    let words = text.split(|c| !is_part(c)).filter(is_secret);
    words
        .filter_map(|word| {
            let bytes = URL_SAFE_NO_PAD.decode(&word[4..]).ok()?;
            Some((word[..3].to_owned(), bytes))
        })
        .collect()
}

/// Over many draws, at least 256 bits of each secret take both values, no two of them are equal,
/// and no two secrets are. The entropy is what the operating system would give.
#[test]
fn i26_each_secret_has_256_random_bits() {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    const DRAWS: usize = 64;
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for _ in 0..DRAWS {
        for case in CASES.iter().filter(|case| case.draws) {
            let world = world();
            let send = (case.prepare)(&world);
            let server = server(&world, &DRAWN, |number| Ok(entropy(number * 77 + 3)));
            for (prefix, bytes) in credentials(&send(&server).unwrap()) {
                found.entry(format!("{prefix} of {}", case.name)).or_default().push(bytes);
            }
        }
    }
    let kinds: BTreeSet<_> = found.keys().map(|key| &key[..3]).collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["gac", "gat", "gcm", "gcs", "gct", "grt"]),
        "{:?}",
        found.keys()
    );
    for (name, secrets) in found {
        assert_eq!(secrets.len(), DRAWS, "{name}");
        assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), DRAWS, "{name} repeats");
        let bits: BTreeSet<Vec<bool>> = (0..secrets[0].len() * 8)
            .map(|bit| secrets.iter().map(|own| own[bit / 8] >> (bit % 8) & 1 == 1).collect())
            .filter(|column: &Vec<bool>| column.contains(&true) && column.contains(&false))
            .collect();
        assert!(bits.len() >= 256, "{name} has {} random bits", bits.len());
    }
}

/// For each kind of secret: an unknown one, and a wrong one for something that exists.
fn guesses(world: &World) -> Vec<(&'static str, Vec<Send>)> {
    let granted = world.tokens();
    let code = world.code(&Params::authorize());
    let ticket = world.page(&Params::authorize()).ticket();
    let own = world.own(&metadata());
    // The grant is right and the secret wrong; both are wrong.
    let wrong = |credential: &str, from: usize| {
        let mut bytes = URL_SAFE_NO_PAD.decode(&credential[4..]).unwrap();
        bytes[from..].iter_mut().for_each(|byte| *byte ^= 0x55);
        format!("{}{}", &credential[..4], URL_SAFE_NO_PAD.encode(bytes))
    };
    let both = |credential: &str| [wrong(credential, 0), wrong(credential, 16)];
    let client = |id: &str, secret: &str| {
        token(Params::refresh("x").set("client_id", id).and("client_secret", secret))
    };
    let check = |token: String| -> Send {
        Box::new(move |server| {
            let header = format!("Bearer {token}");
            let needs = needs(server.policy(), 0, "");
            let answer = server.check(&Authorization::One(header.as_bytes()), &needs);
            answer.map(|access| access.client_id().to_string())
        })
    };
    let introspect = |token: String| -> Send {
        let params = revoking(&token).set("client_id", "web").and("client_secret", SECRET);
        Box::new(move |server| server.introspect(&form(&params.encode())).map(|reply| reply.body))
    };
    let decide = |ticket: String| -> Send {
        Box::new(move |server| {
            let redirect = server.consent(&ticket, ALICE, Choice::Allow);
            redirect.map(Redirect::into_location)
        })
    };
    let read = |id: &str, token: String| -> Send {
        let id = id.to_owned();
        Box::new(move |server| {
            let header = format!("Bearer {token}");
            let authorization = Authorization::One(header.as_bytes());
            let request = RequestParts { method: "GET", authorization, ..RequestParts::default() };
            server.manage(&id, &request).map(|reply| reply.body)
        })
    };
    let management = wrong(&own.token, 0);
    vec![
        ("client secret", vec![client("nobody", "guess"), client("web", "guess")]),
        ("code", both(&code).map(|code| token(Params::redeem(&code))).into()),
        ("refresh token", both(granted.refresh()).map(|own| token(Params::refresh(&own))).into()),
        ("access token", both(&granted.access).map(check).into()),
        ("introspected token", both(&granted.access).map(introspect).into()),
        ("ticket", both(&ticket).map(decide).into()),
        ("management token", vec![read("nobody", management.clone()), read(&own.id, management)]),
    ]
}

/// An unknown secret and a wrong one have equal responses, and neither writes.
#[test]
fn i27_unknown_and_wrong_look_the_same_and_write_the_same() {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let world = world();
    let server = server(&world, &DRAWN, |number| Ok(entropy(number + 9_000)));
    for (name, guesses) in guesses(&world) {
        let before = records(&world);
        let commits = world.store.commits();
        let answers: BTreeSet<_> = guesses
            .iter()
            .map(|send| match send(&server) {
                Ok(body) => {
                    assert!(body.contains(r#""active":false"#), "{name} is accepted: {body}");
                    body
                }
                // A token that its live grant no longer keeps is reported as expired, so that its
                // client refreshes. A wrong one is indistinguishable from it.
                Err(error) => wire(&error.reply(server.policy()))
                    .replace("The access token has expired.", "The access token is not valid."),
            })
            .collect();
        assert_eq!(answers.len(), 1, "{name}: {answers:#?}");
        assert_eq!((world.store.commits(), records(&world)), (commits, before), "{name}");
    }
    // The right ones are accepted, so that the wrong ones were refused for their secret.
    assert!(world.works(&world.tokens().access));
    assert_eq!(body(&world.token(&Params::refresh("x").by_web()))["error"], "invalid_grant");
    assert!(world.server.consent("x", user("alice", b"s"), Choice::Allow).is_err());
}
