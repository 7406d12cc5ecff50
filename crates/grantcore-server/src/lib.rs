//! The reference server: an OAuth 2.1 authorization server, and two protected resources to try it
//! on, one of them an MCP endpoint, in one process.
//!
//! Read it in this order: `setup.rs` (the policy and the clients), `config/file.rs` (the file of
//! settings), `plan.rs` (what would run with the settings), `commands.rs` (what the program does
//! beside serving), `routes.rs` (all addresses), `routes/authorize.rs` (login and consent between
//! the library's calls), `routes/api.rs` (the token endpoint and the API), `routes/clients.rs` and
//! `documents.rs` (clients that the operator did not register), `store.rs` (the databases),
//! `audit.rs` (the audit log), `protect.rs` (upstreams that it puts OAuth in front of).

mod accounts;
mod app;
mod audit;
mod call;
mod clients;
mod commands;
mod config;
mod help;
mod kept;
mod mcp;
mod metrics;
mod network;
mod organizations;
mod outside;
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
mod stop;
mod store;
mod sweeping;
mod tasks;
mod telemetry;
mod waiting;
mod welcome;

use std::error::Error;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grantcore::audit::AuditPolicy;
use grantcore::{Client, Event, FromStore, Server};
use grantcore_axum::{Tasks, TrustedProxies};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::accounts::{Accounts, Attempts};
use crate::app::App;
use crate::audit::StoredAuditLog;
use crate::config::{Config, LoadError};
use crate::kept::Kept;
use crate::metrics::{Meter, Metrics};
use crate::network::connections::Connections;
use crate::organizations::Organizations;
use crate::outside::Surroundings;
use crate::plan::Plan;
use crate::provider::ATTEMPT_LIFETIME;
use crate::sessions::{Sessions, TokenCookie};
use crate::signals::{Signal, Signals};
use crate::stop::Stop;
use crate::store::{Backend, Ledger as _};
use crate::sweeping::{AuditBounds, sweep};
use crate::waiting::Waiting;

/// Why the server did not start, as a message for the person who started it.
pub type StartError = Box<dyn Error + Send + Sync>;

