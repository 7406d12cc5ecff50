//! Two organizations behind one server: each has a URL of its own, and a token is good at the one
//! that its user agreed to. One user belongs to both, and connects an application to each.
//!
//! `cargo run -p grantcore-examples --example tenants`
//!
//! For production: look the organization up before the consent page, and deny the request of a user
//! who does not belong to it, as `consent` does here.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::error::Error;

use grantcore::request::ConsentDecision;
use grantcore::value::Properties;
use grantcore::{
    AlwaysActive, Authorization, AuthorizationStep, Choice, Client, ContentType, MemoryStore,
    Policy, RequestParts, Server, User,
};

type Notes = Server<MemoryStore, AlwaysActive>;

/// A client draws a fresh verifier for each request. These two are from RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Returns whether the user belongs to the organization. A host asks its database.
fn belongs_to(user: &User<'_>, org: &str) -> bool {
    matches!((user.subject(), org), ("alice", "acme" | "globex"))
}

/// Connects the application to one organization, and returns its access token, or `None` if the
/// user may not allow it.
async fn connect(server: &Notes, url: &str) -> Result<Option<String>, Box<dyn Error>> {
    let query = format!(
        "response_type=code&client_id=notes-app&redirect_uri=https://app.example/cb&scope=notes\
         &resource={url}&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let alice = User::new("alice", b"the secret of her browser's session")?;
    let AuthorizationStep::NeedsConsent(page) = server.authorize(&request, Some(alice)).await?
    else {
        return Err("alice is signed in".into());
    };
    let org = page.resource_variables().find_map(|(name, org)| (name == "org").then_some(org));
    let org = org.ok_or("the request names no organization")?;
    let choice = if belongs_to(&alice, org) { Choice::Allow } else { Choice::Deny };
    println!("alice is asked for access to {org}: {choice:?}");
    // Each check of the grant's tokens returns these properties.
    let properties = Properties::of(&BTreeMap::from([("organization", org)]))?;
    let decision = ConsentDecision::new(&page.ticket(), alice, choice)?.with_properties(properties);
    let Ok(redirect) = server.run(decision).await else { return Ok(None) };
    let location = redirect.into_location();
    let form = format!(
        "grant_type=authorization_code&client_id=notes-app&redirect_uri=https://app.example/cb\
         &code={}&code_verifier={VERIFIER}",
        between(&location, "code=", "&")
    );
    let tokens = server
        .token(&RequestParts {
            method: "POST",
            content_type: ContentType::FORM,
            body: form.as_bytes(),
            ..RequestParts::default()
        })
        .await?;
    Ok(Some(between(&tokens.body, "\"access_token\":\"", "\"").to_owned()))
}

/// Answers a call with this token. The check compares the URL with the token, and returns the
/// organization of the grant without another look-up.
async fn call(server: &Notes, token: &str, url: &str) -> Result<String, Box<dyn Error>> {
    let needs = server.policy().needs(url, "notes")?;
    let header = format!("Bearer {token}");
    let access = server.check(&Authorization::One(header.as_bytes()), &needs).await;
    let org = needs.resource().variable("org").unwrap_or_default();
    Ok(match access {
        Ok(access) => {
            let properties = access.properties().ok_or("each grant has properties")?;
            let own: BTreeMap<String, String> = properties.read()?;
            let own = own.get("organization").ok_or("the properties name no organization")?;
            let user = access.subject().ok_or("a call without a user")?;
            format!("the notes of {user} at {own}")
        }
        Err(error) => format!("{} at {org}", error.reply(server.policy()).status),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let scopes = [("notes", "Read and change your notes")];
    let policy = Policy::mcp("https://auth.example", "https://{org}.notes.example/mcp", scopes);
    let app = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
    let store = MemoryStore::new();
    store.put_client(app);
    let server = Server::new(policy.build()?, store, AlwaysActive);

    let acme = "https://acme.notes.example/mcp";
    let globex = "https://globex.notes.example/mcp";
    let at_acme = connect(&server, acme).await?.ok_or("alice belongs to acme")?;
    let at_globex = connect(&server, globex).await?.ok_or("alice belongs to globex")?;
    println!("a stranger: {:?}", connect(&server, "https://initech.notes.example/mcp").await?);

    for (name, token) in [("acme", &at_acme), ("globex", &at_globex)] {
        for url in [acme, globex] {
            println!("the token for {name}: {}", call(&server, token, url).await?);
        }
    }
    for connection in server.connections("alice", None, 9).await?.entries {
        println!("connected: {}", connection.resources().collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

/// Returns the text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split(before).nth(1).unwrap_or_default();
    rest.split(after).next().unwrap_or_default()
}
