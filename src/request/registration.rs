//! The registration request (RFC 7591 §3.1), and the requests to the endpoint of one registration
//! (RFC 7592 §2).

use serde_json::Value;

use super::metadata::{ClientMetadata, Members, Source, sender};
use super::parts::{Authorization, RequestParts};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::secret::Digest;
use crate::value::text::ClientId;

/// A client that asks to be registered, its metadata judged.
pub struct RegistrationRequest {
    pub(crate) metadata: ClientMetadata,
    /// Who asks, for the event.
    pub(crate) sender: Option<String>,
}

/// A request to the endpoint of one registration, by whoever holds its token.
pub struct ManagementRequest<'a> {
    pub(crate) client_id: &'a str,
    /// As it came: the response repeats it, for the server has kept a digest only.
    pub(crate) token: &'a str,
    pub(crate) action: Action,
}

/// What is to be done with the registration.
pub(crate) enum Action {
    Read,
    /// What is wrong with it is kept inside until the token has proved to be the right one.
    Update(Result<Box<Update>, Fault>),
    Delete,
}

/// The registration as it should be from now on.
pub(crate) struct Update {
    pub(crate) metadata: ClientMetadata,
    /// The digest of the secret that came along, which must be the one in force.
    pub(crate) secret: Option<Digest>,
}

impl RegistrationRequest {
    /// Reads a POST of a JSON object, and sees whether its sender may register.
    ///
    /// # Errors
    /// A [`Refusal`] when registration is off, its token is missing or wrong, or the body cannot be
    /// read or breaks a rule.
    pub fn parse(incoming: &RequestParts<'_>, policy: &Policy) -> Result<Self, Refusal> {
        Self::read(incoming, policy).map_err(|fault| Refusal::of(fault, Endpoint::Registration))
    }

    /// Returns who sent a registration that was refused: the name it claims, if its body can be
    /// read, and where it came from.
    pub(crate) fn sender(incoming: &RequestParts<'_>, policy: &Policy) -> Option<String> {
        let body = incoming.json(policy.limits()).ok();
        let members = body.and_then(|body| Members::read(body).ok());
        sender(members.as_ref().and_then(Members::claimed_name), incoming.source)
    }

    fn read(incoming: &RequestParts<'_>, policy: &Policy) -> Result<Self, Fault> {
        if incoming.method != "POST" {
            return Err(Reason::MethodNotAllowed.into());
        }
        let rules = policy.registration().ok_or(Reason::RegistrationOff)?;
        if let Some(tokens) = &rules.initial_access_tokens {
            let digest = bearer(&incoming.authorization)
                .map(|token| Digest::of(token.as_bytes()))
                .ok_or(Reason::InitialTokenMissing)?;
            // Each is compared, so that the time tells nothing.
            if !tokens.iter().fold(false, |found, own| found | own.matches(&digest)) {
                return Err(Reason::InitialTokenWrong.into());
            }
        }
        let members = Members::read(incoming.json(policy.limits())?)?;
        let sender = sender(members.claimed_name(), incoming.source);
        let metadata = members.judge(Source::Registration, policy)?;
        Ok(Self { metadata, sender })
    }
}

impl<'a> ManagementRequest<'a> {
    /// Reads a GET, PUT or DELETE at the endpoint of the registration of this client.
    ///
    /// # Errors
    /// A [`Refusal`] when management is off, the method is another, or there is no token.
    pub fn parse(
        client_id: &'a str,
        incoming: &RequestParts<'a>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        Self::read(client_id, incoming, policy)
            .map_err(|reason| Refusal::plain(reason, Endpoint::Management))
    }

    fn read(
        client_id: &'a str,
        incoming: &RequestParts<'a>,
        policy: &Policy,
    ) -> Result<Self, Reason> {
        if !matches!(incoming.method, "GET" | "PUT" | "DELETE") {
            return Err(Reason::MethodNotAllowed);
        }
        if !policy.registration().is_some_and(|rules| rules.management) {
            return Err(Reason::RegistrationOff);
        }
        let token = bearer(&incoming.authorization).ok_or(Reason::ManagementTokenMissing)?;
        ClientId::can_be(client_id).ok_or(Reason::ManagementTokenWrong)?;
        let action = match incoming.method {
            "PUT" => Action::Update(Update::read(client_id, incoming, policy).map(Box::new)),
            "DELETE" => Action::Delete,
            _ => Action::Read,
        };
        Ok(Self { client_id, token, action })
    }
}

impl Update {
    fn read(client_id: &str, incoming: &RequestParts<'_>, policy: &Policy) -> Result<Self, Fault> {
        let members = Members::read(incoming.json(policy.limits())?)?;
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
        let metadata = members.judge(Source::Registration, policy)?;
        Ok(Self { metadata, secret })
    }
}

/// The bearer token, if there is one (OAuth 2.1 §5.1.1). Two headers are none.
fn bearer<'a>(authorization: &Authorization<'a>) -> Option<&'a str> {
    authorization
        .credentials("Bearer")
        .and_then(|token| std::str::from_utf8(token).ok())
        .filter(|token| !token.is_empty())
}
