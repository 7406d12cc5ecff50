//! Members that describe a client to people. No decision depends on them, so an unusable member is
//! left out and does not refuse the metadata.

use serde::Deserialize;
use serde_json::Value;

use super::Dropped;
use crate::client::{ApplicationType, ClientDescription};
use crate::value::uri::is_page;

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

/// Reads the members that can be shown, and records the others as dropped.
pub(super) fn read(members: Members, dropped: &mut Dropped) -> ClientDescription {
    let mut reader = Reader { dropped };
    ClientDescription {
        name: reader.text("client_name", members.name),
        uri: reader.page("client_uri", members.uri),
        logo_uri: reader.page("logo_uri", members.logo_uri),
        tos_uri: reader.page("tos_uri", members.tos_uri),
        policy_uri: reader.page("policy_uri", members.policy_uri),
        contacts: reader.contacts(members.contacts),
        application_type: reader.application_type(members.application_type),
        software_id: reader.text("software_id", members.software_id),
        software_version: reader.text("software_version", members.software_version),
    }
}

struct Reader<'a> {
    dropped: &'a mut Dropped,
}

impl Reader<'_> {
    /// Reads a string. An empty string counts as absent.
    fn text(&mut self, member: &'static str, value: Option<Value>) -> Option<String> {
        match value? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            _ => self.drop(member),
        }
    }

    /// Reads the `https` URL of a page that can be shown.
    fn page(&mut self, member: &'static str, value: Option<Value>) -> Option<String> {
        match self.text(member, value)? {
            uri if is_page(&uri) => Some(uri),
            _ => self.drop(member),
        }
    }

    fn contacts(&mut self, value: Option<Value>) -> Vec<String> {
        let Some(value) = value else { return Vec::new() };
        let named = Vec::<String>::deserialize(&value).ok().or_else(|| self.drop("contacts"));
        named.unwrap_or_default().into_iter().filter(|contact| !contact.is_empty()).collect()
    }

    fn application_type(&mut self, value: Option<Value>) -> Option<ApplicationType> {
        match &*self.text("application_type", value)? {
            "native" => Some(ApplicationType::Native),
            "web" => Some(ApplicationType::Web),
            _ => self.drop("application_type"),
        }
    }

    fn drop<T>(&mut self, member: &'static str) -> Option<T> {
        self.dropped.member(member);
        None
    }
}
