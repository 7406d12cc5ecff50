//! A server with one grant at each stage, and each operation from a parsed request to the text of
//! its response.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail loudly"
)]

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use grantcore::blocking::{Store, drive};
use grantcore::grant::Grant;
use grantcore::moment::Entropy;
use grantcore::operation::Operation;
use grantcore::policy::RegistrationRules;
use grantcore::request::{
    AccessCheck, AuthorizationRequest, ConsentDecision, RegistrationRequest, TokenRequest,
};
use grantcore::store::{Commit, Stored, Write};
use grantcore::value::{GrantId, Properties};
use grantcore::{
    AlwaysActive, Authorization, AuthorizationStep, Choice, Client, ContentType, MemoryStore,
    Needs, Policy, RequestParts, Timestamp, User,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ALICE: User<'static> = match User::new("alice", b"alice's browser") {
    Ok(alice) => alice,
    Err(_) => panic!("an account and a session have a name"),
};

pub struct Bench {
    policy: Policy,
    /// What the operation needs that is checked.
    needs: Needs,
    store: MemoryStore,
    seed: AtomicU64,
    /// Whether commits are acknowledged without being kept, so that one request can be run again
    /// and again.
    pub frozen: AtomicBool,
}

/// A request as it arrived, to be parsed outside what is measured.
pub struct Form(String);

impl Bench {
    pub fn new() -> Self {
        let policy = Policy::builder("https://auth.example")
            .scope("read", "Read")
            .scope("write", "Write")
            .default_scope("read")
            .resource("https://mcp.example/mcp", "read write")
            .registration(RegistrationRules::default())
            .build()
            .unwrap();
        let store = MemoryStore::new();
        store.put_client(
            Client::public("app").redirect_uri("https://app.example/cb").build().unwrap(),
        );
        Self {
            needs: policy.needs("https://mcp.example/mcp", "read").unwrap(),
            policy,
            store,
            seed: AtomicU64::new(0),
            frozen: AtomicBool::new(false),
        }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn entropy(&self) -> Entropy {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 128];
        for (position, word) in bytes.chunks_exact_mut(8).enumerate() {
            let mixed = (seed * 16 + position as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            word.copy_from_slice(&(mixed ^ (mixed >> 29)).to_le_bytes());
        }
        Entropy::from_bytes(bytes)
    }

    pub fn authorize_form() -> Form {
        let query = "response_type=code&client_id=app&redirect_uri=https://app.example/cb&scope=read+write&state=xyz&code_challenge_method=S256";
        Form(format!("{query}&code_challenge={CHALLENGE}"))
    }

    pub fn authorization<'a>(&self, form: &'a Form) -> AuthorizationRequest<'a> {
        AuthorizationRequest::parse(
            &RequestParts { method: "GET", query: form.0.as_bytes(), ..RequestParts::default() },
            Some(ALICE),
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

    /// A code that waits to be redeemed, as the form that redeems it.
    pub fn redeem_form(&self) -> Form {
        self.redeem_form_with(None)
    }

    /// The same, with properties that the host binds to the grant.
    pub fn redeem_form_with(&self, properties: Option<Properties>) -> Form {
        let form = Self::authorize_form();
        let step = self.run_authorization(&self.authorization(&form), self.entropy());
        let AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
        let mut decision = ConsentDecision::new(&page.ticket(), ALICE, Choice::Allow).unwrap();
        if let Some(properties) = properties {
            decision = decision.with_properties(properties);
        }
        let location = self.run(&decision, self.entropy()).into_location();
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
        let refresh = format!(
            "grant_type=refresh_token&client_id=app&refresh_token={}",
            field("refresh_token")
        );
        (Form(refresh), Form(format!("Bearer {}", field("access_token"))))
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

    pub fn run_check(&self, request: &AccessCheck<'_>, entropy: Entropy) -> bool {
        drive(request, self, AlwaysActive, &self.policy, &|| NOW, entropy).unwrap().outcome.is_ok()
    }

    /// Checks a call, and returns the size of the properties that the check returns.
    pub fn check_properties(&self, request: &AccessCheck<'_>, entropy: Entropy) -> usize {
        let access = self.run(request, entropy);
        access.properties().map_or(0, |properties| properties.as_str().len())
    }

    fn run<O: Operation>(&self, operation: &O, entropy: Entropy) -> O::Response {
        drive(operation, self, AlwaysActive, &self.policy, &|| NOW, entropy)
            .unwrap()
            .outcome
            .unwrap()
    }
}

impl Store for Bench {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        self.store.client(id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        self.store.grant(id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        if self.frozen.load(Ordering::Relaxed) {
            Ok(Commit::Done)
        } else {
            self.store.commit(write)
        }
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        self.store.grants_of(subject, after, limit)
    }
}
