//! The example server: an OAuth 2.1 authorization server and two protected resources, one of them
//! an MCP endpoint, in one process.
//!
//! Read it in this order: `setup.rs` (the policy and the clients), `config/file.rs` (the file of
//! settings), `plan.rs` (what would run with the settings), `commands.rs` (what the program does
//! beside serving), `routes.rs` (all addresses), `routes/authorize.rs` (login and consent between
//! the library's calls), `routes/api.rs` (the token endpoint and the API), `routes/clients.rs` and
//! `documents.rs` (clients that the operator did not register), `store.rs` (the databases),
//! `trail.rs` (the audit log), `protect.rs` (upstreams that it puts OAuth in front of).

mod accounts;
mod app;
mod commands;
mod config;
mod kept;
mod mcp;
mod network;
mod pages;
mod payment;
mod plan;
mod protect;
mod provider;
mod routes;
mod sessions;
mod setup;
mod signals;
mod site;
mod store;
mod tasks;
mod telemetry;
mod trail;

use std::error::Error;
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grantcore::audit::AuditPolicy;
use grantcore::{FromStore, Server};
use grantcore_axum::{Tasks, TrustedProxies};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::accounts::Attempts;
use crate::app::App;
use crate::config::{Config, LoadError};
use crate::kept::Kept;
use crate::network::connections::Connections;
use crate::plan::Plan;
use crate::provider::ATTEMPT_LIFETIME;
use crate::sessions::{Sessions, TokenCookie};
use crate::signals::Signals;
use crate::store::{Backend, Ledger as _};
use crate::trail::Trail;

/// Why the server did not start, as a message for the person who started it.
pub type StartError = Box<dyn Error + Send + Sync>;

/// How many browsers may be signed in to one account at once. The oldest sign-in makes room.
const SESSION_LIMIT: usize = 100;
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long requests may go on after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    issuer: String,
    /// Names and passwords of the demonstration accounts. Empty if an accounts file is used.
    shown: Vec<(String, String)>,
    /// The name of the identity provider, if users sign in with one.
    provider: Option<String>,
    /// Whether there are accounts with a password.
    has_passwords: bool,
    /// The resources of the file of settings. `None` if they are the demonstration's.
    resources: Option<Vec<String>>,
    /// The protected upstreams: where the calls of which resource go.
    forwards: Vec<String>,
    /// Whether the client with the published secret exists.
    has_published_client: bool,
    /// Whether client documents are fetched from this machine too.
    is_exposed: bool,
    trail: Trail,
    tasks: Tasks,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Starts a server from command line arguments, the program's name first.
    ///
    /// # Errors
    /// If an argument is wrong, the policy is contradictory, the accounts file cannot be used, the
    /// database cannot be opened, or the address is in use.
    pub async fn start(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, StartError> {
        Self::start_with(Config::load(arguments)?).await
    }

    async fn start_with(config: Config) -> Result<Self, StartError> {
        let listener = listen(config.listen).await?;
        let address = listener.local_addr()?;
        let plan = Plan::of(&config, address)?;
        let Plan { issuer, policy, builtins, protected, clients, accounts, provider, documents } =
            plan;
        let shown = accounts.shown();
        let has_passwords = accounts.has_passwords();
        let provider_name = provider.as_ref().map(|provider| provider.name().to_owned());
        let resources = policy.resources().iter().map(|own| own.identifier().to_owned()).collect();
        let backend = Backend::open(&config.database, config.balances.low_balance).await;
        let backend = backend.map_err(|error| {
            format!("the database cannot be opened: {error} (--database {})", config.database)
        })?;
        let is_demo = config.declared.is_none();
        let forwards = protected.iter().map(ToString::to_string).collect();
        for client in clients {
            if is_demo {
                backend.add_client(client).await?;
            } else {
                commands::declare(&backend, client).await?;
            }
        }
        for subject in accounts.names() {
            backend.ledger().add_account(subject, config.balances.opening_balance).await?;
        }
        let records = &config.records;
        let trail = Trail::open(&backend, records.trail_fail_closed);
        let rules = AuditPolicy::default().with_fail_closed(records.trail_fail_closed);
        let is_exposed = config.clients.allow_loopback_documents;
        if is_exposed {
            tracing::warn!(
                "client documents are fetched from this machine too: \
                 anybody can make this server call what listens here"
            );
        }
        let stop = CancellationToken::new();
        let tasks = Tasks::default();
        let bounds =
            AuditBounds { retention: records.trail_retention, events: records.trail_events };
        tokio::spawn(sweep(backend.clone(), trail.clone(), bounds, stop.clone()));
        let lifetime = config.lifetimes.session_lifetime;
        let sessions = Sessions::new(backend.ledger().clone(), lifetime, SESSION_LIMIT);
        let is_https = issuer.is_https();
        let resource_names = setup::resource_names(&config, &issuer);
        let app = Arc::new(App {
            oauth: Arc::new(
                Server::new(policy, backend, FromStore)
                    .with_observer(app::log_event)
                    .with_audit_log(trail.clone(), rules),
            ),
            trail: trail.clone(),
            tasks: tasks.clone(),
            accounts,
            provider,
            opening_balance: config.balances.opening_balance,
            attempts: Attempts::default(),
            kept: Kept::default(),
            sessions,
            session_cookie: TokenCookie::session(is_https, issuer.site(), lifetime),
            form_cookie: TokenCookie::form(is_https, issuer.site()),
            sign_in_cookie: TokenCookie::sign_in(is_https, issuer.site(), ATTEMPT_LIFETIME),
            issuer: issuer.clone(),
            documents,
            resource_names,
            public_client: is_demo.then_some(setup::PUBLIC_CLIENT),
        });
        let router = routes::router(&app, &builtins, protected, &config, &stop)?;
        let proxies = TrustedProxies::new(config.network.trusted_proxies.iter().copied());
        let connections = Connections::new(&config.network, proxies, network::most_files());
        let serving = network::serve(listener, router, Arc::new(connections), stop.clone());
        let task = tokio::spawn(serving);
        let has_published_client = is_demo && issuer.is_loopback();
        let issuer = issuer.as_str().to_owned();
        Ok(Self {
            address,
            issuer,
            shown,
            provider: provider_name,
            has_passwords,
            resources: if is_demo { None } else { Some(resources) },
            forwards,
            has_published_client,
            is_exposed,
            trail,
            tasks,
            stop,
            task,
        })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer, which is the base of all URLs of the server.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Stops the server: it accepts no new requests, finishes those under way within ten seconds,
    /// and writes the events that are still queued.
    ///
    /// # Errors
    /// [`StartError`] if serving failed before.
    pub async fn stop(self) -> Result<(), StartError> {
        self.stop.cancel();
        let mut task = self.task;
        let ended = tokio::time::timeout(DRAIN, &mut task).await;
        if ended.is_err() {
            tracing::warn!("some requests were not answered in time");
            task.abort();
        }
        // Requests whose clients have disconnected are decided to their end all the same.
        if !self.tasks.finish(DRAIN).await {
            tracing::warn!("some requests were still being decided");
        }
        self.trail.flush().await;
        ended.map_or(Ok(()), |ended| Ok(ended?))
    }
}

/// Binds the address. An error names the address and the flag.
async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; stop it, or choose another --listen")
        }
        _ => format!("cannot listen on {address}: {error} (--listen)"),
    })
}

