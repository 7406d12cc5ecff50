//! Measures whether the time of a decision depends on a secret: `just constant-time`.
//!
//! Each test has two classes of inputs, in random order, and a t-test of their times. A `max t`
//! beyond 5 means that the classes can be distinguished; the more measurements this takes, the
//! smaller the difference is. The last test is a comparison that ends at the first wrong byte: it
//! must be found, or the measurement is too coarse to find anything.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may fail loudly")]

use std::hint::black_box;

use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use grantcore::blocking::Store as _;
use grantcore::client::StoredSecret;
use grantcore::moment::{Entropy, Moment};
use grantcore::operation::Operation;
use grantcore::request::{AccessCheck, TokenRequest};
use grantcore::value::{Digest, SecretMethod};
use grantcore::{
    Authorization, Client, ContentType, MemoryStore, Needs, Policy, RequestParts, Timestamp, User,
};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";
const SAMPLES: usize = 100_000;

struct World {
    policy: Policy,
    store: MemoryStore,
    moment: Moment,
}

impl World {
    fn new() -> Self {
        let policy = Policy::builder("https://auth.example")
            .scope("read", "Read your notes")
            .default_scope("read")
            .resource("https://mcp.example/mcp", "read")
            .build()
            .unwrap();
        let store = MemoryStore::new();
        let client = |id: &str| {
            let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
            Client::confidential(id, SecretMethod::Post, secret)
                .redirect_uri("https://web.example/cb")
        };
        store.put_client(client("web").build().unwrap());
        let moment = Moment::new(Timestamp::from_unix_seconds(NOW), Entropy::from_bytes([7; 128]));
        Self { policy, store, moment }
    }

    fn needs(&self) -> Needs {
        self.policy.needs("https://mcp.example/mcp", "read").unwrap()
    }

    /// Measures the decision on a token request with this body.
    fn token(&self, runner: &mut CtRunner, class: Class, body: &str) {
        let parts = RequestParts {
            method: "POST",
            content_type: ContentType::FORM,
            body: body.as_bytes(),
            ..RequestParts::default()
        };
        let request = TokenRequest::parse(&parts, &self.policy).expect("a form");
        let loaded = self.store.load(&request.keys(&self.policy, &self.moment)).unwrap();
        runner.run_one(class, || request.decide(&loaded, &self.policy, &self.moment));
    }

    /// Measures the check of an access token.
    fn check(&self, runner: &mut CtRunner, class: Class, token: &str) {
        let header = format!("Bearer {token}");
        let header = Authorization::One(header.as_bytes());
        let needs = self.needs();
        let request = AccessCheck::parse(&header, &needs).expect("a header");
        let loaded = self.store.load(&request.keys(&self.policy, &self.moment)).unwrap();
        runner.run_one(class, || request.decide(&loaded, &self.policy, &self.moment));
    }

    /// Returns the tokens of a whole flow.
    fn tokens(&self) -> (String, String) {
        let server = grantcore::blocking::Server::with_sources(
            self.policy.clone(),
            &self.store,
            grantcore::AlwaysActive,
            || Timestamp::from_unix_seconds(NOW),
            || Ok(Entropy::from_bytes([9; 128])),
        );
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let query = format!(
            "response_type=code&client_id=web&code_challenge={challenge}&code_challenge_method=S256"
        );
        let asked =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let user = User::new("alice", b"a browser").unwrap();
        let Ok(grantcore::AuthorizationStep::NeedsConsent(page)) =
            server.authorize(&asked, Some(user))
        else {
            unreachable!("the request is good")
        };
        let allowed = server.consent(&page.ticket(), user, grantcore::Choice::Allow).unwrap();
        let location = allowed.into_location();
        let code = part(&location, "code=", '&');
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let body = format!(
            "grant_type=authorization_code&client_id=web&client_secret={SECRET}&code={code}&code_verifier={verifier}"
        );
        let parts = RequestParts {
            method: "POST",
            content_type: ContentType::FORM,
            body: body.as_bytes(),
            ..RequestParts::default()
        };
        let reply = server.token(&parts).expect("tokens");
        (
            part(&reply.body, "\"access_token\":\"", '"'),
            part(&reply.body, "\"refresh_token\":\"", '"'),
        )
    }
}

