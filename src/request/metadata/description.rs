//! Members that describe a client to people. No decision depends on them, so that one that does not
//! fit is left out and ends nothing.

use serde::Deserialize;
use serde_json::Value;

use super::Dropped;
use crate::client::{ApplicationType, ClientDescription, is_page};

/// The members as they came.
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

/// Keeps what can be shown.
pub(super) fn read(members: Members, dropped: &mut Dropped) -> ClientDescription {
    let mut keep = Keep { dropped };
    ClientDescription {
        name: keep.text("client_name", members.name),
        uri: keep.page("client_uri", members.uri),
        logo_uri: keep.page("logo_uri", members.logo_uri),
        tos_uri: keep.page("tos_uri", members.tos_uri),
        policy_uri: keep.page("policy_uri", members.policy_uri),
        contacts: keep.contacts(members.contacts),
        application_type: keep.application_type(members.application_type),
        software_id: keep.text("software_id", members.software_id),
        software_version: keep.text("software_version", members.software_version),
    }
}

struct Keep<'a> {
    dropped: &'a mut Dropped,
}

impl Keep<'_> {
    /// A string. An empty one says as little as none.
    fn text(&mut self, member: &'static str, value: Option<Value>) -> Option<String> {
        match value? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            _ => self.drop(member),
        }
    }

    /// The `https` URL of a page that can be shown.
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
