//! Tests of CLOCK: time is an argument, lifetimes are half open, and a clock that steps back
//! revives nothing.

use std::cell::Cell;
use std::time::Duration;

use grantcore::blocking::drive;
use grantcore::policy::{Lifetimes, LifetimesError, PolicyBuilder, PolicyError};
use grantcore::request::TokenRequest;
use grantcore::{Choice, Event, FromStore, Reason, Timestamp};

use crate::support::host::{allow, at};
use crate::support::params::Params;
use crate::support::sources::sources;
use crate::support::steps::{DAY, form};
use crate::support::store::Fault;
use crate::support::{Answered, Granted, Outcome, T, World, entropy, param, policy};

#[test]
fn clock_01_decisions_import_no_store_no_driver_and_no_clock() {
    let modules = ["store", "drive", "server", "memory", "rate"];
    let ambient =
        ["Clock", "EntropySource", "SystemEntropy", "std::time::SystemTime", "std::time::Instant"];
    for (file, code) in sources("src/decide") {
        for module in modules {
            let paths = [
                format!("crate::{module}::"),
                format!("crate::{module};"),
                format!("crate::{module},"),
            ];
            assert!(!paths.iter().any(|path| code.contains(path)), "{file} imports {module}");
        }
        for name in ambient {
            assert!(!code.contains(name), "{file} names {name}");
        }
    }
}

#[test]
fn clock_01_time_and_randomness_are_read_in_one_file() {
    let mut files = 0;
    for (file, code) in sources("src") {
        let ambient = [
            "SystemTime::now",
            "Instant::now",
            "getrandom",
            "now_utc",
            "thread_rng",
            "rand_chacha",
        ];
        let found = ambient.iter().filter(|name| code.contains(**name)).count();
        assert!(found == 0 || file.ends_with("src/moment/system.rs"), "{file}");
        files += usize::from(found > 0);
    }
    assert_eq!(files, 1, "the system's clock and randomness are offered in src/moment/system.rs");
}

/// Runs a whole flow with refusals, and returns its responses, records and events.
fn run_flow() -> (Vec<String>, String, Vec<Event>) {
    let world = World::with(policy().replay_window(Duration::from_secs(30)));
    let code = world.code(&Params::authorize());
    let mut responses = vec![code.clone()];
    let mut send = |params: &Params| {
        let reply = world.token(params);
        responses.push(format!("{} {:?} {}", reply.status, reply.headers, reply.body));
        (reply.status == 200).then(|| Granted::of(&reply).refresh().to_owned())
    };
    let first = send(&Params::redeem(&code)).unwrap();
    let second = send(&Params::refresh(&first)).unwrap();
    world.at(29);
    assert_eq!(send(&Params::refresh(&first)), Some(second.clone()));
    assert_eq!(send(&Params::refresh(&second).set("scope", "admin")), None);
    world.at(60);
    assert_eq!(send(&Params::refresh(&first)), None);
    let records: Vec<_> = world
        .grants()
        .iter()
        .map(|stored| serde_json::to_string(&*stored.record).unwrap())
        .collect();
    (responses, records.concat(), world.events())
}

#[test]
fn clock_01_a_flow_is_the_same_at_the_same_times() {
    let (responses, records, events) = run_flow();
    assert_eq!((responses.len(), events.len()), (6, 7));
    assert_eq!(events.iter().map(|event| event.at.unix_seconds() - T).max(), Some(60));
    assert_eq!((responses, records, events), run_flow());
}

#[test]
fn clock_01_the_clock_is_read_once_per_attempt() {
    for conflicts in 0..4 {
        let world = World::new();
        let body = Params::redeem(&world.code(&Params::authorize())).encode();
        let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
        let readings = Cell::new(0);
        let clock = || {
            readings.set(readings.get() + 1);
            Timestamp::from_unix_seconds(T + 10 * readings.get())
        };
        world.store.fail(vec![Fault::Conflict; usize::try_from(conflicts).unwrap()]);
        let settled =
            drive(&request, &*world.store, FromStore, world.server.policy(), &clock, entropy(3))
                .unwrap();
        assert_eq!(
            (readings.get(), settled.event.at.unix_seconds()),
            (conflicts + 1, T + 10 * (conflicts + 1))
        );
        assert!(settled.outcome.is_ok());
    }
}

