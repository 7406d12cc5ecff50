//! Tests that `docs/troubleshooting.md` is the error table: current, complete, and clear about
//! refusals with equal responses.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use grantcore::reason::{Endpoint, ErrorCode, troubleshooting};
use grantcore::{Policy, Reason};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");

/// Groups of reasons that a client must not be able to distinguish.
const ALIKE: &[&[Reason]] = &[
    // The response must not show whether a client exists, or how close a secret was.
    &[
        Reason::ClientUnknown,
        Reason::ClientDeactivated,
        Reason::CimdDenied,
        Reason::CredentialsMalformed,
        Reason::ClientSecretMissing,
        Reason::ClientSecretWrong,
        Reason::ClientSecretRetired,
        Reason::ClientSecretUnexpected,
        Reason::ClientFederated,
        Reason::ClientAssertionMissing,
        Reason::ClientAssertionType,
        Reason::ClientAssertionUnexpected,
        Reason::ClientAssertionMalformed,
        Reason::ClientAssertionTyp,
        Reason::ClientAssertionAlgorithm,
        Reason::ClientAssertionKey,
        Reason::ClientAssertionSignature,
        Reason::ClientAssertionIssuer,
        Reason::ClientAssertionSubject,
        Reason::ClientAssertionAudience,
        Reason::ClientAssertionExpired,
        Reason::ClientAssertionEarly,
        Reason::ClientAssertionLongLived,
        Reason::ClientAssertionJti,
        Reason::ClientAssertionReplayed,
        Reason::IntrospectionCallerMissing,
        Reason::IntrospectionUnauthenticated,
    ],
    // The response must not show which issuers are trusted, or what was wrong.
    &[
        Reason::AssertionMalformed,
        Reason::AssertionType,
        Reason::AssertionAlgorithm,
        Reason::AssertionKey,
        Reason::AssertionSignature,
        Reason::AssertionIssuer,
        Reason::AssertionSubject,
        Reason::AssertionAudience,
        Reason::AssertionExpired,
        Reason::AssertionEarly,
        Reason::AssertionLongLived,
        Reason::AssertionJti,
        Reason::AssertionClaim,
    ],
    // The response must not show that another caller is guessing.
    &[Reason::RateLimited, Reason::AuthenticationsThrottled],
    // The response must not show which account is suspended.
    &[Reason::AccountSuspended, Reason::OwnerSuspended],
    // The response must not show which part of the server failed.
    &[Reason::StorageUnavailable, Reason::EntropyUnavailable, Reason::AuditUnavailable],
    // The response must not show what happened to the user.
    &[Reason::GrantRevoked, Reason::RevokedSecurityEvent],
    // The response must not show the state of the grant to the sender of a forged token.
    &[Reason::RefreshUnknown, Reason::RefreshForged],
];

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the page is a file, and whether to write it is asked in the environment"
)]
fn the_page_is_current() {
    let page = troubleshooting();
    if std::env::var("GRANTCORE_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(PAGE, &page).unwrap();
    }
    let stored = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differs = stored.lines().zip(page.lines()).position(|(stored, page)| stored != page);
    let line = differs.unwrap_or_else(|| stored.lines().count().min(page.lines().count())) + 1;
    assert!(
        stored == page,
        "docs/troubleshooting.md is not current from line {line} on. Generate it with\n\n    \
         GRANTCORE_BLESS=1 cargo test -p grantcore --test troubleshooting\n\n\
         and review the change."
    );
}

/// Returns the part of the page from this anchor to the next.
fn entry<'a>(page: &'a str, anchor: &str) -> &'a str {
    let start = format!("<a id=\"{anchor}\"></a>\n");
    let parts: Vec<_> = page.split(&*start).collect();
    assert_eq!(parts.len(), 2, "{anchor} must have exactly one anchor");
    parts[1].split("<a id=").next().unwrap()
}

/// Returns the name of an endpoint in an entry.
fn place(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Authorization => "the authorization page",
        Endpoint::Token => "the token endpoint",
        Endpoint::Revocation => "the revocation endpoint",
        Endpoint::Introspection => "the introspection endpoint",
        Endpoint::Registration => "the registration endpoint",
        Endpoint::Management => "the endpoint of a registration",
        Endpoint::Resource => "a protected resource",
        Endpoint::Operator => "an administrative call",
        _ => panic!("{endpoint:?} has no place"),
    }
}

