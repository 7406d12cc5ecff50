//! A server with grants in memory, and each operation from a parsed request to the text of its
//! response.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail loudly"
)]

pub mod floor;
pub mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::blocking::{Server, drive};
use grantcore::moment::{CorrelationId, Entropy, EntropyError, EntropySource, SystemEntropy};
use grantcore::operation::{Operation, Settled};
use grantcore::policy::RegistrationRules;
use grantcore::request::{
    AccessCheck, AuthorizationRequest, ConsentDecision, RegistrationRequest, TokenRequest,
};
use grantcore::value::Properties;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, ContentType, FromStore, MemoryStore, Needs,
    Policy, RequestParts, Timestamp, User,
};

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: u64 = 1_800_000_000;
/// When the grants of [`Bench::with_grants`] were made: a clock that was five years ahead. A sweep
/// in between drops what was measured, and leaves them.
const LATER: u64 = NOW + 2 * BETWEEN;
const BETWEEN: u64 = 80_000_000;
const ALICE: User<'static> = match User::new("alice", b"alice's browser") {
    Ok(alice) => alice,
    Err(_) => panic!("an account and a session have a name"),
};

pub struct Bench {
    policy: Policy,
    /// What the operation needs that is checked.
    needs: Needs,
    store: Arc<MemoryStore>,
    /// Checks calls: the face that a host has.
    server: Server<Arc<MemoryStore>>,
    /// The same, with the system's entropy.
    drawing: Server<Arc<MemoryStore>>,
    seed: AtomicU64,
    /// In seconds since the epoch.
    clock: Arc<AtomicU64>,
    /// The value of the parameter `scope`.
    scope: String,
}

/// Entropy that was drawn before the call.
struct HandedIn;

impl EntropySource for HandedIn {
    fn draw(&self) -> Result<Entropy, EntropyError> {
        Ok(Entropy::from_bytes([7; 128]))
    }

    fn draw_id(&self) -> Result<CorrelationId, EntropyError> {
        Ok(CorrelationId::from_bytes([7; 16]))
    }
}

/// A request as it arrived, to be parsed outside what is measured.
pub struct Form(String);

impl Form {
    /// The form that rotates this refresh token.
    pub fn refresh(token: &str) -> Self {
        Self(format!("grant_type=refresh_token&client_id=app&refresh_token={token}"))
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with_scope(&["read", "write"])
    }

    /// A server with these scope tokens, all of which each request asks for. The first one is
    /// needed at the resource.
    pub fn with_scope(tokens: &[&str]) -> Self {
        let scope = tokens.join(" ");
        let first = tokens[0];
        let policy = tokens
            .iter()
            .fold(Policy::builder("https://auth.example"), |policy, token| {
                policy.scope(*token, "Do something")
            })
            .default_scope(first)
            .resource("https://mcp.example/mcp", &scope)
            .registration(RegistrationRules::default())
            .build()
            .unwrap();
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(AtomicU64::new(NOW));
        let time = Arc::clone(&clock);
        let now = move || Timestamp::from_unix_seconds(time.load(Ordering::Relaxed));
        let (own, shared) = (now.clone(), Arc::clone(&store));
        let server = Server::with_sources(policy.clone(), shared, FromStore, own, HandedIn);
        let shared = Arc::clone(&store);
        let drawing = Server::with_sources(policy.clone(), shared, FromStore, now, SystemEntropy);
        store.put_client(
            Client::public("app").redirect_uri("https://app.example/cb").build().unwrap(),
        );
        Self {
            needs: policy.needs("https://mcp.example/mcp", first).unwrap(),
            policy,
            store,
            server,
            drawing,
            seed: AtomicU64::new(0),
            clock,
            scope: scope.replace(' ', "+"),
        }
    }

    /// A server with this many live grants, of a user each.
    pub fn with_grants(count: usize) -> Self {
        Self::with_tokens(count).0
    }

