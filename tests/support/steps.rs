//! Steps of a flow with assertions: their refusals, their writes, and the tokens that work
//! afterwards.

use std::sync::Barrier;

use grantcore::blocking::{Server, Store};
use grantcore::grant::Grant;
use grantcore::moment::{Entropy, Moment};
use grantcore::operation::{Decision, Operation};
use grantcore::store::Stored;
use grantcore::{
    Access, Authorization, ContentType, FromStore, Reason, Reply, RequestParts, Timestamp,
};

use super::Answered;
use super::params::Params;
use super::store::Fault;
use super::{Granted, World, assert_refused, json, seeded};

pub const DAY: u64 = 24 * 60 * 60;

impl World {
    /// Sends a token request that must be refused with this status, code and reason. Only a replay
    /// writes, and it writes once.
    #[track_caller]
    pub fn refused(&self, params: &Params, status: u16, code: &str, reason: Reason) {
        let before = self.store.commits();
        let reply = self.token(params);
        assert_refused(self, &reply, status, code, reason);
        assert_eq!(
            self.store.commits() - before,
            usize::from(reason.revokes()),
            "writes of {reason:?}"
        );
    }

    /// Calls [`refused`](Self::refused) with 400 `invalid_grant`.
    #[track_caller]
    pub fn invalid_grant(&self, params: &Params, reason: Reason) {
        self.refused(params, 400, "invalid_grant", reason);
    }

    /// Sends a token request during which the store fails. Asserts a 503 without tokens, and that
    /// the host gets the store's own error.
    #[track_caller]
    pub fn unavailable(&self, params: &Params, fault: Fault) {
        self.store.fail([fault]);
        let error = self.try_token(params, Authorization::None).expect_err("the store fails");
        let failure = error.failure().expect("the store fails");
        assert_eq!(failure.store_error(), Some(&super::store::Broken));
        let reply = error.reply(self.server.policy());
        assert_refused(self, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(json(&reply).get("access_token").is_none());
    }

    /// Sends one token request `n` times in parallel, each from its own thread, to a server over
    /// the plain reference store.
    pub fn race(&self, n: usize, params: &Params) -> Vec<Reply> {
        let now = self.now();
        let body = params.encode();
        let barrier = Barrier::new(n);
        let server = Server::with_sources(
            self.server.policy().clone(),
            &self.store.inner,
            FromStore,
            move || now,
            seeded(2),
        );
        let send = || {
            barrier.wait();
            server.token(&form(&body)).answered(server.policy())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..n).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Refreshes as the client `app`, and expects success.
    #[track_caller]
    pub fn refreshed(&self, token: &str) -> Granted {
        Granted::of(&self.token(&Params::refresh(token)))
    }

    /// Returns the access of a token that the default resource accepts.
    #[track_caller]
    pub fn access(&self, token: &str) -> Access {
        self.check(token, &[]).unwrap_or_else(|refusal| panic!("{:?}", refusal.reason()))
    }

    /// Asserts that the default resource answers 401 `invalid_token` for this reason.
    #[track_caller]
    pub fn dead(&self, token: &str, reason: Reason) {
        let refusal = self.check(token, &[]).expect_err("refused");
        let reply = refusal.reply(self.server.policy());
        assert_eq!((reply.status, json(&reply)["error"].as_str()), (401, Some("invalid_token")));
        assert_eq!(self.reason(), Some(reason));
    }

    /// Returns the records of alice's grants.
    pub fn grants(&self) -> Vec<Stored<Grant>> {
        let ids = self.store.inner.grants_of("alice", None, usize::MAX).unwrap();
        ids.into_iter().map(|id| self.store.inner.grant(id).unwrap().unwrap()).collect()
    }

    /// Decides on the current records, and commits nothing.
    pub fn decision<O: Operation>(&self, operation: &O, moment: &Moment) -> Decision<O::Response> {
        let loaded = self
            .store
            .load(&operation.keys(self.server.policy(), moment))
            .expect("the store works");
        operation.decide(&loaded, self.server.policy(), moment)
    }

    /// Returns the moment of a first attempt with this entropy.
    pub fn moment(&self, entropy: Entropy) -> Moment {
        Moment::new(self.now(), entropy)
    }

    pub fn now(&self) -> Timestamp {
        self.server.now()
    }
}

/// Returns a POST request with this form.
pub fn form(body: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: body.as_bytes(),
        ..RequestParts::default()
    }
}

/// Returns the value of an `Authorization` header of `client_secret_basic`.
pub fn basic(id: &str, secret: &str) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))).into_bytes()
}