#[test]
fn every_reason_has_one_complete_entry() {
    let page = troubleshooting();
    for reason in Reason::ALL {
        let entry = entry(&page, reason.name());
        for text in [reason.description(), reason.cause(), reason.fix(), reason.section()] {
            assert!(entry.contains(text), "{reason:?} lacks {text:?} in {entry}");
        }
        for endpoint in reason.endpoints() {
            let code = reason.code(*endpoint).map_or("no error", ErrorCode::as_str);
            let status = reason.status(*endpoint).to_string();
            for text in [code, &*status, place(*endpoint)] {
                assert!(entry.contains(text), "{reason:?} at {endpoint:?} in {entry}");
            }
        }
        let redirect = entry.contains("in the redirect");
        let page = entry.contains("on the authorization page");
        assert_eq!(page, reason.endpoints().contains(&Endpoint::Authorization), "{reason:?}");
        assert_eq!(redirect, reason.is_redirectable(), "{reason:?}");
    }
}

#[test]
fn every_link_leads_somewhere_and_every_entry_is_linked() {
    let page = troubleshooting();
    let targets: Vec<_> =
        page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    for target in &targets {
        entry(&page, target);
    }
    for reason in Reason::ALL {
        assert!(targets.contains(&reason.name()), "no chapter leads to {reason:?}");
    }
}

#[test]
fn only_the_listed_reasons_have_equal_responses() {
    let group = |reason: &Reason| ALIKE.iter().position(|group| group.contains(reason));
    let page = troubleshooting();
    let mut seen: BTreeMap<_, Vec<&Reason>> = BTreeMap::new();
    for reason in Reason::ALL {
        for endpoint in reason.endpoints() {
            let response = (
                format!("{endpoint:?}"),
                reason.status(*endpoint),
                reason.code(*endpoint).map(ErrorCode::as_str),
                reason.description(),
            );
            seen.entry(response).or_default().push(reason);
        }
    }
    let mut alike = vec![Vec::new(); ALIKE.len()];
    for (response, reasons) in seen.iter().filter(|(_, reasons)| reasons.len() > 1) {
        let wanted =
            group(reasons[0]).unwrap_or_else(|| panic!("{reasons:?} all have {response:?}"));
        assert!(
            reasons.iter().all(|reason| group(reason) == Some(wanted)),
            "{reasons:?} all have {response:?}"
        );
        alike[wanted].extend(reasons);
        for reason in reasons {
            let entry = entry(&page, reason.name());
            assert!(
                reasons.iter().all(|other| entry.contains(&format!("`{}`", other.name()))),
                "{entry}"
            );
        }
    }
    for (listed, alike) in ALIKE.iter().zip(alike) {
        assert!(
            listed.iter().all(|reason| alike.contains(&reason)),
            "{listed:?} do not have equal responses any more"
        );
    }
}

/// The defaults on the page are those of the policy.
#[test]
fn lifetimes_and_limits_are_the_defaults() {
    let policy = Policy::builder("https://auth.example")
        .scope("read", "Read")
        .resource("https://mcp.example", "read");
    let policy = policy.build().unwrap();
    let lifetimes = policy.lifetimes();
    let limits = policy.limits();
    let page = troubleshooting();
    let says = |text: String| assert!(page.contains(&text), "the page does not say {text:?}");
    let minutes = |time: Duration| time.as_secs() / 60;
    let hours = |time: Duration| time.as_secs() / 3600;
    says(format!("A consent page is valid for {} minutes", minutes(lifetimes.consent())));
    says(format!("the code is too old ({} minutes)", minutes(lifetimes.code())));
    says(format!("An access token lives for {} hour.", hours(lifetimes.access())));
    says(format!("silence for {} days", hours(lifetimes.refresh_idle()) / 24));
    says(format!("Refreshes for {} days", hours(lifetimes.refresh_absolute().unwrap()) / 24));
    says(format!("forgotten after {} hours", hours(lifetimes.unused_client())));
    says(format!("admits {} requests by one `client_id`", limits.token_requests_per_minute()));
    says(format!("and {} failed authentications", limits.failed_authentications_per_minute()));
    says(format!("{} registrations from one source", limits.registrations_per_minute()));
    says(format!("and {} from all together, updates", limits.all_registrations_per_minute()));
    says(format!("documents it reads {} from all together", limits.all_documents_per_minute()));
    says(format!("{} consent pages for one user", limits.consent_pages_per_minute()));
}
