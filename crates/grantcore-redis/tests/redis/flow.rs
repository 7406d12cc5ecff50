//! The whole story over this store: consent, code, refresh, check, connected apps, and all of a
//! user's grants ended at once.

use grantcore::store::{Commit, Write};
use grantcore::{
    Authorization, AuthorizationStep, Choice, ContentType, FromStore, RequestParts, RevokedBy,
    Server, Store,
};
use grantcore_redis::RedisStore;
use serde_json::Value;

use crate::place::{Place, client, everywhere, policy, user};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn authorized(server: &Server<RedisStore>, subject: &str) -> String {
    let query = "response_type=code&client_id=app&redirect_uri=https://app.example/cb&scope=notes&state=af0if\
                 &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let AuthorizationStep::NeedsConsent(page) =
        server.authorize(&incoming, Some(user(subject))).await.unwrap()
    else {
        panic!("a consent page");
    };
    let location =
        server.consent(&page.ticket(), user(subject), Choice::Allow).await.unwrap().into_location();
    let (_, code) = location.split_once("code=").unwrap();
    code.split('&').next().unwrap().to_owned()
}

async fn token(server: &Server<RedisStore>, form: &str) -> (u16, Value) {
    let incoming = RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: form.as_bytes(),
        ..RequestParts::default()
    };
    let reply = server.token(&incoming).await;
    let reply = reply.unwrap_or_else(|error| {
        assert!(error.failure().is_none(), "{error}");
        error.reply(server.policy())
    });
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

async fn works(server: &Server<RedisStore>, access: &Value) -> bool {
    let header = format!("Bearer {}", access.as_str().unwrap());
    let needs = server.policy().needs("https://mcp.example/mcp", "").unwrap();
    let checked = server.check(&Authorization::One(header.as_bytes()), &needs).await;
    match checked {
        Ok(_) => true,
        Err(error) => {
            assert!(error.failure().is_none(), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn from_the_consent_page_to_the_end_of_all_grants() {
    everywhere(async |place: Place| {
        assert_eq!(place.store.commit(&Write::client(None, client("app"))).await.unwrap(), Commit::Done);
        let server = Server::new(policy(), place.store.clone(), FromStore);
        let mut tokens = Vec::new();
        for _ in 0..3 {
            let code = authorized(&server, "alice").await;
            let redeem = format!(
                "grant_type=authorization_code&client_id=app&redirect_uri=https://app.example/cb&code={code}\
                 &code_verifier={VERIFIER}"
            );
            let (status, first) = token(&server, &redeem).await;
            assert_eq!(status, 200, "{first}");
            tokens.push((redeem, first));
        }
        let connections = server.connections("alice", None, 10).await.unwrap();
        assert_eq!(connections.entries.len(), 3);

        // Refreshed, and its first code used twice: over, with all that came of it.
        let (redeem, first) = &tokens[0];
        let refresh = format!("grant_type=refresh_token&client_id=app&refresh_token={}", first["refresh_token"].as_str().unwrap());
        let (status, second) = token(&server, &refresh).await;
        assert_eq!(status, 200, "{second}");
        assert!(works(&server, &first["access_token"]).await && works(&server, &second["access_token"]).await);
        let (status, refused) = token(&server, redeem).await;
        assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")));
        assert!(!works(&server, &second["access_token"]).await);
        assert!(works(&server, &tokens[1].1["access_token"]).await);

        // A suspension pauses, the end of all grants is for good.
        place.store.set_suspended("alice", true).await.unwrap();
        assert!(!works(&server, &tokens[1].1["access_token"]).await);
        place.store.set_suspended("alice", false).await.unwrap();
        assert!(works(&server, &tokens[1].1["access_token"]).await);
        let revoked_by = RevokedBy::SecurityEvent("a lost device");
        assert!(server.revoke_user("alice", revoked_by).await.unwrap().is_complete());
        for (_, first) in &tokens {
            assert!(!works(&server, &first["access_token"]).await);
        }
        for id in place.store.grants_of("alice", None, 10).await.unwrap() {
            let grant = place.store.grant(id).await.unwrap().unwrap().record;
            assert!(matches!(grant.state(), grantcore::grant::GrantState::Revoked(_)), "{:?}", grant.state());
        }
    })
    .await;
}
