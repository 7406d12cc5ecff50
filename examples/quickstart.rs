//! A whole authorization in one process, without a network. Each step is printed.
//!
//! `cargo run --example quickstart`

use std::error::Error;

use grantcore::blocking::Server;
use grantcore::reason::ErrorCode;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, FromStore, MemoryStore, Policy, RequestParts,
    User,
};

/// RFC 7636, appendix B. A real client draws a fresh verifier for each request.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[expect(clippy::print_stdout, reason = "it is what this example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    // The host brings a policy and a store. This one is in memory.
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read and change your notes")
        .resource("https://mcp.example/mcp", "notes")
        .build()?;
    let store = MemoryStore::new();
    store.put_client(
        Client::public("notes-app").name("Notes").redirect_uri("https://app.example/cb").build()?,
    );
    let server = Server::new(policy, store, FromStore)
        .with_observer(|event| println!("  trail: {} {:?}", event.kind.name(), event.reason));
    let alice = User::new("alice", b"alice's browser session")?;

    println!("1. The client sends alice's browser to the authorization endpoint.");
    let query = format!(
        "response_type=code&client_id=notes-app&redirect_uri=https://app.example/cb&scope=notes&state=af0if\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let AuthorizationStep::NeedsConsent(page) = server.authorize(&request, Some(alice))? else {
        return Err("alice is signed in".into());
    };
    println!(
        "   {:?} asks {} for {:?}",
        page.client_name(),
        page.subject(),
        page.scopes(server.policy()).collect::<Vec<_>>()
    );

    println!("2. Alice presses Allow.");
    let location = server.consent(&page.ticket(), alice, Choice::Allow)?.into_location();
    println!("   303 {location}");

    println!("3. The client redeems the code.");
    let code = between(&location, "code=", "&");
    let tokens = post(
        &server,
        &format!(
            "grant_type=authorization_code&client_id=notes-app&redirect_uri=https://app.example/cb&code={code}&code_verifier={VERIFIER}"
        ),
    );
    let access = between(&tokens, "access_token\":\"", "\"");
    let refresh = between(&tokens, "refresh_token\":\"", "\"");

    println!("4. It calls the resource.");
    let notes = server.policy().needs("https://mcp.example/mcp", "notes")?;
    let header = format!("Bearer {access}");
    let call = || server.check(&Authorization::One(header.as_bytes()), &notes);
    println!("   served to {}", call()?.subject());

    println!("5. It refreshes.");
    let refresh = format!("grant_type=refresh_token&client_id=notes-app&refresh_token={refresh}");
    post(&server, &refresh);

    println!("6. Somebody presents the old refresh token again.");
    post(&server, &refresh);

    println!("7. So every token of this grant is dead, and the operator reads why.");
    let Err(error) = call() else { return Err("a revoked token was accepted".into()) };
    let refusal = error.refusal();
    println!(
        "   {} {}\n   cause: {}\n   fix: {}",
        refusal.status(),
        refusal.code().map_or("", ErrorCode::as_str),
        refusal.reason().cause(),
        refusal.reason().fix()
    );
    Ok(())
}

/// Sends a form to the token endpoint and prints what comes back.
#[expect(clippy::print_stdout, reason = "it is what this example is for")]
fn post(server: &Server<MemoryStore>, body: &str) -> String {
    let content_type: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");
    let request = RequestParts {
        method: "POST",
        content_type,
        body: body.as_bytes(),
        ..RequestParts::default()
    };
    let reply = server.token(&request).unwrap_or_else(|error| error.reply(server.policy()));
    println!("   {} {}", reply.status, reply.body);
    reply.body
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default()
}
