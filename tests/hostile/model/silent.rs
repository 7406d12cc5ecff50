//! The model of remembered consent: the conditions S of `docs/decisions.md`.

use super::clients::Ask;
use super::records::{Grant, Phase, REMEMBERED, Remember};
use super::rules::{Call, Model};

impl Model {
    /// Returns the earlier grant by whose consent the request is answered without a page. `client`
    /// is served, and the request has no fault.
    pub fn remembered(
        &self,
        ask: &Ask,
        client: usize,
        call: Call,
        is_stale: bool,
    ) -> Option<Grant> {
        let own = &self.clients[client];
        let target = own.target(ask.redirect.as_deref())?;
        let is_assured = match (self.remember, own.secret) {
            (Remember::Nobody, _) | (Remember::Confidential, None) => false,
            (_, Some(_)) => true,
            (Remember::HttpsRedirect, None) => ask.is_own_site,
        };
        if !is_assured || ask.prompt == Some("consent") || !target.starts_with("https:") {
            return None;
        }
        let id = ask.remembered?;
        let stale = self.previous.get(&id).filter(|_| is_stale);
        let earlier = stale.unwrap_or(&self.grants[id]).clone();
        let now = self.clock.max(earlier.seen);
        let asked = earlier.asked?;
        let Phase::Active(active) = &earlier.phase else { return None };
        let is_same = (earlier.issuer, earlier.client, earlier.user, &*earlier.redirect)
            == (call.issuer, client, ask.user, &*target);
        let is_alive = now < asked + REMEMBERED
            && now < active.idle
            && now < earlier.end
            && !self.is_ended(&earlier);
        let covers = ask.understood().is_some_and(|scope| scope & !earlier.left == 0)
            && ask.resources.is_some_and(|resources| resources & !earlier.resources == 0);
        (is_same && is_alive && covers && own.described <= asked).then_some(earlier)
    }
}