    /// The same, with the refresh form and the access header of each grant.
    pub fn with_tokens(count: usize) -> (Self, Vec<(Form, Form)>) {
        let bench = Self::new();
        bench.clock.store(LATER, Ordering::Relaxed);
        let tokens = (0..count)
            .map(|number| {
                let name = format!("user-{number}");
                let user = User::new(&name, b"a user's browser").unwrap();
                bench.refresh_form_of(&bench.redeem_form_of(user, None))
            })
            .collect();
        bench.clock.store(NOW, Ordering::Relaxed);
        (bench, tokens)
    }

    /// Adds this many live grants, of a user each, and keeps none of their tokens.
    pub fn fill(&self, count: usize) {
        for number in 0..count {
            let name = format!("user-{number}");
            let user = User::new(&name, b"a user's browser").unwrap();
            drop(self.refresh_form_of(&self.redeem_form_of(user, None)));
        }
    }

    /// Moves the clock.
    pub fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Drops the grants that were made since [`with_grants`](Self::with_grants).
    pub fn drop_new_grants(&self) {
        self.store.sweep(Timestamp::from_unix_seconds(NOW + BETWEEN), usize::MAX);
    }

    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The time that a sweep of grants made now needs to find them due.
    pub fn when_due() -> Timestamp {
        Timestamp::from_unix_seconds(NOW + BETWEEN)
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn entropy(&self) -> Entropy {
        Entropy::from_bytes(self.bytes())
    }

    pub fn bytes(&self) -> [u8; 128] {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 128];
        for (position, word) in bytes.chunks_exact_mut(8).enumerate() {
            let mixed = (seed * 16 + position as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            word.copy_from_slice(&(mixed ^ (mixed >> 29)).to_le_bytes());
        }
        bytes
    }

    pub fn authorize_form(&self) -> Form {
        let client = "response_type=code&client_id=app&redirect_uri=https://app.example/cb";
        let challenge = format!("code_challenge={CHALLENGE}&code_challenge_method=S256");
        Form(format!("{client}&scope={}&state=xyz&{challenge}", self.scope))
    }

    pub fn authorization<'a>(&self, form: &'a Form) -> AuthorizationRequest<'a> {
        self.authorization_of(form, ALICE)
    }

    fn authorization_of<'a>(&self, form: &'a Form, user: User<'a>) -> AuthorizationRequest<'a> {
        AuthorizationRequest::parse(
            &RequestParts { method: "GET", query: form.0.as_bytes(), ..RequestParts::default() },
            Some(user),
            &self.policy,
        )
        .unwrap()
    }

    pub fn run_authorization(
        &self,
        request: &AuthorizationRequest<'_>,
        entropy: Entropy,
    ) -> AuthorizationStep {
        self.run(request, entropy)
    }

    /// Answers the request with a page, and the page with an approval. Returns the redirect.
    pub fn run_authorization_and_approval(
        &self,
        request: &AuthorizationRequest<'_>,
        (page, approval): (Entropy, Entropy),
    ) -> String {
        self.approved(request, ALICE, None, (page, approval))
    }

    fn approved(
        &self,
        request: &AuthorizationRequest<'_>,
        user: User<'_>,
        properties: Option<Properties>,
        (page, approval): (Entropy, Entropy),
    ) -> String {
        let step = self.run(request, page);
        let AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
        let mut decision = ConsentDecision::new(&page.ticket(), user, Choice::Allow).unwrap();
        if let Some(properties) = properties {
            decision = decision.with_properties(properties);
        }
        self.run(&decision, approval).into_location()
    }

    /// A code that waits to be redeemed, as the form that redeems it.
    pub fn redeem_form(&self) -> Form {
        self.redeem_form_with(None)
    }

    /// The same, with properties that the host binds to the grant.
    pub fn redeem_form_with(&self, properties: Option<Properties>) -> Form {
        self.redeem_form_of(ALICE, properties)
    }

    fn redeem_form_of(&self, user: User<'_>, properties: Option<Properties>) -> Form {
        let form = self.authorize_form();
        let request = self.authorization_of(&form, user);
        let entropy = (self.entropy(), self.entropy());
        let location = self.approved(&request, user, properties, entropy);
        let code = location.split("code=").nth(1).unwrap().split('&').next().unwrap();
        let fields =
            "grant_type=authorization_code&client_id=app&redirect_uri=https://app.example/cb";
        Form(format!("{fields}&code={code}&code_verifier={VERIFIER}"))
    }

    /// A refresh token that waits to be rotated, as the form that does it; and the access token
    /// beside it, as a header.
    pub fn refresh_form(&self) -> (Form, Form) {
        self.refresh_form_of(&self.redeem_form())
    }

    /// The same, for the code that this form redeems.
    pub fn refresh_form_of(&self, form: &Form) -> (Form, Form) {
        let body = self.run_token(&self.token(form), self.entropy());
        let field = |name: &str| {
            body.split(&format!("\"{name}\":\""))
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        };
        let access = Form(format!("Bearer {}", field("access_token")));
        (Form::refresh(&field("refresh_token")), access)
    }

    pub fn token<'a>(&self, form: &'a Form) -> TokenRequest<'a> {
        let content_type = ContentType::FORM;
        TokenRequest::parse(
            &RequestParts {
                method: "POST",
                content_type,
                body: form.0.as_bytes(),
                ..RequestParts::default()
            },
            &self.policy,
        )
        .unwrap()
    }

    pub fn run_token(&self, request: &TokenRequest<'_>, entropy: Entropy) -> String {
        let reply = self.run(request, entropy).reply();
        assert_eq!(reply.status, 200);
        reply.body
    }

    pub fn check<'a>(&'a self, header: &Form) -> AccessCheck<'a> {
        AccessCheck::parse(&Authorization::One(header.0.as_bytes()), &self.needs).unwrap()
    }

    /// What most clients of MCP register with.
    pub fn register_form() -> Form {
        let redirect = r#""redirect_uris":["http://127.0.0.1:33418/callback"],"token_endpoint_auth_method":"none""#;
        let flow = r#""grant_types":["authorization_code","refresh_token"],"response_types":["code"],"application_type":"native""#;
        Form(format!(r#"{{"client_name":"Notes Helper",{redirect},{flow}}}"#))
    }

    pub fn registration(&self, form: &Form) -> RegistrationRequest {
        let content_type = ContentType::JSON;
        let incoming = RequestParts {
            method: "POST",
            content_type,
            body: form.0.as_bytes(),
            ..RequestParts::default()
        };
        RegistrationRequest::parse(&incoming, &self.policy).unwrap()
    }

    pub fn run_registration(&self, request: &RegistrationRequest, entropy: Entropy) -> String {
        self.run(request, entropy).reply(&self.policy).body
    }

    /// Checks a call with an id that is handed in.
    pub fn run_check(&self, request: &AccessCheck<'_>) -> bool {
        self.server.check_parsed(request, "").is_ok()
    }

    /// Checks a call with an id that the system draws.
    pub fn run_check_drawing(&self, request: &AccessCheck<'_>) -> bool {
        self.drawing.check_parsed(request, "").is_ok()
    }

    /// Checks a call, and returns the size of the properties that the check returns.
    pub fn check_properties(&self, request: &AccessCheck<'_>) -> usize {
        let access = self.server.check_parsed(request, "").unwrap();
        access.properties().map_or(0, |properties| properties.as_str().len())
    }

    fn run<O: Operation>(&self, operation: &O, entropy: Entropy) -> O::Response {
        let clock = || self.now();
        match drive(operation, &*self.store, FromStore, &self.policy, &clock, entropy) {
            Ok(Settled { outcome: Ok(response), .. }) => response,
            other => panic!("{:?}", other.map(|settled| settled.event)),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }
}
