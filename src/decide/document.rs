//! The second step of an authorization request: a client that names itself by the URL of a document
//! about it (CIMD). Its record is the document as it was last read.
//!
//! The host fetches the document; this file says when, and judges what came back.

use std::sync::Arc;

use super::context::Context;
use crate::client::{Authentication, Client, ClientStatus, Registration};
use crate::policy::DocumentRules;
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::request::authorization::AuthorizationRequest;
use crate::request::document::{Fetch, FetchedDocument};
use crate::request::metadata::Dropped;
use crate::response::document::DocumentRequest;
use crate::value::document_url::{claims_document, is_document_url};

/// The outcome of judging the document of a client.
pub(super) enum JudgedDocument<'a> {
    /// The host must fetch it.
    Unfetched(DocumentRequest),
    /// It describes this client, which must be recorded.
    Unrecorded(Arc<Client>),
    /// An earlier attempt of this request recorded the client.
    Recorded(&'a Arc<Client>),
}

/// The client that a document describes.
struct DescribedClient {
    client: Client,
    /// What was left out of the document.
    dropped: Dropped,
}

impl AuthorizationRequest<'_> {
    /// Returns whether a document must be read before the client is known: the `client_id` is a
    /// URL, and what is on record is neither a client of another kind nor a document that is fresh.
    pub(super) fn needs_document(&self, rules: &DocumentRules, ctx: &Context<'_>) -> bool {
        let Some(stored) = ctx.loaded.client_of(&self.client_id) else {
            return claims_document(&self.client_id);
        };
        let client = &stored.record;
        let now = ctx.moment.now;
        let is_current = client.is_fresh(now, rules.fresh_at_most) && !client.is_expired(now);
        // Nothing is fetched for a deactivated client, and no document activates it again (I47).
        client.registration() == Registration::MetadataDocument
            && client.status() == ClientStatus::Active
            && !is_current
    }

    /// Judges the document of the client.
    pub(super) fn judge_document<'a>(
        &self,
        rules: &DocumentRules,
        ctx: &Context<'a>,
    ) -> Result<JudgedDocument<'a>, Fault> {
        // A stranger chose this URL. It has one spelling, so that the host fetches exactly what is
        // compared with the document's own `client_id` (CIMD, Client Identifier).
        if !is_document_url(&self.client_id, rules.allow_loopback) {
            return Err(Reason::DocumentUrl.received(&self.client_id));
        }
        let document = match &self.fetched {
            None => {
                let document = DocumentRequest::of(&self.client_id, rules);
                return Ok(JudgedDocument::Unfetched(document));
            }
            Some(Fetch::Failed) => {
                return Err(Reason::DocumentUnreachable.received(&self.client_id));
            }
            Some(Fetch::Busy) => return Err(Reason::DocumentsBusy.into()),
            Some(Fetch::Document(document)) => document,
        };
        let described = self.read_document(document, rules, ctx)?.client;
        // A document can be stale as soon as it is recorded, so freshness does not end the attempts
        // of this request. A record of this description does; another was read from an older
        // document.
        let known = ctx.loaded.client_of(&self.client_id);
        if ctx.moment.again && known.is_some_and(|known| known.record.is_described_as(&described)) {
            return Ok(JudgedDocument::Recorded(ctx.usable_client(&self.client_id)?));
        }
        Ok(JudgedDocument::Unrecorded(Arc::new(described)))
    }

    /// Returns what was left out of the document that came with this request, if the record was
    /// read from it.
    pub(super) fn dropped_metadata(&self, ctx: &Context<'_>) -> Option<Dropped> {
        let rules = ctx.policy.client_documents()?;
        let known = &ctx.loaded.client_of(&self.client_id)?.record;
        let Some(Fetch::Document(document)) = &self.fetched else { return None };
        if known.registration() != Registration::MetadataDocument {
            return None;
        }
        let described = self.read_document(document, rules, ctx).ok()?;
        known.is_described_as(&described.client).then_some(described.dropped)
    }

    /// Returns the client that the document describes. What the operator laid on a client that is
    /// known already stays (I47).
    fn read_document(
        &self,
        document: &FetchedDocument<'_>,
        rules: &DocumentRules,
        ctx: &Context<'_>,
    ) -> Result<DescribedClient, Fault> {
        let mut metadata = document.read(&self.client_id, ctx.policy)?;
        let dropped = std::mem::take(&mut metadata.dropped);
        let known = ctx.loaded.client_of(&self.client_id).map(|stored| &*stored.record);
        let now = ctx.moment.now;
        let mut builder = match known {
            Some(known) => known.clone().edit(),
            None => Client::public(&*self.client_id).new_at(now, ctx.moment.entropy.epoch()),
        };
        // A published secret is none, so the client is public unless the operator gave it one.
        if known.is_none_or(|known| known.restrictions().imposed_method().is_none()) {
            builder = builder.authenticating(Authentication::Public);
        }
        let grant_types = metadata.grant_types.unwrap_or(ctx.policy.default_grant_types());
        let fresh_until = now.after(document.freshness(rules));
        let expires = now.after(ctx.policy.lifetimes().unused_client);
        let builder = builder.registering_for(grant_types).documented(fresh_until, expires);
        let client = metadata.describe(builder, ctx.policy)?;
        Ok(DescribedClient { client, dropped })
    }
}