/// An item that expires: its name, its lifetime, and whether it is valid at a given age.
type Expiring = (&'static str, u64, fn(PolicyBuilder, u64) -> bool);

const EXPIRING: [Expiring; 5] = [
    ("consent ticket", 600, |policy, age| {
        let world = World::with(policy);
        let ticket = world.page(&Params::authorize()).ticket();
        world.at(age);
        let decided = world.decide(&ticket, Choice::Allow);
        assert_eq!(
            decided.as_ref().err().map(grantcore::Refusal::reason),
            (age >= 600).then_some(Reason::ConsentExpired)
        );
        decided.is_ok()
    }),
    ("code", 600, |policy, age| {
        let world = World::with(policy);
        let code = world.code(&Params::authorize());
        world.at(age);
        world.token(&Params::redeem(&code)).status == 200
    }),
    ("access token", 3600, |policy, age| {
        let world = World::with(policy);
        let tokens = world.tokens();
        world.at(age);
        world.works(&tokens.access)
    }),
    ("idle refresh token", 30 * DAY, |policy, age| {
        let world = World::with(policy);
        let tokens = world.tokens();
        world.at(age);
        world.token(&Params::refresh(tokens.refresh())).status == 200
    }),
    ("family", 180 * DAY, |policy, age| {
        let world = World::with(policy);
        let mut tokens = world.tokens();
        for day in (20..=160).step_by(20) {
            world.at(day * DAY);
            tokens = world.refreshed(tokens.refresh());
        }
        world.at(age);
        world.token(&Params::refresh(tokens.refresh())).status == 200
    }),
];

#[test]
fn clock_02_a_lifetime_is_half_open() {
    for (name, lifetime, works) in EXPIRING {
        for (age, expected) in [(lifetime - 1, true), (lifetime, false), (lifetime + 1, false)] {
            assert_eq!(works(policy(), age), expected, "{name} after {age} s");
        }
    }
}

#[test]
fn clock_03_a_clock_behind_the_record_does_not_cause_a_refusal() {
    for back in [1, 3600, T] {
        let world = World::new();
        let ticket = world.page(&Params::authorize()).ticket();
        world.at_unix(T - back);
        let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
        world.at_unix(T - back / 2);
        let first = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
        world.at_unix(T - back);
        let second = world.refreshed(first.refresh());
        assert!(world.works(&first.access) && world.works(&second.access));
        assert_eq!((first.expires_in, second.expires_in), (3600, 3600));
        for tokens in [first, second] {
            assert_eq!(
                world.access(&tokens.access).expires().unix_seconds(),
                T + 3600,
                "counted from the latest time seen"
            );
        }
    }
}

#[test]
fn clock_03_a_clock_that_steps_back_neither_lengthens_nor_revives() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let first = world.tokens();
    world.at(3600);
    let second = world.refreshed(first.refresh());
    world.at(10);
    world.dead(&first.access, Reason::TokenExpired);
    let third = world.refreshed(second.refresh());
    assert_eq!(world.access(&third.access).expires().unix_seconds(), T + 7200);
    world.at(600);
    world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
    world.at_unix(0);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    world.at_unix(u64::MAX);
    world.dead(&third.access, Reason::TokenRevoked);
}

#[test]
fn clock_03_no_time_wraps() {
    let world = World::with(policy().lifetimes(Lifetimes::default().with_refresh_absolute(None)));
    world.at_unix(u64::MAX - 5);
    let tokens = world.tokens();
    assert_eq!(tokens.expires_in, 5, "the end of time is the latest expiry");
    assert!(world.works(&tokens.access));
    world.refreshed(tokens.refresh());
    world.at_unix(u64::MAX);
    assert!(!world.works(&tokens.access));
}

/// There is no setting for leeway, and no other setting has that effect.
#[test]
fn clock_04_no_setting_gives_a_records_expiry_leeway() {
    let settings: [fn(PolicyBuilder) -> PolicyBuilder; 3] = [
        |policy| policy.replay_window(Duration::from_secs(3600)),
        |policy| policy.lenient_on_method(true).terse_errors(true),
        |policy| policy.revoke_previous_access(true),
    ];
    for set in settings {
        for (name, lifetime, works) in EXPIRING {
            assert!(
                works(set(policy()), lifetime - 1) && !works(set(policy()), lifetime),
                "{name}"
            );
        }
    }
}

#[test]
fn clock_05_expires_in_is_the_time_until_the_stored_expiry() {
    let lived = |world: &World, tokens: &Granted| {
        let left = world.access(&tokens.access).expires().seconds_from(world.now());
        assert_eq!(tokens.expires_in, left);
        left
    };
    let world = World::with(policy().replay_window(Duration::from_secs(30)));
    world.at(7);
    let first = world.tokens();
    assert_eq!(lived(&world, &first), 3600);
    let second = world.refreshed(first.refresh());
    world.at(36);
    let again = world.refreshed(first.refresh());
    assert_eq!((again.access == second.access, lived(&world, &again)), (true, 3571));
    let short = Duration::from_secs(3600);
    let world =
        World::with(policy().lifetimes(Lifetimes::default().with_refresh_absolute(Some(short))));
    let mut tokens = world.tokens();
    for at in [1, 1800, 3598, 3599] {
        world.at(at);
        tokens = world.refreshed(tokens.refresh());
        assert_eq!(lived(&world, &tokens), 3600 - at, "at least 1");
    }
    world.at(3600);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::RefreshAbsoluteExpired);
}

