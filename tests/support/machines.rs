//! Steps of a client that acts on its own behalf.

use grantcore::client::StoredSecret;
use grantcore::policy::{MachineRules, PolicyBuilder};
use grantcore::value::{Digest, MachineRights};
use grantcore::{Access, Authorization, Client, Refusal, Reply};

use super::params::Params;
use super::steps::basic;
use super::{Granted, Outcome, SECRET, World, needs, policy};

/// The `client_id` of [`job`].
pub const JOB: &str = "job";

/// Returns the default policy, which lets clients act on their own behalf.
pub fn machines() -> PolicyBuilder {
    policy().machines(MachineRules::default())
}

/// Returns the right to `read` and `write`, everywhere.
pub fn rights() -> MachineRights {
    MachineRights::new("read write".parse().unwrap())
}

/// Returns a client of the operator that acts on its own behalf, with this right.
pub fn job_with(rights: MachineRights) -> Client {
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Client::machine(JOB, secret, rights).build().unwrap()
}

pub fn job() -> Client {
    job_with(rights())
}

impl World {
    /// Returns a world with this policy, where [`job`] is known.
    pub fn of_machines(policy: PolicyBuilder) -> Self {
        let world = Self::with(policy);
        world.put(job());
        world
    }

    /// Sends a token request of [`job`].
    pub fn machine(&self, params: &Params) -> Reply {
        self.token_with(params, &basic(JOB, SECRET))
    }

    /// Returns a token of [`job`] for its whole right.
    #[track_caller]
    pub fn machine_token(&self) -> Granted {
        Granted::of(&self.machine(&Params::machine()))
    }

    /// Checks a call of the default resource, which serves machines.
    pub fn check_machine(&self, token: &str, scope: &str) -> Result<Access, Refusal> {
        let header = format!("Bearer {token}");
        let needs = needs(self.server.policy(), 0, scope).machines();
        self.server.check(&Authorization::One(header.as_bytes()), &needs).outcome()
    }
}

/// Returns a code or a refresh token with the same secrets that names the grant of this access
/// token.
pub fn renamed(credential: &str, access: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(&text[4..]).unwrap();
    let mut forged = bytes(access)[..16].to_vec();
    forged.extend_from_slice(&bytes(credential)[16..]);
    format!("{}{}", &credential[..4], URL_SAFE_NO_PAD.encode(forged))
}
