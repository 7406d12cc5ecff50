//! What a host adds to a grant, and how tests look at it.

use grantcore::grant::Grant;
use grantcore::request::ConsentDecision;
use grantcore::value::Properties;
use grantcore::{Choice, Reason, Reply, Timestamp};

use super::params::Params;
use super::steps::form;
use super::{ALICE, Answered, Granted, Outcome, T, World, param};

/// The properties of this text.
pub fn properties(text: &str) -> Properties {
    Properties::parse(text).unwrap()
}

/// The time this many seconds after the beginning.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(T + seconds)
}

/// An allowed consent of alice.
pub fn allow(ticket: &str) -> ConsentDecision<'static> {
    ConsentDecision::new(ticket, ALICE, Choice::Allow).unwrap()
}

impl World {
    /// Runs a consent, and returns the code.
    pub fn approved(&self, decision: ConsentDecision<'_>) -> String {
        let location = self.server.run(decision).outcome().unwrap().into_location();
        param(&location, "code").expect("a code in the redirect")
    }

    /// Runs the whole flow for the client `app`, with these properties.
    pub fn tokens_with(&self, text: &str) -> Granted {
        self.tokens_bound(|decision| decision.with_properties(properties(text)))
    }

    /// Runs the whole flow for the client `app`, with what the host adds to the consent.
    pub fn tokens_bound(
        &self,
        add: impl Fn(ConsentDecision<'static>) -> ConsentDecision<'static>,
    ) -> Granted {
        let ticket = self.page(&Params::authorize()).ticket();
        let code = self.approved(add(allow(&ticket)));
        Granted::of(&self.token(&Params::redeem(&code)))
    }

    /// Returns the properties that the check of this token returns.
    #[track_caller]
    pub fn properties_of(&self, token: &str) -> Option<String> {
        self.access(token).properties().map(|own| own.as_str().to_owned())
    }

    /// Returns the record of the only grant.
    #[track_caller]
    pub fn only_grant(&self) -> Grant {
        let [stored] = &*self.grants() else { panic!("one grant") };
        Grant::clone(&stored.record)
    }

    /// Asserts that a call that needs this scope is refused with 403.
    #[track_caller]
    pub fn lacks(&self, token: &str, scope: &str) {
        let refusal = self.check(token, &[scope]).expect_err("refused");
        assert_eq!(refusal.reply(self.server.policy()).status, 403);
        assert_eq!(self.reason(), Some(Reason::ScopeInsufficient));
    }

    /// Introspects a token as the resource server `web`.
    pub fn introspected(&self, token: &str) -> Reply {
        let params = Params::redeem("")
            .by_web()
            .without("grant_type")
            .without("redirect_uri")
            .without("code")
            .without("code_verifier")
            .and("token", token);
        self.server.introspect(&form(&params.encode())).answered(self.server.policy())
    }
}
