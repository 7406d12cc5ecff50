//! The text that the program prints at its start.

use std::io::Write as _;

use crate::{Running, setup};

/// Prints the addresses and accounts. A closed standard output does not stop the server.
pub(crate) fn print(running: &Running) {
    let issuer = &running.issuer;
    let users: Vec<String> =
        running.shown.iter().map(|(name, password)| format!("{name} / {password}")).collect();
    let users = match (&running.provider, running.has_passwords) {
        (Some(name), false) => format!("a user of {name}"),
        (Some(name), true) => format!("an account of --accounts, or a user of {name}"),
        (None, _) if users.is_empty() => "the accounts of --accounts".to_owned(),
        (None, _) => users.join(", "),
    };
    let confidential = if running.has_published_client {
        let secret = setup::DEMO_SECRET;
        let (web, machine) = (setup::CONFIDENTIAL_CLIENT, setup::MACHINE_CLIENT);
        format!(
            "\n  Confidential client  {web}    secret {secret}
  Machine              {machine}    secret {secret}"
        )
    } else {
        String::new()
    };
    let places = match &running.resources {
        Some(resources) => {
            let lines = resources.iter().map(|url| format!("  Resource             {url}\n"));
            format!("{}  Log in as            {users}", lines.collect::<String>())
        }
        None => format!(
            "  MCP endpoint         {issuer}/mcp    (give it to any MCP client, which registers itself)
  JSON API             {issuer}/api
  Log in as            {users}
  Public client        {}    redirect http://127.0.0.1:PORT/callback{confidential}",
            setup::PUBLIC_CLIENT,
        ),
    };
    let forwards = running.forwards.iter().map(|own| format!("\n  Protected upstream   {own}"));
    let forwards = forwards.collect::<String>();
    let _ = writeln!(
        std::io::stdout(),
        "grantcore-server at {issuer}

{places}{forwards}

Stop with Ctrl-C. Settings: --help",
    );
    if running.is_exposed {
        let _ = writeln!(
            std::io::stdout(),
            "\nDANGER: client documents are fetched from this machine too. \
             Anybody can make this server call what listens here."
        );
    }
}
