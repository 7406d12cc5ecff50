//! Parameters of an authorization request that other specifications define and this server ignores.

/// The parameters that other specifications define (IANA, OAuth Parameters) and this server
/// ignores. Each may be sent once, like every parameter except `resource` (AUTHZ-12). An undefined
/// name is ignored, however often it is sent (AUTHZ-03, OAuth 2.1 §3.1).
const DEFINED: [&str; 9] = [
    "authorization_details",
    "claims",
    "claims_locales",
    "display",
    "dpop_jkt",
    "id_token_hint",
    "nonce",
    "registration",
    "vtr",
];

/// The defined parameters that were sent.
#[derive(Default)]
pub(crate) struct Others {
    /// One bit for each name.
    seen: u16,
    /// The first parameter that was sent twice.
    pub(crate) repeated: Option<&'static str>,
}

impl Others {
    /// Counts a parameter with a value, if its name is a defined one.
    pub(crate) fn count(&mut self, name: &str) {
        let Some(place) = DEFINED.iter().position(|own| *own == name) else { return };
        let bit = 1 << place;
        if self.seen & bit != 0 {
            self.repeated = self.repeated.or(DEFINED.get(place).copied());
        }
        self.seen |= bit;
    }
}
