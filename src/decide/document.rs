//! The second step of an authorization request: a client whose `client_id` is the URL of its
//! metadata document (CIMD). The client's record has the document as it was last read.
//!
//! The host fetches the document. This file decides when, and validates the result.

use std::sync::Arc;

use super::context::Context;
use crate::client::{Client, ClientStatus, Registration};
use crate::outside::{Answered, Answers, FetchResult};
use crate::policy::DocumentRules;
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::request::authorization::AuthorizationRequest;
use crate::request::document::{Fetch, FetchedDocument};
use crate::request::metadata::Dropped;
use crate::response::document::DocumentRequest;
use crate::value::document_url::{claims_document, is_document_url};

/// How far the document of a client has come.
pub(super) enum DocumentState<'a> {
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

/// The document of the client that a request names.
pub(super) struct NamedDocument<'d> {
    client_id: &'d str,
    /// What fetching it has led to, if the host was asked.
    fetched: Option<Fetch<'d>>,
}

impl AuthorizationRequest<'_> {
    pub(super) fn document(&self) -> NamedDocument<'_> {
        NamedDocument { client_id: &self.client_id, fetched: self.fetched }
    }
}

impl<'d> NamedDocument<'d> {
    /// Returns the document of this client with what the host has answered.
    pub(super) fn answered(client_id: &'d str, answers: &'d Answers) -> Self {
        let fetched = answers.iter().find_map(|answered| match answered {
            Answered::Document(asked, result) if asked.url == client_id => Some(match result {
                FetchResult::Failed => Fetch::Failed,
                FetchResult::Busy => Fetch::Busy,
                FetchResult::Response(response) => Fetch::Document(FetchedDocument {
                    status: response.status,
                    content_type: response.content_type.as_deref(),
                    fresh_for: response.fresh_for,
                    body: &response.body,
                }),
            }),
            _ => None,
        });
        Self { client_id, fetched }
    }

    /// Returns whether the client's document must be read first. It must be if no client is on
    /// record and the `client_id` is a URL, or if the record is of an active client with a document
    /// that is stale or a record that has expired.
    pub(super) fn is_needed(&self, rules: &DocumentRules, ctx: &Context<'_>) -> bool {
        let Some(stored) = ctx.loaded.client_of(self.client_id) else {
            // A client that is bound to another issuer has taken the id.
            return !ctx.has_foreign_client() && claims_document(self.client_id);
        };
        let client = &stored.record;
        let now = ctx.moment.now;
        let is_current = client.is_fresh(now, rules.fresh_at_most) && !client.is_expired(now);
        // Nothing is fetched for a deactivated client, and no document activates it again (I47).
        client.registration() == Registration::MetadataDocument
            && client.status() == ClientStatus::Active
            && !client.is_denied(ctx.policy)
            && !is_current
    }

    /// Validates the document of the client, or asks the host for it.
    pub(super) fn resolve<'a>(
        &self,
        rules: &DocumentRules,
        ctx: &Context<'a>,
    ) -> Result<DocumentState<'a>, Fault> {
        // A stranger chose this URL. It has one spelling, so that the host fetches exactly what is
        // compared with the document's own `client_id` (CIMD, Client Identifier).
        if !is_document_url(self.client_id, rules.allow_loopback) {
            return Err(Reason::DocumentUrl.received(self.client_id));
        }
        if ctx.policy.document_domains().denies(self.client_id) {
            return Err(Reason::CimdDenied.into());
        }
        let document = match &self.fetched {
            None => {
                let document = DocumentRequest::of(self.client_id, rules);
                return Ok(DocumentState::Unfetched(document));
            }
            Some(Fetch::Failed) => {
                return Err(Reason::DocumentUnreachable.received(self.client_id));
            }
            Some(Fetch::Busy) => return Err(Reason::DocumentsBusy.into()),
            Some(Fetch::Document(document)) => document,
        };
        let described = self.read_document(document, rules, ctx)?.client;
        // A document may be stale as soon as it is recorded, so freshness does not show whether an
        // earlier attempt has recorded it. A record with an equal description does. A record with a
        // different one was read from an older document, and an expired one has lost its write to
        // another request and is not yet renewed.
        let known = ctx.loaded.client_of(self.client_id).map(|stored| &*stored.record);
        let is_recorded = known.is_some_and(|known| {
            !known.is_expired(ctx.moment.now) && known.is_described_as(&described)
        });
        if (ctx.moment.has_prepared || ctx.moment.is_retry) && is_recorded {
            return Ok(DocumentState::Recorded(ctx.usable_client(self.client_id)?));
        }
        Ok(DocumentState::Unrecorded(Arc::new(described)))
    }

    /// Returns what was left out of the document that came with this request, if the record was
    /// read from it.
    pub(super) fn dropped(&self, ctx: &Context<'_>) -> Option<Dropped> {
        let rules = ctx.policy.client_documents()?;
        let known = &ctx.loaded.client_of(self.client_id)?.record;
        let Some(Fetch::Document(document)) = &self.fetched else { return None };
        if known.registration() != Registration::MetadataDocument {
            return None;
        }
        let described = self.read_document(document, rules, ctx).ok()?;
        known.is_described_as(&described.client).then_some(described.dropped)
    }

    /// Returns the client that the document describes. What the operator imposed on a known client
    /// stays (I47).
    fn read_document(
        &self,
        document: &FetchedDocument<'_>,
        rules: &DocumentRules,
        ctx: &Context<'_>,
    ) -> Result<DescribedClient, Fault> {
        let mut metadata = document.read(self.client_id, ctx.policy)?;
        let dropped = std::mem::take(&mut metadata.dropped);
        let known = ctx.loaded.client_of(self.client_id).map(|stored| &*stored.record);
        let now = ctx.moment.now;
        let mut builder = match known {
            Some(known) => known.clone().edit(),
            None => Client::public(self.client_id).new_at(now, ctx.moment.entropy.epoch()),
        };
        let imposed = known.and_then(|known| known.restrictions().imposed_method());
        if let Some(authentication) = metadata.auth.of_document(imposed, ctx.policy) {
            builder = builder.authenticating(authentication);
        }
        let grant_types = metadata.grant_types.unwrap_or(ctx.policy.default_grant_types());
        let fresh_until = now.after(document.freshness(rules));
        let expires = now.after(ctx.policy.lifetimes().unused_client);
        let builder = builder.registering_for(grant_types).documented(now, fresh_until, expires);
        let client = metadata.describe(builder, ctx.policy)?;
        let client = match known {
            Some(known) => client.described_after(known, now).rekeyed(known, ctx.policy),
            None => client,
        };
        Ok(DescribedClient { client, dropped })
    }
}
