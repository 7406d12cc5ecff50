//! Tests of HOST-37 to HOST-40, HOST-42 and I54: whose consent is remembered, and when.

mod attacks;

use std::time::Duration;

use grantcore::client::{ConsentMode, StoredSecret};
use grantcore::policy::{ConsentRules, Lifetimes, PolicyBuilder, Remember};
use grantcore::request::{Login, RevokedBy, Site};
use grantcore::value::{Digest, GrantId, SecretMethod, Subject};
use grantcore::{
    Account, AuthorizationStep, Choice, Client, Reason, Refusal, RequestParts, Timestamp, User,
};

use crate::support::params::Params;
use crate::support::refused::assert_redir_to;
use crate::support::{ALICE, Granted, MCP, Outcome, SECRET, T, World, param, policy, user, web};

pub(crate) const HOUR: u64 = 3600;
const WEB_CALLBACK: &str = "https://web.example/cb";

/// A world in which alice was asked about a client, and granted it all that it asked for.
pub(crate) struct Earlier {
    pub(crate) world: World,
    pub(crate) id: GrantId,
    pub(crate) tokens: Granted,
}

/// Returns the rules that remember a consent for two hours.
pub(crate) fn rules(remember: Remember) -> ConsentRules {
    let time = Duration::from_secs(2 * HOUR);
    ConsentRules::default().with_remember(remember).with_remember_for(time)
}

pub(crate) fn remembering(remember: Remember) -> PolicyBuilder {
    policy().consent_rules(rules(remember))
}

impl Earlier {
    /// Returns a grant of the client `web`, which has a secret.
    pub(crate) fn new(remember: Remember) -> Self {
        Self::with(remembering(remember))
    }

    pub(crate) fn with(policy: PolicyBuilder) -> Self {
        Self::of(World::with(policy), Params::by_web)
    }

    /// Returns a grant of the client that `by` makes the sender of the requests.
    pub(crate) fn of(world: World, by: fn(Params) -> Params) -> Self {
        let code = world.code(&by(Params::authorize()));
        let tokens = Granted::of(&world.token(&by(Params::redeem(&code))));
        let id = world.grants()[0].record.id();
        Self { world, id, tokens }
    }

    /// Sends the same request again, as alice with this grant.
    pub(crate) fn again(&self) -> Result<AuthorizationStep, Refusal> {
        self.ask(&again(), ALICE.remembering(self.id))
    }

    pub(crate) fn ask(
        &self,
        params: &Params,
        user: User<'_>,
    ) -> Result<AuthorizationStep, Refusal> {
        ask_from(&self.world, params, user, Site::Unknown)
    }
}

/// Returns the request of the client `web`.
pub(crate) fn again() -> Params {
    Params::authorize().by_web()
}

pub(crate) fn ask_from(
    world: &World,
    params: &Params,
    user: User<'_>,
    site: Site,
) -> Result<AuthorizationStep, Refusal> {
    let query = params.encode();
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), site, ..RequestParts::default() };
    world.server.authorize(&request, Some(user)).outcome()
}

