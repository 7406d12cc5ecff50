//! `add-client` and `rotate-secret`: clients of the operator in the database.

use grantcore::value::{MachineRights, Overlap, Scope};

use crate::StartError;
use crate::clients::{self, Unchanged};
use crate::config::{Config, Method, StoreAt};
use crate::setup;

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
    let machine = machine
        .map(|scope| resources.into_iter().fold(MachineRights::new(scope), MachineRights::at));
    let id_of = id.clone();
    let wanted =
        clients::Wanted { id: id_of, name, redirect_uris, scope, auth_method, machine, owner };
    let backend = super::open(&config).await?;
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
    let overlap = Overlap::new(*overlap)
        .ok_or_else(|| format!("--overlap {overlap}: at most 30 days, in whole seconds"))?;
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

/// Refuses a client of the file of settings, which the next start would change back.
fn check_undeclared(config: &Config, id: &str) -> Result<(), StartError> {
    if clients::declared(config.declared.as_ref()).all(|own| own != id) {
        return Ok(());
    }
    Err(Unchanged::Declared(id.to_owned()).into())
}
