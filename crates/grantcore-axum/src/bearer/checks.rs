//! The checks of a call's access token: at one resource, at the resources of a template, and in
//! another process than that of the authorization server.

use std::sync::Arc;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use grantcore::policy::Resource;
use grantcore::{Needs, Reply};

use super::{Caller, Kind};
use crate::endpoints::{BoxFuture, Endpoints};
#[cfg(feature = "introspection")]
use crate::introspection::Introspection;

/// The check of a call's access token.
pub(super) trait Check: Send + Sync {
    fn check<'a>(
        &'a self,
        headers: &'a HeaderMap,
        uri: &'a Uri,
    ) -> BoxFuture<'a, Result<Caller, Reply>>;
}

/// The check of a resource in the process of its authorization server.
pub(super) struct Local {
    pub(super) endpoints: Arc<dyn Endpoints>,
    pub(super) needs: Needs,
}

impl Check for Local {
    fn check<'a>(
        &'a self,
        headers: &'a HeaderMap,
        _: &'a Uri,
    ) -> BoxFuture<'a, Result<Caller, Reply>> {
        Box::pin(checked(&*self.endpoints, headers, &self.needs))
    }
}

async fn checked(
    endpoints: &dyn Endpoints,
    headers: &HeaderMap,
    needs: &Needs,
) -> Result<Caller, Reply> {
    let access = endpoints.check(headers.into(), needs).await;
    let access = access.map_err(|refusal| refusal.reply(endpoints.policy()))?;
    Ok(Caller { kind: Kind::Checked(access), resource: None })
}

/// The check of the resources of a template, in the process of their authorization server.
pub(super) struct OfTemplate {
    pub(super) endpoints: Arc<dyn Endpoints>,
    pub(super) template: Resource,
    pub(super) scope: String,
}

impl Check for OfTemplate {
    fn check<'a>(
        &'a self,
        headers: &'a HeaderMap,
        uri: &'a Uri,
    ) -> BoxFuture<'a, Result<Caller, Reply>> {
        Box::pin(async move {
            let host = uri.authority().map(Authority::as_str);
            let host = host.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
            let scheme = self.template.identifier().split("://").next().unwrap_or("https");
            let called = self.template.called_at(&format!("{scheme}://{host}{}", uri.path()));
            let policy = self.endpoints.policy();
            let needs = called.as_ref().and_then(|own| policy.needs_at(own, &self.scope).ok());
            let Some(needs) = needs else {
                return Err(Reply { status: 404, headers: Vec::new(), body: String::new() });
            };
            let accepted = checked(&*self.endpoints, headers, &needs).await?;
            Ok(Caller { resource: called.map(Arc::new), ..accepted })
        })
    }
}

/// The check of a resource in another process.
#[cfg(feature = "introspection")]
pub(super) struct Remote {
    pub(super) introspection: Introspection,
    pub(super) needs: Needs,
}

#[cfg(feature = "introspection")]
impl Check for Remote {
    fn check<'a>(
        &'a self,
        headers: &'a HeaderMap,
        _: &'a Uri,
    ) -> BoxFuture<'a, Result<Caller, Reply>> {
        Box::pin(async move {
            let token = self.introspection.check(&headers.into(), &self.needs).await;
            token
                .map(|token| Caller { kind: Kind::Introspected(token), resource: None })
                .map_err(|refusal| refusal.reply(self.introspection.policy()))
        })
    }
}
