//! Steps of clients that the operator did not register: registration, its management, and client
//! metadata documents.

use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::policy::{DocumentRules, RegistrationRules};
use grantcore::request::{Fetch, FetchedDocument};
use grantcore::response::DocumentRequest;
use grantcore::{
    Authorization, AuthorizationStep, Client, ConsentPage, ContentType, FromStore, MemoryStore,
    Reason, Refusal, Reply, RequestParts,
};
use serde_json::{Value, json};

use super::Answered;
use super::Outcome;
use super::params::Params;
use super::{ALICE, CALLBACK, Granted, World, json as body, param, policy};

/// The URL of a client metadata document.
pub const DOCUMENT: &str = "https://client.example/oauth/meta.json";

/// Returns the registration of a public client with one redirect URI, as most MCP clients send it.
pub fn metadata() -> Value {
    json!({
        "client_name": "Notes Helper",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// Returns the registration of a confidential client.
pub fn confidential() -> Value {
    with(metadata(), "token_endpoint_auth_method", "client_secret_post")
}

/// Another redirect URI, for updates.
pub const MOVED: &str = "https://app.example/moved";

/// Returns a world with open registration, and a client that registered there.
pub fn managed(metadata: &Value) -> (World, Own) {
    let world = World::open();
    let own = world.own(metadata);
    (world, own)
}

/// Returns the client metadata document at [`DOCUMENT`].
pub fn document() -> Value {
    with(metadata(), "client_id", DOCUMENT)
}

/// Returns the record of the client of [`DOCUMENT`], read a long time ago.
pub fn known_by_document() -> Client {
    Client::public(DOCUMENT)
        .registration(grantcore::client::Registration::MetadataDocument)
        .redirect_uri(CALLBACK)
        .build()
        .unwrap()
}

/// Sets a member of client metadata.
pub fn with(mut metadata: Value, member: &str, value: impl Into<Value>) -> Value {
    metadata[member] = value.into();
    metadata
}

/// Removes a member of client metadata.
pub fn without(mut metadata: Value, member: &str) -> Value {
    metadata.as_object_mut().unwrap().remove(member);
    metadata
}

/// Returns a response with this document, fresh for a minute.
pub fn fetched(document: &[u8]) -> FetchedDocument<'_> {
    FetchedDocument {
        status: 200,
        content_type: Some(b"application/json"),
        fresh_for: Some(Duration::from_secs(60)),
        body: document,
    }
}

/// A registration, as its client knows it.
pub struct Own {
    pub id: String,
    pub secret: Option<String>,
    pub token: String,
    /// The whole response of the registration.
    pub response: Value,
}

impl Own {
    pub fn of(response: Value) -> Self {
        let text =
            |member: &str| response.get(member).map(|value| value.as_str().unwrap().to_owned());
        let id = text("client_id").unwrap();
        let token = text("registration_access_token").unwrap();
        Self { id, secret: text("client_secret"), token, response }
    }

    /// Adds the client id to a token request, and the secret if the client has one.
    pub fn proven(&self, params: Params) -> Params {
        let params = params.set("client_id", &self.id);
        match &self.secret {
            Some(secret) => params.set("client_secret", secret),
            None => params,
        }
    }

    /// Returns the body of an update: these metadata with the client id.
    pub fn update(&self, metadata: Value) -> Value {
        with(metadata, "client_id", &*self.id)
    }
}

/// Returns a POST request with this JSON.
pub fn posting(body: &[u8]) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: ContentType::JSON,
        body,
        ..RequestParts::default()
    }
}

impl World {
    /// Returns a world with open registration and with client documents.
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

    /// Registers with these metadata, expects success, and returns the response.
    #[track_caller]
    pub fn registered(&self, metadata: &Value) -> Value {
        let reply = self.register(metadata);
        assert_eq!(reply.status, 201, "{}", reply.body);
        body(&reply)
    }

    /// Registers with these metadata, expects success, and returns the registration.
    #[track_caller]
    pub fn own(&self, metadata: &Value) -> Own {
        Own::of(self.registered(metadata))
    }

