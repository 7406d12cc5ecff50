//! `add-client` and `rotate-secret`: clients of the operator in the database.

use grantcore::Policy;
use grantcore::policy::{Resource, ScopeInfo};
use grantcore::request::NeedsError;
use grantcore::value::{MachineRights, Overlap, Scope};

use crate::StartError;
use crate::clients::{self, Unchanged};
use crate::config::{Config, Method, StoreAt, similar};
use crate::store::Backend;
use crate::{plan, setup};

/// The number of declared names that an error lists if none of them is similar.
const NAMES_SHOWN: usize = 10;

/// The client that the command line describes.
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) scope: Option<String>,
    pub(super) auth_method: Method,
    /// The scope that it has without a user.
    pub(super) machine: Option<String>,
    pub(super) machine_resources: Vec<String>,
    pub(super) owner: Option<String>,
}

/// Adds a client and prints its secret.
pub(super) async fn add(wanted: Wanted, at: &StoreAt) -> Result<(), StartError> {
    let config = super::settings_with(at)?;
    let Wanted { id, name, redirect_uris, scope, auth_method, machine, .. } = wanted;
    let (owner, resources) = (wanted.owner, wanted.machine_resources);
    check_undeclared(&config, &id)?;
    let scope = scope.map(|scope| scope.parse::<Scope>()).transpose();
    let scope = scope.map_err(|error| format!("--scope: {error}"))?;
    let machine = machine.map(|scope| scope.parse::<Scope>()).transpose();
    let machine = machine.map_err(|error| format!("--machine: {error}"))?;
    let declared = Settings::of(&config)?;
    declared.has_scopes("--scope", scope.as_ref())?;
    declared.has_scopes("--machine", machine.as_ref())?;
    for url in &resources {
        declared.has_resource(url)?;
    }
    let machine = machine
        .map(|scope| resources.into_iter().fold(MachineRights::new(scope), MachineRights::at));
    let id_of = id.clone();
    let wanted =
        clients::Wanted { id: id_of, name, redirect_uris, scope, auth_method, machine, owner };
    let backend = super::open(&config).await?;
    if let Some(owner) = &wanted.owner {
        declared.has_account(owner, &backend).await?;
    }
    let rules = setup::redirect_rules(&config.clients);
    let Some(secret) = clients::add(&backend, wanted, &rules).await? else {
        return super::note(&format!("{id} is added. It is a public client and has no secret."));
    };
    super::print(&secret)?;
    super::note(&format!("{id} is added. Its secret is above and is not shown again."))
}

/// Replaces the secret of a client and prints the new one.
pub(super) async fn rotate(
    id: &str,
    overlap: humantime::Duration,
    at: &StoreAt,
) -> Result<(), StartError> {
    let overlap = Overlap::new(*overlap).ok_or_else(|| {
        format!(
            "--overlap {overlap}: the old secret is accepted for at most 30 days, in whole seconds. \
             Write --overlap 30d for the longest, or for example 12h, or 0s to end it at once"
        )
    })?;
    let config = super::settings_with(at)?;
    check_undeclared(&config, id)?;
    super::must_exist(&config.database)?;
    let backend = super::open(&config).await?;
    let secret = clients::rotate_secret(&backend, id, overlap).await?;
    super::print(&secret)?;
    let end = match overlap {
        Overlap::NONE => "has ended".into(),
        _ => format!("ends in {}", humantime::format_duration(overlap.duration())),
    };
    super::note(&format!(
        "The secret of {id} is replaced: the new one is above and is not shown again, \
         and the old one {end}."
    ))
}

/// The names that the settings declare. The names of a command are compared with them.
struct Settings<'c> {
    config: &'c Config,
    policy: Policy,
}

impl<'c> Settings<'c> {
    fn of(config: &'c Config) -> Result<Self, StartError> {
        let issuer = config.issuer_at(config.listen)?;
        Ok(Self { policy: setup::policy(config, &issuer)?, config })
    }

    /// Refuses a scope that the server does not have: no token could have it.
    fn has_scopes(&self, flag: &str, scope: Option<&Scope>) -> Result<(), StartError> {
        let known: Vec<&str> = self.policy.scopes().iter().map(ScopeInfo::name).collect();
        let mut tokens = scope.into_iter().flat_map(Scope::tokens);
        match tokens.find(|token| !known.contains(token)) {
            Some(unknown) => Err(self.undeclared(flag, "scope", unknown, &known)),
            None => Ok(()),
        }
    }

    /// Refuses a resource that the server does not have: no token could be for it.
    fn has_resource(&self, url: &str) -> Result<(), StartError> {
        if !matches!(self.policy.needs(url, ""), Err(NeedsError::ResourceUnknown { .. })) {
            return Ok(());
        }
        let known: Vec<&str> = self.policy.resources().iter().map(Resource::identifier).collect();
        Err(self.undeclared("--machine-resource", "resource", url, &known))
    }

    /// Refuses an owner without an account: the server would refuse the client. The account is one
    /// of the settings, or one that the database has, such as that of an identity provider's user.
    async fn has_account(&self, owner: &str, backend: &Backend) -> Result<(), StartError> {
        let issuer = self.config.issuer_at(self.config.listen)?;
        let accounts = plan::accounts(self.config, &issuer)?;
        let known: Vec<&str> = accounts.names().collect();
        if known.contains(&owner) || backend.account_row(owner).await?.is_some() {
            return Ok(());
        }
        Err(self.undeclared("--owner", "account", owner, &known))
    }

    fn undeclared(&self, flag: &str, what: &str, name: &str, known: &[&str]) -> StartError {
        let hint = match similar(name, known.iter().copied()) {
            hint if !hint.is_empty() => hint,
            _ if known.is_empty() => format!("; no {what} is declared"),
            _ => {
                let first: Vec<&str> = known.iter().copied().take(NAMES_SHOWN).collect();
                let more = if known.len() > NAMES_SHOWN { ", and more" } else { "" };
                format!("; declared: {}{more}", first.join(", "))
            }
        };
        let whose = match &self.config.file {
            Some(file) => format!("of {}", file.display()),
            None => "of a server without a file of settings (--config)".to_owned(),
        };
        format!("{flag}: `{name}` is no {what} {whose}{hint}").into()
    }
}

/// Refuses a client of the file of settings, which the next start would change back.
fn check_undeclared(config: &Config, id: &str) -> Result<(), StartError> {
    if clients::declared(config.declared.as_ref()).all(|own| own != id) {
        return Ok(());
    }
    Err(Unchanged::Declared(id.to_owned()).into())
}
