//! A whole authorization in one process, without HTTP and without a database. Each step is printed.
//! It shows which call of the server belongs to which step, and what a replayed token costs.
//!
//! `cargo run --example quickstart`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use grantcore::reason::ErrorCode;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, ContentType, FromStore, MemoryStore, Policy,
    RequestParts, Server, User,
};

/// A client draws a fresh verifier for each request. These two are from RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server consists of a policy, a store and the accounts of the users. This store is in
    // memory. It loads the accounts as well: each user exists and is active.
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read and change your notes")
        .resource("https://mcp.example/mcp", "notes")
        .build()?;
    let app = Client::public("notes-app").name("Notes").redirect_uri("https://app.example/cb");
    let store = MemoryStore::new();
    store.add_client(app.build()?);
    let server = Server::new(policy, store, FromStore)
        // Each call emits one event for the operator's log. It contains no secret.
        .with_observer(|event| println!("   event: {event}"));

    println!("1. The client sends the browser of alice to the authorization endpoint.");
    let query = format!(
        "response_type=code&client_id=notes-app&redirect_uri=https://app.example/cb\
         &scope=notes&state=af0if&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    // The login is the application's. It has signed alice in before, in a browser session that has
    // a secret. The consent page is bound to both, so that no other browser can submit it.
    let alice = User::new("alice", b"the secret of her browser's session")?;
    let page = match server.authorize(&request, Some(alice)).await? {
        AuthorizationStep::NeedsConsent(page) => page,
        step => return Err(format!("not a consent page: {step:?}").into()),
    };

    println!("2. The consent page is shown, and alice presses Allow.");
    println!("   {} asks {} for:", page.client_name(), page.subject());
    for (scope, description) in page.scopes(server.policy()) {
        println!("   {scope}: {description}");
    }
    let ticket = page.ticket();
    let location = server.consent(&ticket, alice, Choice::Allow).await?.into_location();
    println!("   303 {location}");

    println!("3. The redirect brought a code to the client, which redeems it.");
    let code = between(&location, "code=", "&");
    let redeem = format!(
        "grant_type=authorization_code&client_id=notes-app&redirect_uri=https://app.example/cb\
         &code={code}&code_verifier={VERIFIER}"
    );
    let tokens = token_request(&server, &redeem).await;
    let access = between(&tokens, "\"access_token\":\"", "\"");
    let refresh = between(&tokens, "\"refresh_token\":\"", "\"");

    println!("4. The client calls the resource, which checks the access token.");
    let needs = server.policy().needs("https://mcp.example/mcp", "notes")?;
    let header = format!("Bearer {access}");
    let authorization = Authorization::One(header.as_bytes());
    let call = server.check(&authorization, &needs).await?;
    println!(
        "   accepted: {} calls for {}",
        call.client_id(),
        call.subject().ok_or("a call without a user")?
    );

    println!("5. The client refreshes. The refresh token is replaced by its successor.");
    let refresh = format!("grant_type=refresh_token&client_id=notes-app&refresh_token={refresh}");
    token_request(&server, &refresh).await;

    println!("6. The old refresh token is presented again, as by a thief.");
    token_request(&server, &refresh).await;

    println!("7. The replay has revoked the whole grant, and the access token with it.");
    match server.check(&authorization, &needs).await {
        Ok(_) => return Err("a revoked token was accepted".into()),
        Err(error) => {
            let refusal = error.refusal();
            let code = refusal.code().map_or("", ErrorCode::as_str);
            println!("   the client receives {} {code}", refusal.status());
            println!("   the operator reads why: {}", refusal.reason().cause());
            println!("   and what to do: {}", refusal.reason().fix());
        }
    }
    Ok(())
}

/// Sends a form to the token endpoint. Prints the response and returns its body.
async fn token_request(server: &Server<MemoryStore>, form: &str) -> String {
    let request = RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: form.as_bytes(),
        ..RequestParts::default()
    };
    // The refusal of an invalid request is a reply too, with the OAuth error code.
    let reply = server.token(&request).await.unwrap_or_else(|error| error.reply(server.policy()));
    println!("   {} {}", reply.status, reply.body);
    reply.body
}

/// Returns the text between `before` and `after`. A real client parses the URL and the JSON.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once(after).map_or(rest, |(found, _)| found)
}