    /// Asserts that the registration is refused with this code and reason, and that nothing is
    /// written.
    #[track_caller]
    pub fn not_registered(&self, metadata: &Value, code: &str, reason: Reason) {
        self.registration_refused(&posting(metadata.to_string().as_bytes()), 400, code, reason);
    }

    /// Asserts that this request to the registration endpoint is refused with this code and reason,
    /// and that nothing is written.
    #[track_caller]
    pub fn registration_refused(
        &self,
        incoming: &RequestParts<'_>,
        status: u16,
        code: &str,
        reason: Reason,
    ) {
        let clients = self.store.inner.counts().clients;
        let commits = self.store.commits();
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
        let header = format!("Bearer {token}");
        let body = body.to_string();
        let incoming = RequestParts {
            method,
            content_type: ContentType::JSON,
            authorization: Authorization::One(header.as_bytes()),
            body: body.as_bytes(),
            ..RequestParts::default()
        };
        self.reply(self.server.manage(client_id, &incoming))
    }

    /// Asserts that the request to the endpoint of a registration is refused with this code and
    /// reason, and that nothing is written.
    #[track_caller]
    pub fn not_managed(&self, method: &str, own: &Own, body: &Value, code: &str, reason: Reason) {
        let client = self.client(&own.id);
        let commits = self.store.commits();
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

    /// Updates the registration, expects success, and returns the response.
    #[track_caller]
    pub fn updated(&self, own: &Own, metadata: Value) -> Value {
        let reply = self.manage("PUT", &own.id, &own.token, &own.update(metadata));
        assert_eq!(reply.status, 200, "{}", reply.body);
        body(&reply)
    }

    /// Returns the record of a client.
    pub fn client(&self, id: &str) -> Option<Client> {
        self.store.inner.client(id).unwrap().map(|stored| Client::clone(&stored.record))
    }

    /// Returns the document that must be fetched before this request can be decided.
    #[track_caller]
    pub fn needed(&self, params: &Params) -> DocumentRequest {
        match self.authorize(params) {
            Ok(AuthorizationStep::NeedsDocument(needed)) => needed,
            other => panic!("no document is needed: {other:?}"),
        }
    }

    /// Sends an authorization request with the outcome of the fetch.
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

    /// Sends a request with its client's document, expects success, and returns the consent page.
    #[track_caller]
    pub fn page_with(&self, params: &Params, document: &Value) -> ConsentPage {
        match self.authorize_with_document(params, Some(fetched(document.to_string().as_bytes()))) {
            Ok(AuthorizationStep::NeedsConsent(page)) => page,
            other => panic!("no consent page but {other:?}, {:?}", self.reason()),
        }
    }

    /// Lets another server on the same store run `act` just before the next commit that has no such
    /// action yet.
    pub fn meanwhile(&self, act: impl FnOnce(&Server<&MemoryStore>) + Send + 'static) {
        let policy = self.server.policy().clone();
        let now = self.now();
        self.store.meanwhile(move |store| {
            act(&Server::with_sources(policy, store, FromStore, move || now, super::seeded(7)));
        });
    }

    /// Runs a whole flow of this client, and returns its tokens.
    #[track_caller]
    pub fn tokens_by(&self, own: &Own) -> Granted {
        Granted::of(&self.token(&own.proven(Params::redeem(&self.code(&ask(&own.id))))))
    }

    /// Runs a whole flow of this public client, and returns its tokens.
    #[track_caller]
    pub fn tokens_of(&self, client_id: &str) -> Granted {
        let code = self.code(&Params::authorize().set("client_id", client_id));
        Granted::of(&self.token(&Params::redeem(&code).set("client_id", client_id)))
    }
}

/// Returns an authorization request of this client.
pub fn ask(client_id: &str) -> Params {
    Params::authorize().set("client_id", client_id)
}

/// Returns the code in the redirect after an approval.
pub fn code_in(location: &str) -> String {
    param(location, "code").expect("a code")
}
