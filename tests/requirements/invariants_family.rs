//! Property tests of I7, I15 and I16: what a redemption needs, and what never grows along a family
//! of refresh tokens. A small model in each test says what must happen.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use grantcore::account::{GrantChanges, RefreshDecision};
use grantcore::grant::GrantState;
use grantcore::policy::Lifetimes;
use grantcore::request::Narrowing;
use grantcore::value::Subject;
use grantcore::{Choice, Client, Reply};
use proptest::prelude::*;

use crate::support::host::at;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::{CALLBACK, CHALLENGE, Granted, MCP, VERIFIER, World, param, policy};

const FILES: &str = "https://files.example/";
const MAIL: &str = "https://mail.example/";
const SCOPES: [&str; 3] = ["read", "write", "admin"];

/// Returns a world with three resources and a second client.
fn world(window: u64, lifetimes: Lifetimes) -> World {
    let policy = policy()
        .resource(FILES, "read write")
        .resource(MAIL, "read")
        .replay_window(Duration::from_secs(window))
        .lifetimes(lifetimes);
    let world = World::with(policy);
    world.put(Client::public("other").redirect_uri(CALLBACK).build().unwrap());
    world
}

/// Returns a request with each of these resources.
fn with_resources(params: Params, resources: &[&str]) -> Params {
    resources.iter().fold(params, |params, resource| params.and("resource", resource))
}

#[test]
fn i7_a_redemption_needs_the_client_the_redirect_uri_the_verifier_and_the_consents_resources() {
    let counts = Cell::new((0, 0));
    let fault = || prop::sample::select(vec![0_u8, 0, 0, 0, 1, 2, 3]);
    let cases = (any::<bool>(), (fault(), fault(), fault(), fault()), 0..700_u64);
    check(&cases, |(sends_uri, (client, redirect, verifier, resource), seconds)| {
        let world = world(0, Lifetimes::default());
        let ask = with_resources(Params::authorize(), &[MCP, FILES]);
        let code = world.code(&if sends_uri { ask } else { ask.without("redirect_uri") });
        world.at(seconds);
        let redeem = Params::redeem(&code);
        let redeem = match client {
            0 => redeem,
            1 => redeem.set("client_id", "other"),
            2 => redeem.by_web().set("redirect_uri", CALLBACK),
            _ => redeem.set("client_id", "nobody"),
        };
        let redeem = match redirect {
            0 => redeem,
            1 => redeem.set("redirect_uri", "https://app.example/cb/"),
            2 => redeem.set("redirect_uri", "https://other.example/cb"),
            _ => redeem.without("redirect_uri"),
        };
        let redeem = match verifier {
            0 => redeem,
            1 => redeem.set("code_verifier", &VERIFIER.replace('d', "e")),
            2 => redeem.set("code_verifier", CHALLENGE),
            _ => redeem.without("code_verifier"),
        };
        let asked: &[&str] = match resource {
            0 => &[],
            1 => &[FILES],
            2 => &[MAIL],
            _ => &[MCP, "https://elsewhere.example/"],
        };
        let reply = world.token(&with_resources(redeem, asked));
        // A redirect URI that was not sent may be left out (OAuth 2.1 §4.1.3).
        let is_redirect_right = redirect == 0 || redirect == 3 && !sends_uri;
        let is_right =
            client == 0 && is_redirect_right && verifier == 0 && resource < 2 && seconds < 600;
        prop_assert_eq!(reply.status == 200, is_right, "{}", reply.body);
        if is_right {
            let access = world.check(&Granted::of(&reply).access, &[]);
            // A token for another resource alone is not accepted here.
            prop_assert_eq!(access.is_ok(), resource == 0);
            if let Ok(access) = access {
                prop_assert_eq!(access.client_id().as_str(), "app");
                prop_assert_eq!(access.resources().collect::<Vec<_>>(), [MCP, FILES]);
            }
        } else {
            prop_assert!(!reply.body.contains("gat_") && !reply.body.contains("grt_"));
        }
        let (right, wrong) = counts.get();
        counts.set((right + usize::from(is_right), wrong + usize::from(!is_right)));
        Ok(())
    });
    let (right, wrong) = counts.get();
    assert!(right > 15 && wrong > 100, "{right} right redemptions and {wrong} wrong ones");
}

