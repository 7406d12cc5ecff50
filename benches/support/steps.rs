//! The steps that are measured, each as calls that are prepared first and then run in one go.

use std::cell::RefCell;
use std::hint::black_box;

use grantcore::moment::{EntropySource, SystemEntropy};

use super::floor::{Floor, Parsed, between, decode, sha256};
use super::{Bench, Form, VERIFIER};

/// How many grants are live beside those that are measured.
pub const LIVE: usize = 1000;

/// Runs prepared calls. It is called once for each time that it is passed on.
pub type Run<'a> = &'a mut dyn FnMut();

/// Prepares this many calls, and passes on what runs them.
type Calls = dyn FnMut(usize, &mut dyn FnMut(Run<'_>));

/// One step of one implementation.
pub struct Measured {
    pub step: &'static str,
    pub who: &'static str,
    calls: Box<Calls>,
}

impl Measured {
    /// Makes a step of three parts: what prepares a call, the call, and what tidies up after many.
    pub fn new<C>(
        step: &'static str,
        who: &'static str,
        mut prepare: impl FnMut() -> C + 'static,
        mut run: impl FnMut(C) + 'static,
        mut tidy: impl FnMut() + 'static,
    ) -> Self {
        let calls = move |count: usize, measure: &mut dyn FnMut(Run<'_>)| {
            let mut calls = (0..count).map(|_| prepare()).collect::<Vec<_>>().into_iter();
            measure(&mut || calls.by_ref().for_each(&mut run));
            tidy();
        };
        Self { step, who, calls: Box::new(calls) }
    }

    /// Prepares this many calls, and passes on what runs them.
    pub fn calls(&mut self, count: usize, measure: &mut dyn FnMut(Run<'_>)) {
        (self.calls)(count, measure);
    }
}

/// Forms live as long as the program, so that what is parsed from them can be kept.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// The four steps, and the registration of a client, from parsed requests. To move a request and to
/// drop it is the caller's, and counted where the request is parsed as well.
pub fn ours() -> Vec<Measured> {
    let (bench, held) = Bench::with_tokens(LIVE);
    let (bench, held) = (leak(bench), leak(held));
    let tidy = || bench.drop_new_grants();
    let authorize = Measured::new(
        "authorize",
        "ours",
        || (leak(bench.authorization(leak(bench.authorize_form()))), two(bench)),
        |(request, entropy)| {
            drop(black_box(bench.run_authorization_and_approval(request, entropy)));
        },
        tidy,
    );
    let redeem = Measured::new(
        "redeem",
        "ours",
        || (leak(bench.token(leak(bench.redeem_form()))), bench.entropy()),
        |(request, entropy)| drop(black_box(bench.run_token(request, entropy))),
        tidy,
    );
    let refresh = Measured::new(
        "refresh",
        "ours",
        || (leak(bench.token(leak(bench.refresh_form().0))), bench.entropy()),
        |(request, entropy)| drop(black_box(bench.run_token(request, entropy))),
        tidy,
    );
    let mut next = spread(held);
    let check = Measured::new(
        "check",
        "ours",
        move || bench.check(&next().1),
        |request| assert!(black_box(bench.run_check(&request))),
        || {},
    );
    let form = leak(Bench::register_form());
    let register = Measured::new(
        "register",
        "ours",
        || (leak(bench.registration(form)), bench.entropy()),
        |(request, entropy)| drop(black_box(bench.run_registration(request, entropy))),
        || bench.drop_new_grants(),
    );
    vec![authorize, redeem, refresh, check, register]
}

/// The four steps, from the bytes of the requests.
pub fn ours_from_bytes() -> Vec<Measured> {
    let (bench, held) = Bench::with_tokens(LIVE);
    let (bench, held) = (leak(bench), leak(held));
    let who = "ours, from bytes";
    let tidy = || bench.drop_new_grants();
    let authorize = Measured::new(
        "authorize",
        who,
        || (leak(bench.authorize_form()), two(bench)),
        |(form, entropy): (&Form, _)| {
            let request = bench.authorization(form);
            drop(black_box(bench.run_authorization_and_approval(&request, entropy)));
        },
        tidy,
    );
    let redeem = Measured::new(
        "redeem",
        who,
        || (leak(bench.redeem_form()), bench.entropy()),
        |(form, entropy): (&Form, _)| drop(black_box(bench.run_token(&bench.token(form), entropy))),
        tidy,
    );
    let refresh = Measured::new(
        "refresh",
        who,
        || (leak(bench.refresh_form().0), bench.entropy()),
        |(form, entropy): (&Form, _)| drop(black_box(bench.run_token(&bench.token(form), entropy))),
        tidy,
    );
    let mut next = spread(held);
    let check = Measured::new(
        "check",
        who,
        move || &next().1,
        |form| assert!(black_box(bench.run_check(&bench.check(form)))),
        || {},
    );
    vec![authorize, redeem, refresh, check]
}

/// The three steps of one request each, from parsed requests, with the system's entropy.
pub fn ours_with_system_entropy() -> Vec<Measured> {
    let (bench, held) = Bench::with_tokens(LIVE);
    let (bench, held) = (leak(bench), leak(held));
    let who = "ours, system's entropy";
    let tidy = || bench.drop_new_grants();
    let run = |request| drop(black_box(bench.run_token(&request, SystemEntropy.draw().unwrap())));
    let redeem = Measured::new("redeem", who, || bench.token(leak(bench.redeem_form())), run, tidy);
    let refresh =
        Measured::new("refresh", who, || bench.token(leak(bench.refresh_form().0)), run, tidy);
    let mut next = spread(held);
    let check = Measured::new(
        "check",
        who,
        move || bench.check(&next().1),
        |request| assert!(black_box(bench.run_check_drawing(&request))),
        || {},
    );
    vec![redeem, refresh, check]
}

/// What the design itself must do.
pub fn floor() -> Vec<Measured> {
    let seeds = leak(Bench::new());
    let entropy = || seeds.bytes();
    let mut floor = Floor::default();
    let request = leak(parsed());
    let new = move |floor: &mut Floor| floor.grant(request, [&entropy(), &entropy(), &entropy()]);
    let held: &'static Vec<_> = leak((0..LIVE).map(|_| new(&mut floor)).collect());
    let ids = leak(floor.ids());
    let floor = leak(RefCell::new(floor));
    let tidy = || floor.borrow_mut().keep(ids);
    let authorize = Measured::new(
        "authorize",
        "floor",
        move || (entropy(), entropy()),
        |(page, approval)| {
            drop(black_box(floor.borrow_mut().authorize(black_box(request), &page, &approval)));
        },
        tidy,
    );
    let redeem = Measured::new(
        "redeem",
        "floor",
        move || {
            let location = floor.borrow_mut().authorize(request, &entropy(), &entropy());
            (decode(between(&location, "code=", '&')), entropy())
        },
        |(code, entropy)| {
            drop(black_box(floor.borrow_mut().redeem(&code, black_box(VERIFIER), &entropy)));
        },
        tidy,
    );
    let refresh = Measured::new(
        "refresh",
        "floor",
        move || (decode(&new(&mut floor.borrow_mut()).0), entropy()),
        |(token, entropy)| drop(black_box(floor.borrow_mut().refresh(&token, &entropy))),
        tidy,
    );
    let mut next = spread(held);
    let check = Measured::new(
        "check",
        "floor",
        move || decode(&next().1),
        |token| assert!(black_box(floor.borrow().check(&token))),
        || {},
    );
    vec![authorize, redeem, refresh, check]
}

/// One block of SHA-256, from which the cost of a block is known.
pub fn block() -> Measured {
    let run = |bytes: [u8; 32]| _ = black_box(sha256(black_box(&bytes)));
    Measured::new("block", "SHA-256", || [7; 32], run, || {})
}

pub fn parsed() -> Parsed {
    Parsed {
        redirect_uri: "https://app.example/cb",
        scope: "read write",
        state: "xyz",
        challenge: sha256(VERIFIER.as_bytes()),
        subject: "alice",
        session: b"alice's browser",
    }
}

fn two(bench: &Bench) -> (grantcore::moment::Entropy, grantcore::moment::Entropy) {
    (bench.entropy(), bench.entropy())
}

/// Goes through the values in an order in which none is beside the one before.
pub fn spread<T>(values: &'static [T]) -> impl FnMut() -> &'static T {
    let mut position = 0;
    move || {
        position = (position + 7919) % values.len();
        &values[position]
    }
}
