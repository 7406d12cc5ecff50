//! What would run: the settings as the issuer, the policy, the clients and the accounts.
//!
//! The start of the server and `check-config` share it, so that both find the same errors. Nothing
//! is opened that writes.

use std::net::SocketAddr;

use grantcore::request::NeedsError;
use grantcore::value::MachineRights;
use grantcore::{Client, Policy};
use grantcore_fetch::DocumentFetcher;

use crate::accounts::{Accounts, AccountsError};
use crate::config::{Builtin, Config, Invalid, Issuer, Problem};
use crate::protect::Upstream;
use crate::provider::Provider;
use crate::setup;
use crate::store::{self, Transport};

/// A server that can be started.
pub(crate) struct Plan {
    pub(crate) issuer: Issuer,
    pub(crate) policy: Policy,
    /// The resources that this server serves itself: the kind of each, with its identifier and the
    /// scope that it requires.
    pub(crate) builtins: Vec<(Builtin, String, String)>,
    /// The upstreams that this server puts OAuth in front of.
    pub(crate) protected: Vec<Upstream>,
    pub(crate) clients: Vec<Client>,
    pub(crate) accounts: Accounts,
    pub(crate) provider: Option<Provider>,
    pub(crate) documents: DocumentFetcher,
    /// How the connection to the database is protected.
    pub(crate) transport: Transport,
}

impl Plan {
    /// Checks the settings for a server that listens on `address`, and returns every problem.
    pub(crate) fn of(config: &Config, address: SocketAddr) -> Result<Self, Invalid> {
        let issuer =
            config.issuer_at(address).map_err(|error| Invalid(vec![Problem::new(error)]))?;
        let mut problems = Problems::default();
        let accounts = problems.take(accounts(config, &issuer));
        let is_demo = accounts.as_ref().is_some_and(Accounts::are_demo);
        let is_demo = is_demo && config.declared.is_none() && issuer.is_loopback();
        let issuer = if is_demo { issuer.demo() } else { issuer };
        let provider = Provider::of(&config.provider, &issuer).unwrap_or_else(|found| {
            problems.0.extend(found.iter().map(Problem::new));
            None
        });
        let policy = setup::policy(config, &issuer).map_err(|error| match &config.file {
            Some(file) => Problem::of(file, None, error),
            None => Problem::new(error),
        });
        let policy = problems.take(policy);
        let clients = clients(config, &issuer, &mut problems);
        let documents = problems.take(config.clients.fetcher());
        let transport =
            store::check_transport(&config.database, &config.database_tls).map_err(|error| {
                let database = &config.database;
                format!("the database cannot be opened: {error} (--database {database})")
            });
        let transport = problems.take(transport);
        let builtins = setup::builtins(config, &issuer);
        for (builtin, identifier, _) in &builtins {
            let own = format!("{}{}", issuer.as_str(), builtin.path());
            if *identifier != own {
                let text = format!("the builtin resource `{identifier}` must be at {own}");
                problems.0.push(Problem::new(text));
            }
        }
        let mut refuse = |place, text| {
            let file = config.file.as_ref().zip(place);
            problems.0.push(match file {
                Some((file, place)) => Problem::of(file, Some(place), text),
                None => Problem::new(text),
            });
        };
        for (place, text) in setup::protected::problems(config, &issuer, &builtins) {
            refuse(place, text);
        }
        let trusted = config.declared.iter();
        for (entry, built) in trusted.flat_map(|own| setup::trusted::issuers_of(own, &issuer)) {
            if let Err(why) = built {
                let name = &entry.value.issuer;
                refuse(Some(entry.place), format!("trusted issuer `{name}`: {why}"));
            }
            if let Some(why) = setup::trusted::bypass(&entry.value, &config.provider) {
                let name = &entry.value.issuer;
                refuse(Some(entry.place), format!("trusted issuer `{name}`: {why}"));
            }
        }
        let mut protected = Vec::new();
        for (place, own) in config.protected() {
            match Upstream::new(own, &issuer) {
                Ok(upstream) => protected.push(upstream),
                Err(why) => refuse(place, format!("protect `{}`: {why}", own.path.as_str())),
            }
        }
        if let Some(policy) = &policy {
            let rights = clients.iter().filter_map(Client::machine_rights);
            for url in rights.filter_map(MachineRights::resources).flatten() {
                if matches!(policy.needs(url, ""), Err(NeedsError::ResourceUnknown { .. })) {
                    refuse(None, format!("machine_resources: no resource is {url}"));
                }
            }
        }
        match (accounts, policy, documents, transport) {
            (Some(accounts), Some(policy), Some(documents), Some(transport))
                if problems.0.is_empty() =>
            {
                let accounts = match &provider {
                    Some(provider) => accounts.with_provider(provider.credential()),
                    None => accounts,
                };
                Ok(Self {
                    issuer,
                    policy,
                    builtins,
                    protected,
                    clients,
                    accounts,
                    provider,
                    documents,
                    transport,
                })
            }
            _ => Err(Invalid(problems.0)),
        }
    }
}

/// The problems that are found one after the other.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// Keeps an error as a problem.
    fn take<T>(&mut self, result: Result<T, impl std::fmt::Display>) -> Option<T> {
        result.map_err(|error| self.0.push(Problem::new(error))).ok()
    }
}

/// Returns the clients of the file, or those of the demonstration.
fn clients(config: &Config, issuer: &Issuer, problems: &mut Problems) -> Vec<Client> {
    let (Some(declared), Some(file)) = (&config.declared, &config.file) else {
        return problems.take(setup::demo_clients(issuer)).unwrap_or_default();
    };
    let rules = setup::redirect_rules(&config.clients);
    let mut clients = Vec::new();
    for (entry, built) in setup::declared_clients(declared, &rules) {
        match built {
            Ok(client) => clients.push(client),
            Err(why) => {
                let text = format!("client `{}`: {why}", entry.value.id);
                problems.0.push(Problem::of(file, Some(entry.place), text));
            }
        }
    }
    clients
}

/// Returns the accounts of the file, or the demonstration accounts, or none if an identity provider
/// signs users in.
///
/// Everybody knows the demonstration's passwords, so only this machine may reach the server then.
/// A loopback issuer does not ensure that, because the server may listen on every address.
pub(crate) fn accounts(config: &Config, issuer: &Issuer) -> Result<Accounts, AccountsError> {
    match &config.accounts.accounts {
        Some(path) => Accounts::read(path),
        None if config.provider.provider_issuer.is_some() => Ok(Accounts::none()),
        None if !issuer.is_loopback() => Err(AccountsError::NotNamed),
        None if !config.listen.ip().is_loopback() => Err(AccountsError::Reachable(config.listen)),
        None => Ok(Accounts::demo()),
    }
}