#[test]
fn clock_05_a_lifetime_has_no_fraction_that_one_side_could_drop() {
    let access = Duration::from_millis(1999);
    let window = Duration::from_millis(900);
    for (policy, lifetime, value) in [
        (policy().lifetimes(Lifetimes::default().with_access(access)), "access", access),
        (policy().replay_window(window), "replay_window", window),
    ] {
        let error = PolicyError::Lifetimes(LifetimesError::Value { lifetime, value });
        assert_eq!(policy.build().map(|_| ()), Err(error));
    }
    let world =
        World::with(policy().lifetimes(Lifetimes::default().with_access(Duration::from_secs(1))));
    let tokens = world.tokens();
    assert_eq!(
        (tokens.expires_in, world.access(&tokens.access).expires().unix_seconds()),
        (1, T + 1)
    );
    world.at(1);
    world.dead(&tokens.access, Reason::TokenExpired);
}

#[test]
fn clock_06_lifetimes_that_make_no_sense_do_not_build() {
    type Set = fn(Lifetimes, Duration) -> Lifetimes;
    let lifetimes: [(&str, Set); 6] = [
        ("consent", Lifetimes::with_consent),
        ("code", Lifetimes::with_code),
        ("access", Lifetimes::with_access),
        ("refresh_idle", Lifetimes::with_refresh_idle),
        ("refresh_absolute", |lifetimes, value| lifetimes.with_refresh_absolute(Some(value))),
        ("unused_client", Lifetimes::with_unused_client),
    ];
    let bad =
        [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(u64::MAX), Duration::MAX];
    for (lifetime, set) in lifetimes {
        for value in bad {
            let policy = policy().lifetimes(set(Lifetimes::default(), value));
            let error = PolicyError::Lifetimes(LifetimesError::Value { lifetime, value });
            assert_eq!(policy.build().map(|_| ()), Err(error));
        }
    }
    let seconds = Duration::from_secs;
    let shorter = [
        ("refresh_idle", Lifetimes::default().with_refresh_idle(seconds(3599))),
        ("refresh_absolute", Lifetimes::default().with_refresh_absolute(Some(seconds(3599)))),
    ];
    for (lifetime, lifetimes) in shorter {
        let error = PolicyError::Lifetimes(LifetimesError::Refresh {
            lifetime,
            value: seconds(3599),
            access: seconds(3600),
        });
        assert_eq!(policy().lifetimes(lifetimes).build().map(|_| ()), Err(error));
    }
    assert!(
        policy()
            .lifetimes(
                Lifetimes::default()
                    .with_refresh_idle(seconds(3600))
                    .with_refresh_absolute(Some(seconds(3600)))
            )
            .build()
            .is_ok()
    );
    assert_eq!(
        policy().replay_window(seconds(u64::MAX)).build().map(|_| ()),
        Err(PolicyError::Lifetimes(LifetimesError::ReplayWindow {
            window: seconds(u64::MAX),
            access: seconds(3600),
            refresh_idle: seconds(30 * 24 * 60 * 60),
        }))
    );
}

/// At the second in which a grant ends it has ended.
#[test]
fn clock_02_a_grant_is_over_at_its_end() {
    let redeemed = World::new();
    let ticket = redeemed.page(&Params::authorize()).ticket();
    let code = redeemed.approved(allow(&ticket).until(at(5)));
    redeemed.at(5);
    redeemed.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);

    let world = World::with(policy().revocation(grantcore::policy::RevocationRules::default()));
    let tokens = world.tokens_bound(|decision| decision.until(at(50)));
    world.at(50);
    let commits = world.store.commits();
    let text = Params::refresh("").without("refresh_token").and("token", tokens.refresh()).encode();
    let reply = world.server.revoke(&form(&text)).answered(world.server.policy());
    assert_eq!((reply.status, world.store.commits()), (200, commits));
    let to = grantcore::request::Narrowing::default().with_scope("read".parse().unwrap());
    let id = world.only_grant().id();
    let narrowed = world.server.narrow_connection("alice", id, &to).outcome();
    assert_eq!(narrowed.unwrap_err().reason(), Reason::ConnectionUnknown);
}
