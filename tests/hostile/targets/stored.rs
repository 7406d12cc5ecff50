//! Records as any bytes: what a store returns after a fault of its disk, or of its operator.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::{Server, Store};
use grantcore::grant::Grant;
use grantcore::policy::{IntrospectionRules, RegistrationRules, RevocationRules};
use grantcore::store::{Commit, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{
    AlwaysActive, Authorization, Choice, Client, ContentType, Policy, RequestParts, RevokedBy,
    Timestamp, User,
};

use crate::cast::{MCP, VERIFIER};
use crate::model::play::form;

/// A store of one grant and one client.
struct Two {
    grant: Option<Grant>,
    client: Option<Client>,
}

/// The error of decoding.
#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

impl Store for Two {
    type Error = Never;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Never> {
        let own = self.client.clone().filter(|client| client.id().as_str() == id);
        Ok(own.map(|own| Stored { record: std::sync::Arc::new(own), version: Version(3) }))
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Never> {
        let own = self.grant.clone().filter(|grant| grant.id() == id);
        Ok(own.map(|own| Stored { record: std::sync::Arc::new(own), version: Version(3) }))
    }

    fn commit(&self, write: &Write) -> Result<Commit, Never> {
        // Whatever is written can be read again.
        if let Some(change) = write.as_grant() {
            let text = serde_json::to_string(change.record()).expect("a record");
            let again: Grant = serde_json::from_str(&text).expect("what is written can be read");
            assert_eq!(again, **change.record());
        }
        Ok(Commit::Done)
    }

    fn grants_of(&self, _: &str, _: Option<GrantId>, _: usize) -> Result<Vec<GrantId>, Never> {
        Ok(self.grant.iter().map(Grant::id).collect())
    }
}

/// Decodes the record, and checks that it is encoded as it was.
fn decoded<R>(data: &[u8]) -> Option<R>
where
    R: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let record: R = serde_json::from_slice(data).ok()?;
    let text = serde_json::to_string(&record).expect("a record");
    let again: R = serde_json::from_str(&text).expect("an encoded record is decoded");
    assert_eq!(again, record);
    Some(record)
}

/// A record as JSON, of a grant or of a client. If it can be decoded, eight operations are decided
/// on it. None panics, and none accepts a credential whose secret nobody knows.
pub fn records(data: &[u8]) {
    let grant: Option<Grant> = decoded(data);
    let client: Option<Client> = decoded(data);
    let client_id = match (&grant, &client) {
        (Some(grant), _) => grant.client_id().to_string(),
        (None, Some(client)) => client.id().to_string(),
        (None, None) => return,
    };
    let client = client.or_else(|| Client::public(&client_id).redirect_uri(URI).build().ok());
    let issuer = grant.as_ref().map_or("https://auth.example", Grant::issued_by).to_owned();
    let policy = Policy::builder(issuer)
        .scope("read", "Read")
        .scope("write", "Write")
        .default_scope("read")
        .resource(MCP, "read write")
        .registration(RegistrationRules::default())
        .revocation(RevocationRules::default())
        .introspection(IntrospectionRules::default().with_resource_server(&*client_id, MCP))
        .build();
    let Ok(policy) = policy else { return };
    let id = grant.as_ref().map_or(GrantId::from_bytes([1; 16]), Grant::id);
    let now = grant.as_ref().map_or(1_800_000_000, |grant| grant.created().unix_seconds());
    let subject = grant.as_ref().and_then(|grant| grant.subject());
    let subject = subject.map_or("alice".to_owned(), ToString::to_string);
    let draw = || Ok(grantcore::moment::Entropy::from_bytes([0x5A; 128]));
    let now = move || Timestamp::from_unix_seconds(now.saturating_add(1));
    let server = Server::with_sources(policy, Two { grant, client }, AlwaysActive, now, draw);
    let credential = |prefix: &str, length: usize| {
        let bytes = [id.as_bytes().as_slice(), &vec![0xA5; length]].concat();
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let access = credential("gat_", 32);
    let refresh = credential("grt_", 64);
    let code = credential("gac_", 32);
    let send = |pairs: &[(&str, &str)], act: &dyn Fn(&RequestParts<'_>) -> bool| {
        let body = form(pairs);
        act(&RequestParts {
            method: "POST",
            content_type: ContentType::FORM,
            body: body.as_bytes(),
            ..RequestParts::default()
        })
    };
    let header = format!("Bearer {access}");
    if let Ok(needs) = server.policy().needs(MCP, "read") {
        let is_accepted = server.check(&Authorization::One(header.as_bytes()), &needs).is_ok();
        assert!(!is_accepted, "an unknown token is accepted");
    }
    let has_tokens = |reply: Result<grantcore::Reply, grantcore::Error<Never>>| {
        reply.is_ok_and(|reply| reply.body.contains("access_token"))
    };
    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", &client_id),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    assert!(!send(&redeem, &|request| has_tokens(server.token(request))), "an unknown code");
    let rotate =
        [("grant_type", "refresh_token"), ("client_id", &*client_id), ("refresh_token", &refresh)];
    assert!(!send(&rotate, &|request| has_tokens(server.token(request))), "an unknown token");
    let token = [("client_id", &*client_id), ("token", &*access)];
    send(&token, &|request| server.revoke(request).is_ok());
    send(&token, &|request| server.introspect(request).is_ok());
    if let Ok(user) = User::new(&subject, b"a browser") {
        let ticket = credential("gct_", 32);
        assert!(server.consent(&ticket, user, Choice::Allow).is_err(), "an unknown ticket");
        let query =
            form(&[("response_type", "code"), ("client_id", &client_id), ("scope", "read")]);
        let request =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let _ = server.authorize(&request, Some(user));
    }
    let _ = server.connections(&subject, None, 5);
    let _ = server.revoke_connection(&subject, id);
    let _ = server.revoke_client(&client_id, RevokedBy::Administrator("because"));
}

const URI: &str = "https://app.example/cb";
