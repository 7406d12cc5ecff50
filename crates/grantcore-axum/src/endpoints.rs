//! A trait object of the server: handlers and layers need none of the server's type parameters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use grantcore::audit::AuditLog;
use grantcore::reason::Endpoint;
use grantcore::request::{ConsentDecision, Fetch};
use grantcore::response::Redirect;
use grantcore::store::AccountSource;
use grantcore::{
    Access, Authorization, AuthorizationStep, Error, Needs, Policy, Refusal, Reply, RequestParts,
    Server, Store, User,
};

use crate::router::source;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request at an endpoint that clients call directly, whose body is complete.
pub(crate) struct Received {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    /// The client of a request at [`Endpoint::Management`]. Ignored at all others.
    pub(crate) client_id: String,
}

impl Received {
    fn request<'a>(&'a self, source: &'a str) -> RequestParts<'a> {
        RequestParts { source, ..RequestParts::from_http(&self.parts, &self.body) }
    }
}

/// The endpoints of a [`Server`]. A failure of the store or the accounts is logged here, and
/// returned as its refusal.
pub(crate) trait Endpoints: Send + Sync {
    fn policy(&self) -> &Policy;

    fn authorize<'a>(
        &'a self,
        request: &'a RequestParts<'a>,
        user: Option<User<'a>>,
        document: Option<Fetch<'a>>,
    ) -> BoxFuture<'a, Result<AuthorizationStep, Refusal>>;

    fn consent<'a>(
        &'a self,
        decision: ConsentDecision<'a>,
    ) -> BoxFuture<'a, Result<Redirect, Refusal>>;

    /// Answers a request at an endpoint that clients call directly, without a browser.
    fn answer(self: Arc<Self>, endpoint: Endpoint, received: Received)
    -> BoxFuture<'static, Reply>;

    fn check<'a>(
        &'a self,
        authorization: Authorization<'a>,
        needs: &'a Needs,
    ) -> BoxFuture<'a, Result<Access, Refusal>>;

    /// Records a refusal that was found by this crate, and returns it with its correlation id.
    fn refuse<'a>(&'a self, refusal: Refusal, source: &'a str) -> BoxFuture<'a, Refusal>;
}

impl<S, A, L> Endpoints for Server<S, A, L>
where
    S: Store + 'static,
    A: AccountSource<S> + Send + Sync + 'static,
    L: AuditLog + 'static,
{
    fn policy(&self) -> &Policy {
        Server::policy(self)
    }

    fn authorize<'a>(
        &'a self,
        request: &'a RequestParts<'a>,
        user: Option<User<'a>>,
        document: Option<Fetch<'a>>,
    ) -> BoxFuture<'a, Result<AuthorizationStep, Refusal>> {
        Box::pin(async move {
            let step = match document {
                None => Server::authorize(self, request, user).await,
                Some(document) => self.authorize_with_document(request, user, document).await,
            };
            step.map_err(refusal)
        })
    }

    fn consent<'a>(
        &'a self,
        decision: ConsentDecision<'a>,
    ) -> BoxFuture<'a, Result<Redirect, Refusal>> {
        Box::pin(async move { Server::run(self, decision).await.map_err(refusal) })
    }

    fn answer(
        self: Arc<Self>,
        endpoint: Endpoint,
        received: Received,
    ) -> BoxFuture<'static, Reply> {
        // Each call in a box of its own: one for all has room for the largest, and copying that
        // into its box is a tenth of the instructions of a refresh over HTTP.
        macro_rules! call {
            ($method:ident $(, $argument:expr)?) => {
                Box::pin(async move {
                    let source = source(&received.parts);
                    let request = received.request(&source);
                    let answered = self.$method($($argument,)? &request).await;
                    answered
                        .map_err(refusal)
                        .unwrap_or_else(|refusal| refusal.reply(Server::policy(&self)))
                })
            };
        }
        match endpoint {
            Endpoint::Revocation => call!(revoke),
            Endpoint::Introspection => call!(introspect),
            Endpoint::Registration => call!(register),
            Endpoint::Management => call!(manage, &received.client_id),
            _ => call!(token),
        }
    }

    fn check<'a>(
        &'a self,
        authorization: Authorization<'a>,
        needs: &'a Needs,
    ) -> BoxFuture<'a, Result<Access, Refusal>> {
        Box::pin(async move { Server::check(self, &authorization, needs).await.map_err(refusal) })
    }

    fn refuse<'a>(&'a self, refusal: Refusal, source: &'a str) -> BoxFuture<'a, Refusal> {
        Box::pin(Server::refuse(self, refusal, None, source))
    }
}

/// Returns the refusal of a call. The cause of a failure is for the operator alone: it is logged.
fn refusal<E: std::fmt::Display>(error: Error<E>) -> Refusal {
    match error {
        Error::Refused(refusal) => refusal,
        Error::Failed(failure) => {
            let correlation = &failure.event.correlation;
            tracing::error!(cause = %failure.cause, %correlation, "the store or the accounts failed");
            failure.refusal
        }
    }
}
