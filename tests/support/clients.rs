//! Clients that come by themselves: registration, its management, and documents about clients.

use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::{
    Authorization, AuthorizationStep, Client, ConsentPage, DocumentRequest, DocumentRules, Fetch,
    FetchedDocument, FromStore, MemoryStore, Reason, Refusal, RegistrationRules, Reply,
    RequestParts,
};
use serde_json::{Value, json};

use super::Answered;
use super::Outcome;
use super::params::Params;
use super::{ALICE, CALLBACK, Granted, World, json as body, param, policy};

/// The URL of a document about a client.
pub const DOCUMENT: &str = "https://client.example/oauth/meta.json";

/// What a public client with one redirect URI registers, as most clients of MCP do.
pub fn metadata() -> Value {
    json!({
        "client_name": "Notes Helper",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// The same for a confidential client.
pub fn confidential() -> Value {
    with(metadata(), "token_endpoint_auth_method", "client_secret_post")
}

/// Another redirect URI, to move to.
pub const MOVED: &str = "https://app.example/moved";

/// A world in which anybody may register, and one who has.
pub fn managed(metadata: &Value) -> (World, Own) {
    let world = World::open();
    let own = world.own(metadata);
    (world, own)
}

/// The document about the client at [`DOCUMENT`].
pub fn document() -> Value {
    with(metadata(), "client_id", DOCUMENT)
}

/// The same with this member at this value.
pub fn with(mut metadata: Value, member: &str, value: impl Into<Value>) -> Value {
    metadata[member] = value.into();
    metadata
}

/// The same without this member.
pub fn without(mut metadata: Value, member: &str) -> Value {
    metadata.as_object_mut().unwrap().remove(member);
    metadata
}

/// A response with this document, fresh for a minute.
pub fn fetched(document: &[u8]) -> FetchedDocument<'_> {
    FetchedDocument {
        status: 200,
        content_type: Some(b"application/json"),
        fresh_for: Some(Duration::from_secs(60)),
        body: document,
    }
}

/// A registration as its client knows it.
pub struct Own {
    pub id: String,
    pub secret: Option<String>,
    pub token: String,
    /// The whole response.
    pub told: Value,
}

impl Own {
    pub fn of(told: Value) -> Self {
        let text = |member: &str| told.get(member).map(|value| value.as_str().unwrap().to_owned());
        let (id, token) = (text("client_id").unwrap(), text("registration_access_token").unwrap());
        Self { id, secret: text("client_secret"), token, told }
    }

    /// A token request of this client, with its secret in the form if it has one.
    pub fn proven(&self, params: Params) -> Params {
        let params = params.set("client_id", &self.id);
        match &self.secret {
            Some(secret) => params.set("client_secret", secret),
            None => params,
        }
    }

    /// These metadata as the body of an update: with its own id.
    pub fn update(&self, metadata: Value) -> Value {
        with(metadata, "client_id", &*self.id)
    }
}

/// A POST of this JSON.
pub fn posting(body: &[u8]) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: Some(b"application/json"),
        body,
        ..RequestParts::default()
    }
}

impl World {
    /// A world in which anybody may register, or be known by a document.
    pub fn open() -> Self {
        Self::with(
            policy()
                .registration(RegistrationRules::default())
                .client_documents(DocumentRules::default()),
        )
    }

    /// Sends these bytes as JSON to the registration endpoint.
    pub fn register_bytes(&self, body: &[u8], authorization: Authorization<'_>) -> Reply {
        self.post_registration(&RequestParts { authorization, ..posting(body) })
    }

    /// Sends this request to the registration endpoint.
    pub fn post_registration(&self, incoming: &RequestParts<'_>) -> Reply {
        self.server
            .register(&RequestParts { source: "192.0.2.1", ..*incoming })
            .answered(self.server.policy())
    }

    /// Registers with these metadata.
    pub fn register(&self, metadata: &Value) -> Reply {
        self.register_bytes(metadata.to_string().as_bytes(), Authorization::None)
    }

    /// The answer to a registration that is expected to be good.
    #[track_caller]
    pub fn registered(&self, metadata: &Value) -> Value {
        let reply = self.register(metadata);
        assert_eq!(reply.status, 201, "{}", reply.body);
        body(&reply)
    }

    /// A registration that is expected to be good, as its client knows it.
    #[track_caller]
    pub fn own(&self, metadata: &Value) -> Own {
        Own::of(self.registered(metadata))
    }

    /// Asserts that the registration is refused so, and that nothing came of it.
    #[track_caller]
    pub fn not_registered(&self, metadata: &Value, code: &str, reason: Reason) {
        self.registration_refused(&posting(metadata.to_string().as_bytes()), 400, code, reason);
    }