fn part(text: &str, before: &str, after: char) -> String {
    let (_, rest) = text.split_once(before).expect("the part is there");
    rest.split(after).next().unwrap_or_default().to_owned()
}

/// Returns classes in random order, each with a random number.
fn classes() -> impl Iterator<Item = (Class, usize)> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let class = if state & 1 << 40 == 0 { Class::Left } else { Class::Right };
        Some((class, usize::try_from(state >> 44).unwrap_or_default()))
    })
}

/// Changes the letter at this place to a random one.
fn wrong(text: &str, at: usize, random: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let others: Vec<u8> = LETTERS.iter().copied().filter(|b| *b != text.as_bytes()[at]).collect();
    let other = char::from(others[random % others.len()]);
    let mut wrong = text.to_owned();
    wrong.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
    wrong
}

fn client(id: &str, secret: &str) -> String {
    format!("grant_type=refresh_token&refresh_token=grt_x&client_id={id}&client_secret={secret}")
}

/// Measures a text that is wrong in its letter at `first`, and one that is wrong at `last`. The
/// letter is random, so that no single text is measured.
fn positions(text: &str, first: usize, last: usize, mut measure: impl FnMut(Class, &str)) {
    for (class, random) in classes().take(SAMPLES) {
        let at = match class {
            Class::Left => first,
            Class::Right => last,
        };
        measure(class, &wrong(text, at, random));
    }
}

/// A client secret that is wrong in its first letter, and in its last.
fn secret_of_a_client(runner: &mut CtRunner, _: &mut BenchRng) {
    let world = World::new();
    positions(SECRET, 0, SECRET.len() - 1, |class, secret| {
        world.token(runner, class, &client("web", secret));
    });
}

/// A client that exists and a client that does not, both with a wrong secret.
fn client_that_exists(runner: &mut CtRunner, _: &mut BenchRng) {
    let world = World::new();
    for (class, random) in classes().take(SAMPLES) {
        let id = match class {
            Class::Left => "web",
            Class::Right => "bew",
        };
        world.token(runner, class, &client(id, &wrong(SECRET, 0, random)));
    }
}

/// An access token whose secret is wrong in its first letter, and in its last but one: the last
/// letter has bits that are not used.
fn access_token(runner: &mut CtRunner, _: &mut BenchRng) {
    let world = World::new();
    let (token, _) = world.tokens();
    positions(&token, 28, token.len() - 2, |class, text| world.check(runner, class, text));
}

/// A refresh token whose family is wrong in its first letter, and in a later one.
fn refresh_token(runner: &mut CtRunner, _: &mut BenchRng) {
    let world = World::new();
    let (_, token) = world.tokens();
    positions(&token, 28, 64, |class, token| {
        let body = format!(
            "grant_type=refresh_token&refresh_token={token}&client_id=web&client_secret={SECRET}"
        );
        world.token(runner, class, &body);
    });
}

/// The comparison of digests that differ in their first byte, and of digests that differ in one of
/// their last bytes.
fn digests(runner: &mut CtRunner, _: &mut BenchRng) {
    let text = serde_json::to_string(&Digest::of(SECRET.as_bytes())).unwrap();
    let digest = |text: &str| serde_json::from_str::<Digest>(text).unwrap();
    let own = digest(&text);
    // The last letter has bits that are not used, and a quotation mark stands behind it.
    positions(&text, 1, text.len() - 3, |class, text| {
        let other = digest(text);
        runner.run_one(class, || black_box(&own).matches(black_box(&other)));
    });
}

/// The planted fault: a comparison that ends at the first wrong byte.
fn early_exit(runner: &mut CtRunner, _: &mut BenchRng) {
    positions(SECRET, 0, SECRET.len() - 1, |class, text| {
        runner.run_one(class, || {
            black_box(text).bytes().zip(black_box(SECRET).bytes()).all(|(a, b)| black_box(a) == b)
        });
    });
}

ctbench_main!(
    secret_of_a_client,
    client_that_exists,
    access_token,
    refresh_token,
    digests,
    early_exit
);
