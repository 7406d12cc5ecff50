//! Whose an authorization request is: a client on record, or one that names itself by the URL of a
//! document about it (CIMD).
//!
//! The record of such a client is the document as it was last read. Fetching is the host's; judging
//! what it fetched is this file's.

use std::sync::Arc;

use crate::client::{Authentication, Client, ClientStatus, Registration};
use crate::moment::Moment;
use crate::operation::Loaded;
use crate::policy::{DocumentRules, Policy};
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::{Fault, Refusal};
use crate::request::authorization::AuthorizationRequest;
use crate::request::document::{Fetch, FetchedDocument};
use crate::request::metadata::Dropped;
use crate::response::document::DocumentRequest;
use crate::value::document_url::{claims_document, is_document_url};

/// What is known of the client.
pub(super) enum Found<'a> {
    Client(&'a Arc<Client>),
    /// Its document must be fetched.
    Unread(DocumentRequest),
    /// Its document was fetched: the record to keep.
    Read(Write),
}

pub(super) fn find<'a>(
    request: &AuthorizationRequest<'_>,
    loaded: &'a Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Result<Found<'a>, Refusal> {
    let refuse = |reason| Refusal::plain(reason, Endpoint::Authorization);
    let Some(rules) = policy.documents().filter(|rules| is_due(request, loaded, rules, moment))
    else {
        return loaded.served(&request.client_id, moment.now).map(Found::Client).map_err(refuse);
    };
    if !is_document_url(&request.client_id, rules.allow_loopback) {
        return Err(Refusal::received(Reason::DocumentUrl, &request.client_id));
    }
    match &request.fetched {
        None => Ok(Found::Unread(DocumentRequest::of(&request.client_id, rules))),
        Some(Fetch::Failed) => {
            Err(Refusal::received(Reason::DocumentUnreachable, &request.client_id))
        }
        Some(Fetch::Busy) => Err(refuse(Reason::DocumentsBusy)),
        Some(Fetch::Document(document)) => {
            let known = loaded.client_of(&request.client_id);
            let client = read(document, &request.client_id, known, policy, rules, moment);
            let client = client.map_err(|fault| Refusal::of(fault, Endpoint::Authorization))?;
            match known {
                // Kept by this very request, however long that took. Whatever else stands there was
                // read from an older document.
                Some(stored) if moment.again && stored.record.is_described_as(&client) => {
                    loaded.served(&request.client_id, moment.now).map(Found::Client).map_err(refuse)
                }
                seen => Ok(Found::Read(Write::client(seen, client))),
            }
        }
    }
}

/// What was left out of the document that came with this request and that the record was read from.
pub(super) fn dropped(
    request: &AuthorizationRequest<'_>,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Option<Dropped> {
    let rules = policy.documents()?;
    let known = loaded.client_of(&request.client_id)?;
    let Some(Fetch::Document(document)) = &request.fetched else { return None };
    let is_documented = known.record.registration() == Registration::MetadataDocument;
    let metadata = document.read(&request.client_id, policy).ok().filter(|_| is_documented)?;
    let described = read(document, &request.client_id, Some(known), policy, rules, moment).ok()?;
    known.record.is_described_as(&described).then_some(metadata.dropped)
}

/// Whether a document must be read first: the `client_id` is a URL, and on record is neither
/// another client under that name nor a document that is fresh. One that is deactivated stays so,
/// and nothing is fetched.
fn is_due(
    request: &AuthorizationRequest<'_>,
    loaded: &Loaded,
    rules: &DocumentRules,
    moment: &Moment,
) -> bool {
    let Some(Stored { record: client, .. }) = loaded.client_of(&request.client_id) else {
        return claims_document(&request.client_id);
    };
    let is_current =
        client.is_fresh(moment.now, rules.fresh_at_most) && !client.is_expired(moment.now);
    client.registration() == Registration::MetadataDocument
        && client.status() == ClientStatus::Active
        && !is_current
}

/// The client that this document is about. What the operator has decided of it stays.
fn read(
    document: &FetchedDocument<'_>,
    url: &str,
    known: Option<&Stored<Client>>,
    policy: &Policy,
    rules: &DocumentRules,
    moment: &Moment,
) -> Result<Client, Fault> {
    let metadata = document.read(url, policy)?;
    let builder = match known {
        Some(known) => Client::clone(&known.record).edit(),
        None => Client::public(url).new_at(moment.now, moment.entropy.epoch()),
    };
    let grant_types = metadata.grant_types.unwrap_or(policy.default_grant_types());
    let fresh_until = moment.now.after(document.freshness(rules));
    // A document can publish no secret, so its client is public unless the operator gave it one.
    let is_free = known.is_none_or(|known| known.record.restrictions().imposed_method().is_none());
    let builder = if is_free { builder.authenticating(Authentication::Public) } else { builder };
    let builder = builder
        .registering_for(grant_types)
        .documented(fresh_until, moment.now.after(policy.lifetimes().unused_client));
    metadata.describe(builder, policy)
}