/// One step in the life of a family.
#[derive(Clone, Debug)]
enum Step {
    /// Refreshes with the newest token, or the one before, for these scope tokens and resources.
    Refresh {
        is_old: bool,
        scope: u8,
        resources: u8,
    },
    /// The user takes away everything but this.
    Narrow {
        scope: u8,
        resources: u8,
    },
    /// Refreshes while the host decides this.
    Decide {
        scope: u8,
        seconds: Option<u64>,
    },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (prop::bool::weighted(0.2), 0..16_u8, 0..16_u8)
            .prop_map(|(is_old, scope, resources)| Step::Refresh { is_old, scope, resources }),
        2 => (0..8_u8, 0..8_u8).prop_map(|(scope, resources)| Step::Narrow { scope, resources }),
        2 => (1..8_u8, prop::option::of(0..9_000_u64))
            .prop_map(|(scope, seconds)| Step::Decide { scope, seconds }),
        4 => (1..2_500_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..14)
}

/// Returns the words whose bit is set.
fn chosen<'a>(words: &[&'a str], bits: u8) -> BTreeSet<&'a str> {
    words.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0).map(|(_, word)| *word).collect()
}

/// What may be at most left of a grant, and its end.
struct Bound {
    scope: BTreeSet<String>,
    resources: BTreeSet<String>,
    end: u64,
}

fn owned<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

impl Bound {
    /// Checks the response of a refresh, and returns its tokens.
    fn issued(&self, reply: &Reply, now: u64) -> Result<Granted, TestCaseError> {
        let granted = Granted::of(reply);
        prop_assert!(now < self.end, "a refresh at {}, after {}", now, self.end);
        prop_assert!(now + granted.expires_in <= self.end, "{:?}", granted);
        let scope = owned(granted.scope.split(' '));
        prop_assert!(scope.is_subset(&self.scope), "{:?} of {:?}", scope, self.scope);
        Ok(granted)
    }

    /// Checks everything that a token of the family can do now.
    fn holds(&self, world: &World, tokens: &[Granted], now: u64) -> Result<(), TestCaseError> {
        for granted in tokens {
            let Ok(access) = world.check(&granted.access, &[]) else { continue };
            prop_assert!(now < self.end, "a token validates at {}, after {}", now, self.end);
            prop_assert_eq!(access.client_id().as_str(), "app");
            prop_assert_eq!(access.subject().map(Subject::as_str), Some("alice"));
            let resources = owned(access.resources());
            prop_assert!(resources.is_subset(&self.resources), "{:?}", resources);
            for scope in SCOPES {
                let reaches = world.check(&granted.access, &[scope]).is_ok();
                prop_assert!(!reaches || self.scope.contains(scope), "{} is reached", scope);
            }
        }
        Ok(())
    }
}