/// How much of the audit log is kept.
#[derive(Clone, Copy)]
struct AuditBounds {
    retention: Duration,
    events: u64,
}

/// Drops expired records and old events, a bounded number at a time.
async fn sweep(backend: Backend, trail: Trail, bounds: AuditBounds, stop: CancellationToken) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        while let Some(dropped) = swept(&backend, &trail, bounds).await {
            tracing::debug!(dropped, "swept");
        }
    }
}

/// Returns how many were dropped. Returns `None` if there is nothing more to drop, or on an error.
async fn swept(backend: &Backend, trail: &Trail, bounds: AuditBounds) -> Option<usize> {
    let now = SystemTime::now().into();
    let events = trail.sweep(now, bounds.retention, bounds.events).await;
    let dropped = match (backend.sweep(now).await, events) {
        (Ok(records), Ok(events)) => Ok(records + events),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match dropped {
        Ok(dropped) => Some(dropped).filter(|dropped| *dropped >= store::SWEPT_AT_ONCE.into()),
        Err(error) => {
            tracing::error!(%error, "the sweep failed");
            None
        }
    }
}

/// Runs the program: reads the command line, prints the addresses, and serves until a signal stops
/// it.
///
/// # Errors
/// See [`Running::start`].
pub async fn main() -> Result<(), StartError> {
    let config = match Config::load(std::env::args_os()) {
        Ok(config) => config,
        Err(LoadError::CommandLine(error)) => error.exit(),
        Err(error) => return Err(error.into()),
    };
    if let Some(command) = config.command {
        return commands::run(command).await;
    }
    telemetry::init(config.log_format, &config.log)?;
    // First of all: once the addresses are printed, a signal may come.
    let mut signals = Signals::listen()?;
    let running = Running::start_with(config).await?;
    welcome(&running);
    signals.next().await;
    tracing::info!("stopping; once more to stop at once");
    tokio::select! { ended = running.stop() => ended, () = signals.next() => Ok(()) }
}

/// Prints the addresses and accounts. A closed standard output does not stop the server.
fn welcome(running: &Running) {
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
        format!("\n  Confidential client  {}    secret {secret}", setup::CONFIDENTIAL_CLIENT)
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
        "grantcore example server at {issuer}

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
