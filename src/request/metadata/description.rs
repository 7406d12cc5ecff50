//! Members that describe a client to people. No decision depends on them.
//!
//! A registration with a member of another JSON type is refused, so that its author notices the
//! mistake. What works elsewhere and cannot be shown here is left out: the `http` page of a client
//! on the user's own device (F15), a logo that is not at an `https` URL, an unknown
//! `application_type`. From a document every unusable member is left out, because its author
//! receives no response.

use serde::Deserialize;
use serde_json::Value;

use super::{Dropped, Source, type_of};
use crate::client::{ApplicationType, ClientDescription};
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::value::uri::{Uri, is_page};

/// The members as they were sent.
pub(super) struct Members {
    pub(super) name: Option<Value>,
    pub(super) uri: Option<Value>,
    pub(super) logo_uri: Option<Value>,
    pub(super) tos_uri: Option<Value>,
    pub(super) policy_uri: Option<Value>,
    pub(super) contacts: Option<Value>,
    pub(super) application_type: Option<Value>,
    pub(super) software_id: Option<Value>,
    pub(super) software_version: Option<Value>,
}

/// Reads the members that can be shown, and records those that are left out.
pub(super) fn read(
    members: Members,
    from: Source,
    dropped: &mut Dropped,
) -> Result<ClientDescription, Fault> {
    let mut reader = Reader { from, dropped };
    let is_http = |uri: &str| Uri::split(uri).is_some_and(|uri| uri.scheme() == "http");
    Ok(ClientDescription {
        name: reader.text("client_name", members.name)?,
        uri: reader.page("client_uri", members.uri, is_http)?,
        logo_uri: reader.page("logo_uri", members.logo_uri, |_| true)?,
        tos_uri: reader.page("tos_uri", members.tos_uri, |_| false)?,
        policy_uri: reader.page("policy_uri", members.policy_uri, |_| false)?,
        contacts: reader.contacts(members.contacts)?,
        application_type: reader.application_type(members.application_type)?,
        software_id: reader.text("software_id", members.software_id)?,
        software_version: reader.text("software_version", members.software_version)?,
    })
}

struct Reader<'a> {
    from: Source,
    dropped: &'a mut Dropped,
}

impl Reader<'_> {
    /// Reads a string. An empty string counts as absent.
    fn text(
        &mut self,
        member: &'static str,
        value: Option<Value>,
    ) -> Result<Option<String>, Fault> {
        match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(other) => self.unfit(member, || of_type(member, type_of(&other))),
        }
    }

    /// Reads the `https` URL of a page that can be shown. Of the other texts, those that are
    /// `tolerated` are left out.
    fn page(
        &mut self,
        member: &'static str,
        value: Option<Value>,
        tolerated: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, Fault> {
        match self.text(member, value)? {
            Some(uri) if is_page(&uri) => Ok(Some(uri)),
            Some(uri) if tolerated(&uri) => Ok(self.drop(member)),
            Some(uri) => self.unfit(member, || {
                Reason::MetadataDescription.received(&uri).hint(format!("Member: {member}."))
            }),
            None => Ok(None),
        }
    }

    fn contacts(&mut self, value: Option<Value>) -> Result<Vec<String>, Fault> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let named = match Vec::<String>::deserialize(&value) {
            Ok(named) => Some(named),
            Err(_) => self.unfit("contacts", || {
                let found = match &value {
                    Value::Array(_) => "an array with another type in it",
                    other => type_of(other),
                };
                of_type("contacts", found)
            })?,
        };
        Ok(named.unwrap_or_default().into_iter().filter(|contact| !contact.is_empty()).collect())
    }

    fn application_type(&mut self, value: Option<Value>) -> Result<Option<ApplicationType>, Fault> {
        Ok(match self.text("application_type", value)?.as_deref() {
            None => None,
            Some("native") => Some(ApplicationType::Native),
            Some("web") => Some(ApplicationType::Web),
            Some(_) => self.drop("application_type"),
        })
    }

    /// Refuses a registration with this member, and leaves the member of a document out.
    fn unfit<T>(
        &mut self,
        member: &'static str,
        fault: impl FnOnce() -> Fault,
    ) -> Result<Option<T>, Fault> {
        match self.from {
            Source::Registration => Err(fault()),
            Source::Document => Ok(self.drop(member)),
        }
    }

    fn drop<T>(&mut self, member: &'static str) -> Option<T> {
        self.dropped.member(member);
        None
    }
}

fn of_type(member: &str, found: &str) -> Fault {
    Reason::MetadataDescription.hint(format!("Received: {found}. Member: {member}."))
}