    /// Asserts that this request to the registration endpoint is refused so, and that nothing came
    /// of it.
    #[track_caller]
    pub fn registration_refused(
        &self,
        incoming: &RequestParts<'_>,
        status: u16,
        code: &str,
        reason: Reason,
    ) {
        let (clients, commits) = (self.store.inner.counts().clients, self.store.commits());
        let reply = self.post_registration(incoming);
        super::assert_refused(self, &reply, status, code, reason);
        assert_eq!(
            (self.store.inner.counts().clients, self.store.commits()),
            (clients, commits),
            "nothing is created"
        );
    }

    /// Sends a request to the endpoint of a registration.
    pub fn manage(&self, method: &str, client_id: &str, token: &str, body: &Value) -> Reply {
        let (header, body) = (format!("Bearer {token}"), body.to_string());
        let incoming = RequestParts {
            method,
            content_type: Some(b"application/json"),
            authorization: Authorization::One(header.as_bytes()),
            body: body.as_bytes(),
            ..RequestParts::default()
        };
        self.reply(self.server.manage(client_id, &incoming))
    }

    /// Asserts that the request to the endpoint of a registration is refused so, and that nothing
    /// came of it.
    #[track_caller]
    pub fn not_managed(&self, method: &str, own: &Own, body: &Value, code: &str, reason: Reason) {
        let (client, commits) = (self.client(&own.id), self.store.commits());
        super::assert_refused(
            self,
            &self.manage(method, &own.id, &own.token, body),
            400,
            code,
            reason,
        );
        assert_eq!(
            (self.client(&own.id), self.store.commits()),
            (client, commits),
            "nothing is changed"
        );
    }

    /// The answer to an update that is expected to be good.
    #[track_caller]
    pub fn updated(&self, own: &Own, metadata: Value) -> Value {
        let reply = self.manage("PUT", &own.id, &own.token, &own.update(metadata));
        assert_eq!(reply.status, 200, "{}", reply.body);
        body(&reply)
    }

    /// The record of a client.
    pub fn client(&self, id: &str) -> Option<Client> {
        self.store.inner.client(id).unwrap().map(|stored| Client::clone(&stored.record))
    }

    /// What must be fetched before this request can be decided.
    #[track_caller]
    pub fn needed(&self, params: &Params) -> DocumentRequest {
        match self.authorize(params) {
            Ok(AuthorizationStep::NeedMetadata(needed)) => needed,
            other => panic!("no document is needed: {other:?}"),
        }
    }

    /// Sends an authorization request again, with what came of the fetch.
    pub fn authorize_with_document(
        &self,
        params: &Params,
        fetched: Option<FetchedDocument<'_>>,
    ) -> Result<AuthorizationStep, Refusal> {
        let query = params.encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        self.server
            .authorize_with_document(
                &incoming,
                Some(ALICE),
                fetched.map_or(Fetch::Failed, Fetch::Document),
            )
            .outcome()
    }

    /// The consent page of a request that comes with its client's document, which is expected to be
    /// good.
    #[track_caller]
    pub fn page_with(&self, params: &Params, document: &Value) -> ConsentPage {
        match self.authorize_with_document(params, Some(fetched(document.to_string().as_bytes()))) {
            Ok(AuthorizationStep::NeedsConsent(page)) => page,
            other => panic!("no consent page but {other:?}, {:?}", self.reason()),
        }
    }

    /// Has this be done by another server on the same store, just before the next commit for which
    /// nothing is planned yet.
    pub fn meanwhile(&self, act: impl FnOnce(&Server<&MemoryStore>) + Send + 'static) {
        let (policy, now) = (self.server.policy().clone(), self.now());
        self.store.meanwhile(move |store| {
            act(&Server::with_sources(policy, store, FromStore, move || now, super::seeded(7)));
        });
    }

    /// The tokens of a whole flow of this client.
    #[track_caller]
    pub fn tokens_by(&self, own: &Own) -> Granted {
        Granted::of(&self.token(&own.proven(Params::redeem(&self.code(&ask(&own.id))))))
    }

    /// The tokens of a whole flow of this client, which is public.
    #[track_caller]
    pub fn tokens_of(&self, client_id: &str) -> Granted {
        let code = self.code(&Params::authorize().set("client_id", client_id));
        Granted::of(&self.token(&Params::redeem(&code).set("client_id", client_id)))
    }
}

/// An authorization request of this client.
pub fn ask(client_id: &str) -> Params {
    Params::authorize().set("client_id", client_id)
}

/// The code in the answer to an approval.
pub fn code_in(location: &str) -> String {
    param(location, "code").expect("a code")
}
