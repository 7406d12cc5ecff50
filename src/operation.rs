//! The expert half: decisions as pure functions, and the driver that runs them.
//!
//! **Most hosts need nothing of this module.** A [`Server`](crate::Server) parses, loads, decides,
//! writes, limits and records with one call for each endpoint. Use this module
//!
//! - to decide without a store: in a model checker, a simulation, or a test that plays two requests
//!   against each other in every order;
//! - to run the protocol where a future cannot wait, for example inside a transaction that the host
//!   controls, or in an actor that owns its records;
//! - to parse a request yourself, look at it, and then run it with [`Server::run`].
//!
//! # An operation
//!
//! Each request type of [`request`](crate::request) is an [`Operation`]. It names the records that
//! it needs ([`Operation::keys`]), and turns them into a [`Decision`] ([`Operation::decide`]): at
//! most one write, and an outcome that stays sealed until that write is durable
//! ([`Decision::settle`]).
//!
//! | operation | call of the server |
//! |---|---|
//! | [`AuthorizationRequest`] | [`authorize`](crate::Server::authorize) |
//! | [`LoginGivenUp`] | [`give_up_login`](crate::Server::give_up_login) |
//! | [`ConsentDecision`] | [`consent`](crate::Server::consent) |
//! | [`TokenRequest`] | [`token`](crate::Server::token) |
//! | [`AccessCheck`] | [`check`](crate::Server::check) |
//! | [`RevocationRequest`] | [`revoke`](crate::Server::revoke) |
//! | [`IntrospectionRequest`] | [`introspect`](crate::Server::introspect) |
//! | [`RegistrationRequest`], [`ManagementRequest`] | [`register`](crate::Server::register), [`manage`](crate::Server::manage) |
//! | [`ConnectionList`] | [`connections`](crate::Server::connections) |
//! | [`GrantRevocation`] | [`revoke_connection`](crate::Server::revoke_connection), [`revoke_grant`](crate::Server::revoke_grant) |
//! | [`GrantNarrowing`] | [`narrow_connection`](crate::Server::narrow_connection), [`narrow_grant`](crate::Server::narrow_grant) |
//! | [`GrantSupersession`] | [`token`](crate::Server::token), after a redemption under [`Supersede`](crate::policy::Supersede) |
//! | [`ClientRevocation`], [`ClientStatusChange`] | [`revoke_client`](crate::Server::revoke_client), [`set_client_status`](crate::Server::set_client_status), [`set_client_status_noted`](crate::Server::set_client_status_noted) |
//! | [`SecretRotation`] | [`rotate_secret`](crate::Server::rotate_secret), [`rotate_secret_noted`](crate::Server::rotate_secret_noted) |
//!
//! Nobody else can implement one: only this crate makes a [`Decision`].
//!
//! # Three ways to run one
//!
//! | | loads and writes | limits | audit log | survives a dropped future |
//! |---|---|---|---|---|
//! | [`Server::run`] | yes | no | yes | yes, its event is [reported](crate::AuditLog::abandoned) |
//! | [`drive()`] | yes | no | the host records the event | no |
//! | by hand | the host | no | the host records the event | no |
//!
//! [`Server::run`]: crate::Server::run
//! [`AuthorizationRequest`]: crate::request::AuthorizationRequest
//! [`ConsentDecision`]: crate::request::ConsentDecision
//! [`LoginGivenUp`]: crate::request::LoginGivenUp
//! [`TokenRequest`]: crate::request::TokenRequest
//! [`AccessCheck`]: crate::request::AccessCheck
//! [`RevocationRequest`]: crate::request::RevocationRequest
//! [`IntrospectionRequest`]: crate::request::IntrospectionRequest
//! [`RegistrationRequest`]: crate::request::RegistrationRequest
//! [`ManagementRequest`]: crate::request::ManagementRequest
//! [`ConnectionList`]: crate::request::ConnectionList
//! [`GrantRevocation`]: crate::request::GrantRevocation
//! [`GrantNarrowing`]: crate::request::GrantNarrowing
//! [`GrantSupersession`]: crate::request::GrantSupersession
//! [`ClientRevocation`]: crate::request::ClientRevocation
//! [`ClientStatusChange`]: crate::request::ClientStatusChange
//! [`SecretRotation`]: crate::request::SecretRotation
//!
//! # By hand
//!
//! This is the whole loop. [`Server`](crate::Server) does no more than this, except that it counts
//! limits, records the event and reports a future that is dropped.
//!
//! ```
//! use grantcore::moment::{Clock, Entropy, Moment, Timestamp};
//! use grantcore::operation::{Loaded, Next, Operation, Settled};
//! use grantcore::outside::Answers;
//! use grantcore::request::TokenRequest;
//! use grantcore::store::Commit;
//! use grantcore::{Accounts, AlwaysActive, ContentType, MemoryStore, Policy, RequestParts, Store};
//!
//! /// Runs one operation. An error of the store leaves the fate of the write unknown: answer with
//! /// `decision.abandon(operation.endpoint())`, and let the client try again.
//! async fn run<O: Operation, S: Store>(
//!     operation: &O,
//!     store: &S,
//!     policy: &Policy,
//!     clock: impl Clock,
//!     entropy: Entropy,
//! ) -> Result<Settled<O::Response>, S::Error> {
//!     let mut moment = Moment::new(clock.now(), entropy);
//!     let mut kept = None;
//!     let mut answers = Answers::default();
//!     loop {
//!         let mut loaded = match kept.take() {
//!             Some(loaded) => loaded,
//!             None => load(operation, store, policy, &moment).await?,
//!         };
//!         loaded.answers = answers.clone();
//!         let decision = operation.decide(&loaded, policy, &moment);
//!         let commit = match decision.write() {
//!             Some(write) => store.commit(write).await?,
//!             None => Commit::Done,
//!         };
//!         // A conflict, a preliminary write, a mark, or something that is needed from outside the
//!         // store: decide again, with the same entropy.
//!         let mut next = match decision.settle(commit) {
//!             Ok(settled) => return Ok(settled),
//!             Err(next) => next,
//!         };
//!         match &next {
//!             Next::Met(mark) => {
//!                 let found = store.seen(mark.key()).await?;
//!                 next = next.found(found.as_ref());
//!             }
//!             // This host fetches nothing.
//!             Next::Need(need) => answers.add(need.clone().unanswered()),
//!             Next::Lost | Next::Prepared | Next::Marked(_) => {}
//!         }
//!         if next.keeps_records() {
//!             kept = Some(loaded);
//!         }
//!         moment = moment.after(&next, clock.now());
//!     }
//! }
//!
//! async fn load<O: Operation, S: Store>(
//!     operation: &O,
//!     store: &S,
//!     policy: &Policy,
//!     moment: &Moment,
//! ) -> Result<Loaded, S::Error> {
//!     let keys = operation.keys(policy, moment);
//!     let mut loaded = store.load(&keys).await?;
//!     // The host's own accounts come here; those of this example never fail.
//!     let Ok(()) = loaded.fill_accounts(&keys, &AlwaysActive).await;
//!     loaded.fill_remembered(&keys, store).await?;
//!     Ok(loaded)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = Policy::builder("https://auth.example")
//!         .scope("notes", "Read and change your notes")
//!         .resource("https://mcp.example/mcp", "notes")
//!         .build()?;
//!     let request = RequestParts {
//!         method: "POST",
//!         content_type: ContentType::FORM,
//!         body: b"grant_type=refresh_token&client_id=notes-app&refresh_token=of-nobody",
//!         ..RequestParts::default()
//!     };
//!     let request = TokenRequest::parse(&request, &policy)?;
//!     // A test uses any bytes and any time; a host draws from `SystemEntropy` and `SystemClock`.
//!     let entropy = Entropy::from_bytes([7; 128]);
//!     let clock = || Timestamp::from_unix_seconds(1_800_000_000);
//!
//!     let settled = run(&request, &MemoryStore::new(), &policy, clock, entropy).await?;
//!     assert_eq!(settled.event.reason, Some(grantcore::Reason::ClientUnknown));
//!     assert_eq!(settled.outcome.unwrap_err().reply(&policy).status, 401);
//!     Ok(())
//! }
//! ```

pub use crate::decision::{Decision, Loaded, Marked, Next, Operation, Settled};
pub use crate::drive::drive;
