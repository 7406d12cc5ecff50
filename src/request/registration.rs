//! The registration request (RFC 7591 §3.1), and the requests to the endpoint of one registration
//! (RFC 7592 §2).

use std::fmt;

use serde_json::Value;

use super::metadata::{ClientMetadata, Members, Sender, Source};
use super::parts::{Authorization, RequestParts};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::secret::Digest;
use crate::value::text::ClientId;

/// A request of a client to be registered.
pub struct RegistrationRequest {
    /// The digest of the initial access token, if one was sent (RFC 7591 §3).
    pub(crate) initial_token: Option<Digest>,
    /// The metadata or their fault. The fault is kept until the initial access token has been
    /// checked, so that a stranger does not learn the rules of a closed registration.
    pub(crate) metadata: Result<Box<ClientMetadata>, Fault>,
    /// The sender, for the event.
    pub(crate) sender: Sender,
}

/// A request to the endpoint of one registration. Its registration access token is the only proof
/// that it needs.
pub struct ManagementRequest<'a> {
    pub(crate) client_id: &'a str,
    /// The token as it was sent. The response repeats it, because the server keeps a digest only.
    pub(crate) token: &'a str,
    pub(crate) action: Action,
}

/// The action on the registration.
pub(crate) enum Action {
    Read,
    /// A fault is kept until the token has been checked.
    Update(Result<Box<Update>, Fault>),
    Delete,
}

/// The new state of the registration.
pub(crate) struct Update {
    pub(crate) metadata: ClientMetadata,
    /// The digest of the secret in the request, which must be the current one.
    pub(crate) secret: Option<Digest>,
}

impl RegistrationRequest {
    /// Reads a POST of a JSON object.
    ///
    /// # Errors
    /// A [`Refusal`] if registration is off or the method is not POST.
    pub fn parse(request: &RequestParts<'_>, policy: &Policy) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::plain(reason, Endpoint::Registration));
        if request.method != "POST" {
            return refuse(Reason::MethodNotAllowed);
        }
        if policy.registration().is_none() {
            return refuse(Reason::RegistrationOff);
        }
        let initial_token =
            bearer(&request.authorization).map(|token| Digest::of(token.as_bytes()));
        let members = request.json(policy.limits()).and_then(Members::read);
        let name = members.as_ref().ok().and_then(Members::claimed_name);
        let sender = Sender::new(name, request.source);
        let metadata = members.and_then(|members| members.check(Source::Registration, policy));
        Ok(Self { initial_token, metadata: metadata.map(Box::new), sender })
    }
}

/// Shows the claimed client name. The initial access token is left out.
impl fmt::Debug for RegistrationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationRequest")
            .field("sender", &self.sender)
            .field("has_initial_token", &self.initial_token.is_some())
            .field("is_well_formed", &self.metadata.is_ok())
            .finish_non_exhaustive()
    }
}

/// Shows the client. The token and the new metadata are left out.
impl fmt::Debug for ManagementRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagementRequest")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl<'a> ManagementRequest<'a> {
    /// Reads a GET, PUT or DELETE at the endpoint of this client's registration.
    ///
    /// # Errors
    /// A [`Refusal`] if management is off, the method is another one, or there is no token.
    pub fn parse(
        client_id: &'a str,
        request: &RequestParts<'a>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        Self::read(client_id, request, policy)
            .map_err(|reason| Refusal::plain(reason, Endpoint::Management))
    }

    fn read(
        client_id: &'a str,
        request: &RequestParts<'a>,
        policy: &Policy,
    ) -> Result<Self, Reason> {
        if !matches!(request.method, "GET" | "PUT" | "DELETE") {
            return Err(Reason::MethodNotAllowed);
        }
        if !policy.registration().is_some_and(|rules| rules.management) {
            return Err(Reason::RegistrationOff);
        }
        let token = bearer(&request.authorization).ok_or(Reason::ManagementTokenMissing)?;
        ClientId::can_be(client_id).ok_or(Reason::ManagementTokenWrong)?;
        let action = match request.method {
            "PUT" => Action::Update(Update::read(client_id, request, policy).map(Box::new)),
            "DELETE" => Action::Delete,
            _ => Action::Read,
        };
        Ok(Self { client_id, token, action })
    }
}

impl Update {
    fn read(client_id: &str, request: &RequestParts<'_>, policy: &Policy) -> Result<Self, Fault> {
        let members = Members::read(request.json(policy.limits())?)?;
        if members.client_id.as_ref().and_then(Value::as_str) != Some(client_id) {
            return Err(Reason::MetadataClientId.into());
        }
        let read_only = [
            ("client_secret_expires_at", &members.client_secret_expires_at),
            ("client_id_issued_at", &members.client_id_issued_at),
            ("registration_access_token", &members.registration_access_token),
            ("registration_client_uri", &members.registration_client_uri),
        ];
        if let Some((member, _)) = read_only.into_iter().find(|(_, value)| value.is_some()) {
            return Err(Reason::MetadataReadOnly.hint(format!("Received: {member}.")));
        }
        let secret = match &members.client_secret {
            None => None,
            Some(Value::String(secret)) => Some(Digest::of(secret.as_bytes())),
            Some(_) => return Err(Reason::MetadataSecret.into()),
        };
        let metadata = members.check(Source::Registration, policy)?;
        Ok(Self { metadata, secret })
    }
}

/// Returns the bearer token (OAuth 2.1 §5.1.1), or `None` if there is not exactly one header with
/// one.
fn bearer<'a>(authorization: &Authorization<'a>) -> Option<&'a str> {
    authorization
        .credentials("Bearer")
        .and_then(|token| std::str::from_utf8(token).ok())
        .filter(|token| !token.is_empty())
}
