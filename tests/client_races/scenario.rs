//! The requests of one scenario, decided by the functions of the crate.

use grantcore::blocking::Store;
use grantcore::client::ClientStatus;
use grantcore::grant::Grant;
use grantcore::moment::Moment;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::{ClientStatusChange, ConsentDecision, ManagementRequest, TokenRequest};
use grantcore::store::{Commit, Stored, Write};
use grantcore::{
    Account, Authorization, Choice, Client, ContentType, Policy, RequestParts, Timestamp,
};

use crate::state::Actor;
use crate::support::clients::{ask, metadata, with};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{ALICE, World, entropy};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Approve,
    Refresh,
    Update,
    Delete,
    Deactivate,
}

/// The write of a request, and its outcome after the write. `None` if it is decided again.
pub(crate) struct Decided {
    pub(crate) write: Option<Write>,
    pub(crate) settled: Option<bool>,
}

/// The requests of one scenario, and their world.
pub(crate) struct Scenario {
    policy: Policy,
    now: Timestamp,
    ticket: String,
    refresh: String,
    client_id: String,
    token: String,
}

impl Scenario {
    /// Creates a registered client with a grant: a consent page, or tokens that are `connected`
    /// seconds old.
    pub(crate) fn new(connected: Option<u64>) -> (Self, Stored<Client>, Stored<Grant>) {
        let world = World::open();
        let registration = world.registered(&metadata());
        let text = |member: &str| registration[member].as_str().unwrap().to_owned();
        let client_id = text("client_id");
        let token = text("registration_access_token");
        let mut ticket = String::new();
        let mut refresh = String::new();
        if let Some(age) = connected {
            world.tokens_of(&client_id).refresh().clone_into(&mut refresh);
            world.at(age);
        } else {
            ticket = world.page(&ask(&client_id)).ticket();
        }
        let client = world.store.inner.client(&client_id).unwrap().unwrap();
        let policy = world.server.policy().clone();
        let now = world.now();
        let grant = world.grants().remove(0);
        (Self { policy, now, ticket, refresh, client_id, token }, client, grant)
    }

    pub(crate) fn decide(
        &self,
        index: usize,
        actor: &Actor,
        client: &Stored<Client>,
        grant: &Stored<Grant>,
    ) -> Decided {
        let account = Some(Account::ACTIVE);
        let loaded = Loaded {
            grant: Some(grant.clone()),
            client: Some(client.clone()),
            account,
            ..Loaded::default()
        };
        let moment = Moment::new(self.now, entropy(1000 + index as u64));
        let moment = (0..actor.attempt).fold(moment, |moment, _| moment.retry(self.now));
        let bearer = format!("Bearer {}", self.token);
        let changed =
            with(with(metadata(), "client_id", self.client_id.as_str()), "client_name", "Renamed")
                .to_string();
        let managing = |method: &'static str| RequestParts {
            method,
            content_type: ContentType::JSON,
            authorization: Authorization::One(bearer.as_bytes()),
            body: changed.as_bytes(),
            ..RequestParts::default()
        };
        let refresh = Params::refresh(&self.refresh).set("client_id", &self.client_id).encode();
        match actor.ask {
            Ask::Approve => self.run(
                &ConsentDecision::new(&self.ticket, ALICE, Choice::Allow).unwrap(),
                &loaded,
                &moment,
            ),
            Ask::Refresh => self.run(
                &TokenRequest::parse(&form(&refresh), &self.policy).unwrap(),
                &loaded,
                &moment,
            ),
            Ask::Update => self.manage(&managing("PUT"), &loaded, &moment),
            Ask::Delete => self.manage(&managing("DELETE"), &loaded, &moment),
            Ask::Deactivate => self.run(
                &ClientStatusChange::new(&self.client_id, ClientStatus::Deactivated),
                &loaded,
                &moment,
            ),
        }
    }

    fn manage(&self, incoming: &RequestParts<'_>, loaded: &Loaded, moment: &Moment) -> Decided {
        self.run(
            &ManagementRequest::parse(&self.client_id, incoming, &self.policy).unwrap(),
            loaded,
            moment,
        )
    }

    fn run<O: Operation>(&self, operation: &O, loaded: &Loaded, moment: &Moment) -> Decided {
        let decision = operation.decide(loaded, &self.policy, moment);
        let write = decision.write().cloned();
        Decided {
            write,
            settled: decision.settle(Commit::Done).ok().map(|settled| settled.outcome.is_ok()),
        }
    }
}
