//! rotate: an administrator gives a client a new secret, in one compare-and-set (KEYS-70, KEYS-71).

use std::sync::Arc;

use super::context::Context;
use crate::client::{Client, StoredSecret};
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::request::secret_rotation::SecretRotation;
use crate::response::secret_rotation::RotatedSecret;

impl Operation for SecretRotation<'_> {
    type Response = RotatedSecret;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<RotatedSecret> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(self.client_id);
        let Some(stored) = ctx.existing_client(self.client_id) else {
            return ctx.refuse(Reason::ClientUnknown);
        };
        let rotated = |client| {
            let secret = moment.entropy.client_secret();
            ctx.allow(EventKind::SecretRotated, RotatedSecret { client, secret })
                .with_note(self.note)
                .attributed()
        };
        let new = moment.entropy.client_secret().text_digest();
        // Lost response of the store: an earlier attempt of this request wrote the secret (I17). If
        // another rotation followed it, this one is decided anew: its secret would end too soon.
        if moment.is_retry && stored.record.has_current_secret(&new) {
            return rotated(Arc::clone(&stored.record));
        }
        let client = Client::clone(&stored.record);
        match client.with_new_secret(StoredSecret::Digest(new), self.overlap, moment.now) {
            Ok(next) => {
                let next = Arc::new(next);
                rotated(Arc::clone(&next)).writing(Write::client(Some(stored), next))
            }
            // A generated secret has no slow hash, so that the client has no secret at all.
            Err(_) => ctx.refuse(Reason::ClientSecretNone),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}