/// Returns the code of an answer without a page.
#[track_caller]
pub(crate) fn silent(step: Result<AuthorizationStep, Refusal>) -> String {
    match step {
        Ok(AuthorizationStep::Done(redirect)) => {
            param(&redirect.into_location(), "code").expect("a code")
        }
        other => panic!("not answered without a page: {other:?}"),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the answer of a call, at its end")]
pub(crate) fn assert_asked(step: Result<AuthorizationStep, Refusal>) {
    assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{step:?}");
}

#[test]
fn host_37_every_request_is_asked_by_default() {
    let earlier = Earlier::with(policy());
    assert_asked(earlier.again());
    let world = World::new();
    world.tokens();
    let id = world.grants()[0].record.id();
    assert_asked(world.authorize_as(&Params::authorize(), Some(ALICE.remembering(id))));
}

/// A change after which the earlier consent does not suffice.
type Deviation = (&'static str, fn(&Earlier));

/// What the world does, with the request and the user of the next request unchanged.
const DEVIATIONS: &[Deviation] = &[
    ("revoked by its user", |earlier| {
        earlier.world.server.revoke_connection("alice", earlier.id).unwrap();
    }),
    ("revoked by an administrator", |earlier| {
        let by = RevokedBy::Administrator("test");
        drop(earlier.world.server.revoke_grant(earlier.id, by));
    }),
    ("replayed", |earlier| {
        let refresh = Params::refresh(earlier.tokens.refresh()).by_web();
        drop([earlier.world.token(&refresh), earlier.world.token(&refresh)]);
    }),
    ("asked too long ago", |earlier| earlier.world.at(2 * HOUR)),
    ("the client's grants are ended", |earlier| earlier.world.put(web().with_grants_ended())),
    ("the account's grants are ended", |earlier| {
        let account = Account { suspended: false, epoch: 1 };
        earlier.world.store.inner.put_account(Subject::new("alice"), account);
    }),
    ("the client is always asked", |earlier| {
        earlier.world.put(web().edit().consent(ConsentMode::Ask).build().unwrap());
    }),
    ("the client lost its secret", |earlier| {
        let public = Client::public("web").redirect_uri(WEB_CALLBACK).build().unwrap();
        earlier.world.put(public);
    }),
];

#[test]
fn host_38_a_covered_request_is_answered_without_a_page() {
    for remember in [Remember::Confidential, Remember::HttpsRedirect] {
        let earlier = Earlier::new(remember);
        earlier.world.at(2 * HOUR - 1);
        let code = silent(earlier.again());
        let granted = Granted::of(&earlier.world.token(&Params::redeem(&code).by_web()));
        assert_eq!(granted.scope, "read write");
        assert!(earlier.world.works(&granted.access));
    }
    // The mode of the client suffices. So does a part of what was granted, `prompt=none`, and every
    // prompt that is answered.
    let earlier = Earlier::with(remembering(Remember::Never));
    assert_asked(earlier.again());
    earlier.world.put(web().edit().consent(ConsentMode::Remember).build().unwrap());
    silent(earlier.again());
    let user = ALICE.remembering(earlier.id);
    let granted = earlier.world.token(
        &Params::redeem(&silent(earlier.ask(&again().set("scope", "write"), user))).by_web(),
    );
    assert_eq!(Granted::of(&granted).scope, "write");
    silent(earlier.ask(&again().set("prompt", "none"), user));
    let login = Login::at(Timestamp::from_unix_seconds(T));
    silent(earlier.ask(&again().set("max_age", "60"), user.with_login(login)));
    let params = again().set("prompt", "login");
    let Ok(AuthorizationStep::NeedsLogin(page)) = earlier.ask(&params, user) else {
        panic!("no login")
    };
    silent(earlier.ask(&params, user.signed_in_for(page.request())));
}

#[test]
fn host_38_what_the_world_changed_is_asked() {
    for (name, happen) in DEVIATIONS {
        let earlier = Earlier::new(Remember::Confidential);
        happen(&earlier);
        let step = earlier.again();
        assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{name}: {step:?}");
        let silently = again().set("prompt", "none");
        let refusal = earlier.ask(&silently, ALICE.remembering(earlier.id)).unwrap_err();
        let consent_required = Reason::ConsentRequired;
        let state = Some("xyz");
        assert_redir_to(
            &earlier.world,
            &refusal,
            WEB_CALLBACK,
            state,
            "consent_required",
            consent_required,
        );
    }
}

/// The earlier grant has ended by itself.
#[test]
fn host_38_an_expired_grant_is_not_remembered() {
    let hour = Duration::from_secs(HOUR);
    let lifetimes = Lifetimes::default().with_access(hour);
    for lifetimes in
        [lifetimes.with_refresh_idle(hour), lifetimes.with_refresh_absolute(Some(hour))]
    {
        let earlier = Earlier::with(remembering(Remember::Confidential).lifetimes(lifetimes));
        earlier.world.at(HOUR - 1);
        silent(earlier.again());
        earlier.world.at(HOUR);
        assert_asked(earlier.again());
    }
    // A code that nobody has redeemed is no grant yet.
    let world = World::with(remembering(Remember::Confidential));
    world.code(&again());
    let id = world.grants()[0].record.id();
    assert_asked(ask_from(&world, &again(), ALICE.remembering(id), Site::None));
}

#[test]
fn host_38_more_than_was_granted_is_asked() {
    let files = "https://files.example";
    let earlier = Earlier::of(
        World::with(
            remembering(Remember::Confidential).resource(files, "read").default_resource(MCP),
        ),
        Params::by_web,
    );
    let user = ALICE.remembering(earlier.id);
    silent(earlier.ask(&again(), user));
    assert_asked(earlier.ask(&again().set("scope", "read admin"), user));
    assert_asked(earlier.ask(&again().and("resource", files), user));
    assert_asked(earlier.ask(&again().and("resource", MCP).and("resource", files), user));
    // Another of the client's own redirect URIs.
    let other = "https://web.example/other";
    earlier.world.put(web().edit().redirect_uri(other).build().unwrap());
    assert_asked(earlier.ask(&again().set("redirect_uri", other), user));
    silent(earlier.ask(&again(), user));
    // The account stands badly.
    earlier.world.store.suspend("alice", true);
    assert_eq!(earlier.ask(&again(), user).unwrap_err().reason(), Reason::AccountSuspended);
}

#[test]
fn host_38_a_client_that_described_itself_anew_is_asked() {
    use crate::support::clients::{ask, metadata, with};
    use grantcore::policy::RegistrationRules;
    let open = remembering(Remember::Confidential).registration(RegistrationRules::default());
    let world = World::with(open);
    let secret = with(metadata(), "token_endpoint_auth_method", "client_secret_post");
    let own = world.own(&secret);
    world.tokens_by(&own);
    let id = world.grants()[0].record.id();
    let again = || ask_from(&world, &ask(&own.id), ALICE.remembering(id), Site::Unknown);
    silent(again());
    // In the second of the page: whether it was before or after it is not known.
    world.updated(&own, with(secret.clone(), "client_name", "Your Bank"));
    assert_asked(again());
    world.updated(&own, secret.clone());
    world.at(30);
    world.tokens_by(&own);
    let id = world.grants()[1].record.id();
    let again = || ask_from(&world, &ask(&own.id), ALICE.remembering(id), Site::Unknown);
    silent(again());
    world.at(60);
    // An update that changes nothing describes nothing anew.
    world.updated(&own, secret.clone());
    silent(again());
    world.updated(&own, with(secret, "client_name", "Your Bank"));
    assert_asked(again());
}

#[test]
fn host_39_only_an_assured_client_is_remembered() {
    let secret = || StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    for (uri, is_remembered) in [
        ("https://web.example/cb", true),
        ("https://localhost/cb", false),
        ("https://127.0.0.1/cb", false),
        ("https://[::1]/cb", false),
        ("http://127.0.0.1:4711/cb", false),
        ("com.example.web:/cb", false),
    ] {
        let world = World::with(remembering(Remember::Confidential));
        let own = Client::confidential("web", SecretMethod::Post, secret()).redirect_uri(uri);
        world.put(own.build().unwrap());
        let params = again().set("redirect_uri", uri);
        let code = world.code(&params);
        Granted::of(&world.token(&Params::redeem(&code).by_web().set("redirect_uri", uri)));
        let id = world.grants()[0].record.id();
        let step = ask_from(&world, &params, ALICE.remembering(id), Site::SameOrigin);
        assert_eq!(matches!(step, Ok(AuthorizationStep::Done(_))), is_remembered, "{uri}");
        if !is_remembered {
            assert_asked(step);
        }
    }
}

const SITES: [Site; 5] =
    [Site::Unknown, Site::SameOrigin, Site::SameSite, Site::CrossSite, Site::None];

#[test]
fn host_40_a_public_client_is_remembered_if_no_other_site_sent_the_browser() {
    let earlier = Earlier::of(World::with(remembering(Remember::HttpsRedirect)), |params| params);
    let user = ALICE.remembering(earlier.id);
    for site in SITES {
        let step = ask_from(&earlier.world, &Params::authorize(), user, site);
        match site {
            Site::SameOrigin | Site::None => drop(silent(step)),
            Site::Unknown | Site::SameSite | Site::CrossSite => assert_asked(step),
        }
    }
    // After a login the browser comes from the login page, whichever site began the flow.
    let params = Params::authorize().set("prompt", "login");
    let step = ask_from(&earlier.world, &params, user, Site::CrossSite);
    let Ok(AuthorizationStep::NeedsLogin(page)) = step else { panic!("{step:?}") };
    let user = user.signed_in_for(page.request());
    assert_asked(ask_from(&earlier.world, &params, user, Site::SameOrigin));
    // The header is read once.
    let site = |values: &[&'static str]| values.iter().map(|value| value.as_bytes()).collect();
    for (values, expected) in [
        (&[][..], Site::Unknown),
        (&["none"], Site::None),
        (&["same-origin"], Site::SameOrigin),
        (&["same-site"], Site::SameSite),
        (&["cross-site"], Site::CrossSite),
        (&["None"], Site::Unknown),
        (&["none", "none"], Site::Unknown),
        (&["same-origin", "cross-site"], Site::Unknown),
    ] {
        let own: Site = site(values);
        assert_eq!(own, expected, "{values:?}");
    }
}

#[test]
fn host_42_a_named_grant_is_a_hint() {
    let earlier = Earlier::new(Remember::Confidential);
    let world = &earlier.world;
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let other = Client::confidential("other", SecretMethod::Post, secret);
    world.put(other.redirect_uri("https://web.example/cb").build().unwrap());
    let bob = user("bob", b"bob's browser");
    let nobody = GrantId::from_bytes([9; 16]);
    let plain = |user: User<'_>, params: &Params| {
        let step = earlier.ask(params, user);
        assert_asked(step);
        let event = world.events().pop().unwrap();
        (event.kind, event.note, event.detail, event.reason)
    };
    for (user, params) in [(bob, again()), (ALICE, again().set("client_id", "other"))] {
        let without = plain(user, &params);
        // Another user's or client's grant and none at all look the same.
        assert_eq!(plain(user.remembering(earlier.id), &params), without);
        assert_eq!(plain(user.remembering(nobody), &params), without);
    }
    assert_eq!(plain(ALICE.remembering(nobody), &again()), plain(ALICE, &again()),);
    // The list of connections names the grant whose page the user saw last.
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert_eq!(connections.asked("web"), Some(earlier.id));
    assert_eq!(connections.asked("app"), None);
}