#[test]
fn i15_scope_resources_client_user_and_end_never_grow_along_a_family() {
    let counts = Cell::new((0, 0));
    let cases = (1..8_u8, 1..8_u8, prop::sample::select(vec![0, 30]), steps());
    check(&cases, |(scope, resources, window, steps)| {
        let lifetimes = Lifetimes::default()
            .with_access(Duration::from_secs(1_000))
            .with_refresh_idle(Duration::from_secs(5_000))
            .with_refresh_absolute(Some(Duration::from_secs(8_000)));
        let world = world(window, lifetimes);
        let all = [MCP, FILES, MAIL];
        let scope: Vec<_> = chosen(&SCOPES, scope).into_iter().collect();
        // The resource of the checks is always among them.
        let resources: Vec<_> = chosen(&all, resources | 1).into_iter().collect();
        let ask = Params::authorize().set("scope", &scope.join(" "));
        let page = world.page(&with_resources(ask, &resources)).ticket();
        world.at(100);
        let location = world.decide(&page, Choice::Allow).unwrap().into_location();
        let code = param(&location, "code").unwrap();
        let mut tokens = vec![Granted::of(&world.token(&Params::redeem(&code)))];
        let mut bound =
            Bound { scope: owned(scope), resources: owned(resources), end: 100 + 8_000 };
        let mut now = 100;
        for step in steps {
            let mut refresh = None;
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Narrow { scope, resources } => {
                    let to = Narrowing::default()
                        .with_scope(
                            chosen(&SCOPES, scope | 1)
                                .into_iter()
                                .collect::<Vec<_>>()
                                .join(" ")
                                .parse()
                                .unwrap(),
                        )
                        .with_resources(chosen(&all, resources | 1));
                    let grant = world.only_grant().id();
                    if world.server.narrow_connection("alice", grant, &to).is_ok() {
                        bound.scope.retain(|own| chosen(&SCOPES, scope | 1).contains(&**own));
                        bound.resources.retain(|own| chosen(&all, resources | 1).contains(&**own));
                    }
                }
                Step::Refresh { is_old, scope, resources } => {
                    let back = if is_old { 2 } else { 1 };
                    let token = tokens[tokens.len().saturating_sub(back)].refresh();
                    let mut params = Params::refresh(token);
                    if scope < 8 {
                        let scope: Vec<_> = chosen(&SCOPES, scope).into_iter().collect();
                        params = params.set("scope", &scope.join(" "));
                    }
                    if resources < 8 {
                        let resources: Vec<_> = chosen(&all, resources).into_iter().collect();
                        params = with_resources(params, &resources);
                    }
                    refresh = Some(params);
                }
                Step::Decide { scope, seconds } => {
                    let own: Vec<_> = chosen(&SCOPES, scope).into_iter().collect();
                    let changes =
                        GrantChanges::default().with_scope(own.join(" ").parse().unwrap());
                    let changes = match seconds {
                        Some(seconds) => changes.until(at(seconds)),
                        None => changes,
                    };
                    world.store.judge(changes);
                    let reply = world.token(&Params::refresh(tokens.last().unwrap().refresh()));
                    world.store.judge(RefreshDecision::Keep);
                    if reply.status == 200 {
                        bound.scope.retain(|token| own.contains(&&**token));
                        bound.end = bound.end.min(seconds.unwrap_or(u64::MAX));
                        tokens.push(bound.issued(&reply, now)?);
                    }
                }
            }
            world.at(now);
            if let Some(params) = refresh {
                let reply = world.token(&params);
                if reply.status == 200 {
                    tokens.push(bound.issued(&reply, now)?);
                }
            }
            bound.holds(&world, &tokens, now)?;
        }
        let is_active = world.only_grant().state() == GrantState::Active;
        world.at(bound.end);
        bound.holds(&world, &tokens, bound.end)?;
        let last = world.token(&Params::refresh(tokens.last().unwrap().refresh()));
        prop_assert_eq!(last.status, 400, "the family has ended: {}", last.body);
        let (refreshed, active) = counts.get();
        counts.set((refreshed + tokens.len() - 1, active + usize::from(is_active)));
        Ok(())
    });
    let (refreshed, active) = counts.get();
    assert!(refreshed > 250 && active > 80, "{refreshed} refreshes, {active} grants in use");
}

#[test]
fn i16_the_idle_end_is_never_after_the_absolute_end_and_ends_the_whole_family() {
    let counts = Cell::new((0, 0, 0));
    let lifetimes = (60..300_u64, 0..900_u64, 0..3_000_u64);
    let waits = prop::collection::vec(1..700_u64, 1..9);
    check(
        &(lifetimes, waits, prop::sample::select(vec![0, 30])),
        |((access, idle, absolute), waits, window)| {
            let idle = access + idle;
            let absolute = idle + absolute;
            let seconds = Duration::from_secs;
            let lifetimes = Lifetimes::default()
                .with_access(seconds(access))
                .with_refresh_idle(seconds(idle))
                .with_refresh_absolute(Some(seconds(absolute)));
            let world = World::with(policy().lifetimes(lifetimes).replay_window(seconds(window)));
            let mut tokens = vec![world.tokens()];
            let mut now = 0;
            let mut used = 0;
            for wait in waits {
                now += wait;
                world.at(now);
                let reply = world.token(&Params::refresh(tokens.last().unwrap().refresh()));
                let lives = now < used + idle && now < absolute;
                prop_assert_eq!(reply.status == 200, lives, "at {}: {}", now, reply.body);
                if lives {
                    tokens.push(Granted::of(&reply));
                    used = now;
                    continue;
                }
                let (ended, idles, lasts) = counts.get();
                let is_idle = now >= used + idle;
                counts.set((
                    ended + 1,
                    idles + usize::from(is_idle),
                    lasts + usize::from(!is_idle),
                ));
                for granted in &tokens {
                    prop_assert!(
                        !world.works(&granted.access),
                        "an access token outlives its family"
                    );
                    let again = world.token(&Params::refresh(granted.refresh()));
                    prop_assert_eq!(again.status, 400, "{}", again.body);
                }
                return Ok(());
            }
            Ok(())
        },
    );
    let (ended, idles, lasts) = counts.get();
    assert!(
        ended > 100 && idles > 50 && lasts > 20,
        "{ended} families: {idles} idle, {lasts} over"
    );
}