/// How many browsers may be signed in to one account at once. The oldest sign-in makes room.
const SESSION_LIMIT: usize = 100;

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
    audit_log: StoredAuditLog,
    tasks: Tasks,
    stop: Stop,
    drain: Duration,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    metrics: Option<metrics::Listener>,
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
        // On the heap: the settings are large, and callers hold the future in theirs.
        Box::pin(Self::start_with(Config::load(arguments)?)).await
    }

    #[expect(clippy::too_many_lines, reason = "the parts of the server, one after the other")]
    async fn start_with(config: Config) -> Result<Self, StartError> {
        let listener = listen(config.listen, "--listen").await?;
        let address = listener.local_addr()?;
        let scraped = bind_metrics(&config).await?;
        let metrics = scraped.as_ref().map(|(_, metrics)| metrics.clone());
        let plan = Plan::of(&config, address)?;
        let Plan {
            issuer,
            policy,
            builtins,
            protected,
            clients,
            accounts,
            provider,
            documents,
            transport: _,
        } = plan;
        let shown = accounts.shown();
        let has_passwords = accounts.has_passwords();
        let provider_name = provider.as_ref().map(|provider| provider.name().to_owned());
        let resources = policy.resources().iter().map(|own| own.identifier().to_owned()).collect();
        let is_demo = config.declared.is_none();
        let forwards = protected.iter().map(ToString::to_string).collect();
        let meter = metrics.as_ref().map(Metrics::meter).unwrap_or_default();
        let remembers = setup::remembers(&policy, &clients);
        let backend = open_backend(&config, meter, clients, &accounts).await?;
        let organizations = Arc::clone(backend.organizations());
        let records = &config.records;
        let audit_log = StoredAuditLog::open(&backend, records.audit_fail_closed);
        let rules = AuditPolicy::default().with_fail_closed(records.audit_fail_closed);
        let is_exposed = config.clients.allow_loopback_documents;
        setup::warn_if_exposed(is_exposed);
        let stop = Stop::default();
        let tasks = Tasks::default();
        let bounds =
            AuditBounds { retention: records.audit_retention, events: records.audit_events };
        let sweeping =
            tokio::spawn(sweep(backend.clone(), audit_log.clone(), bounds, stop.ending().clone()));
        let lifetime = config.lifetimes.session_lifetime;
        let waiting = Waiting::new(backend.ledger().clone());
        let sessions = Sessions::new(backend.ledger().clone(), lifetime, SESSION_LIMIT);
        let is_https = issuer.is_https();
        let surroundings = Surroundings::new(
            documents.clone(),
            backend.clone(),
            config.balances.opening_balance,
            config.declared.as_ref(),
        );
        let app = Arc::new(App {
            oauth: Arc::new(
                Server::new(policy, backend, FromStore)
                    .with_outside(surroundings)
                    .with_observer(observer(metrics.clone()))
                    .with_audit_log(audit_log.clone(), rules),
            ),
            audit_log: audit_log.clone(),
            tasks: tasks.clone(),
            organizations,
            remembers,
            accounts,
            provider,
            opening_balance: config.balances.opening_balance,
            attempts: Attempts::default(),
            kept: Kept::new(waiting.clone()),
            waiting,
            sessions,
            session_cookie: TokenCookie::session(is_https, issuer.site(), lifetime),
            form_cookie: TokenCookie::form(is_https, issuer.site()),
            sign_in_cookie: TokenCookie::sign_in(is_https, issuer.site(), ATTEMPT_LIFETIME),
            issuer: issuer.clone(),
            documents,
            resource_names: setup::resource_names(&config, &issuer),
            declared_clients: clients::declared(config.declared.as_ref()).map(Into::into).collect(),
            public_client: is_demo.then_some(setup::PUBLIC_CLIENT),
        });
        let observed_http = metrics.as_ref().map(Metrics::http);
        let front = routes::front(&app, &builtins, protected, &config, &stop, observed_http)?;
        let proxies = TrustedProxies::new(config.network.trusted_proxies.iter().copied());
        let most_files = network::most_files();
        let connections = Arc::new(Connections::new(&config.network, proxies, most_files));
        let scraped = scraped.map(|(listener, metrics)| {
            metrics.listen(listener, &app, &connections, &config.network)
        });
        let serving = tokio::spawn(network::serve(listener, front, connections, stop.clone()));
        Ok(Self {
            address,
            has_published_client: is_demo && issuer.is_loopback(),
            issuer: issuer.as_str().to_owned(),
            shown,
            provider: provider_name,
            has_passwords,
            resources: if is_demo { None } else { Some(resources) },
            forwards,
            is_exposed,
            audit_log,
            tasks,
            stop,
            drain: config.operation.drain,
            serving,
            sweeping,
            metrics: scraped.transpose()?,
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

    /// The address of the metrics, or `None` if nothing is measured.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        Some(self.metrics.as_ref()?.address)
    }

    /// Reports that the server is not ready, goes on for the time of `--drain`, and closes the
    /// port. Returns when the requests that were on their way then have arrived. Call
    /// [`stop`](Self::stop) then.
    pub async fn drain(&self) {
        self.stop.drain();
        tokio::time::sleep(self.drain).await;
        self.stop.close();
        tokio::time::sleep(self.drain.min(stop::LONGEST_ARRIVAL)).await;
    }

    /// Stops the server: it accepts no new requests, finishes those under way within ten seconds,
    /// and writes the events that are still queued.
    ///
    /// # Errors
    /// [`StartError`] if serving failed before.
    pub async fn stop(self) -> Result<(), StartError> {
        let Self { stop, mut serving, mut sweeping, tasks, audit_log, metrics, .. } = self;
        stop.end();
        let end = Instant::now() + stop::LONGEST_REQUESTS;
        let ended = timeout_at(end, &mut serving).await;
        if ended.is_err() {
            tracing::warn!("some requests were not answered in time");
            serving.abort();
        }
        // Requests whose clients have disconnected are decided to their end all the same.
        if !tasks.finish(end.saturating_duration_since(Instant::now())).await {
            tracing::warn!("some requests were still being decided");
        }
        if timeout_at(end, &mut sweeping).await.is_err() {
            sweeping.abort();
        }
        if timeout(stop::LONGEST_FLUSH, audit_log.flush()).await.is_err() {
            tracing::warn!("some events were not written to the audit log in time");
        }
        if let Some(metrics) = metrics {
            metrics.stop.end();
        }
        ended.map_or(Ok(()), |ended| Ok(ended?))
    }
}

/// Opens the database of the settings, and writes these clients and accounts to it.
async fn open_backend(
    config: &Config,
    meter: Meter,
    clients: Vec<Client>,
    accounts: &Accounts,
) -> Result<Backend, StartError> {
    let opened = Backend::open(&config.database, &config.database_tls, config.balances.low_balance);
    let backend = opened.await.map_err(|error| {
        format!("the database cannot be opened: {error} (--database {})", config.database)
    })?;
    let organizations = Organizations::of(config.declared.as_ref(), accounts.are_demo());
    let backend = backend.measured(meter).with_organizations(organizations);
    for client in clients {
        if config.declared.is_none() {
            backend.add_client(client).await?;
        } else {
            commands::declare(&backend, client).await?;
        }
    }
    for subject in accounts.names() {
        backend.ledger().add_account(subject, config.balances.opening_balance).await?;
    }
    Ok(backend)
}

/// Returns what logs each event of the library, and counts it if there are metrics.
fn observer(metrics: Option<Metrics>) -> impl Fn(&Event) + Send + Sync {
    move |event| {
        app::log_event(event);
        if let Some(metrics) = &metrics {
            metrics.observe(event);
        }
    }
}

/// Registers the metrics and binds their address, if the settings have one.
async fn bind_metrics(config: &Config) -> Result<Option<(TcpListener, Metrics)>, StartError> {
    let Some(address) = config.operation.metrics_listen else { return Ok(None) };
    let listener = listen(address, "--metrics-listen").await?;
    Ok(Some((listener, Metrics::new(config.lifetimes.consent_lifetime)?)))
}

/// Binds the address. An error names the address and the flag.
async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; stop it, or choose another {flag}")
        }
        _ => format!("cannot listen on {address}: {error} ({flag})"),
    })
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
    let _log = telemetry::init(config.log_format, &config.log)?;
    // First of all: once the addresses are printed, a signal may come.
    let mut signals = Signals::listen()?;
    let running = Running::start_with(config).await?;
    welcome::print(&running);
    let signal = signals.next().await;
    tracing::info!("stopping; once more to stop at once");
    let stopping = async {
        if signal == Signal::Terminate {
            running.drain().await;
        }
        running.stop().await
    };
    tokio::select! { ended = stopping => ended, _ = signals.next() => Ok(()) }
}
