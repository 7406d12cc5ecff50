//! Tests of the error table: its texts, and the code and status of each reason at each endpoint.
//! `reasons_reached.rs` shows that each row can happen.

use std::collections::BTreeSet;

use grantcore::Reason;
use grantcore::reason::{Endpoint, ErrorCode};

/// The expected table: endpoint, name, public code, status. The endpoints are authorization (A),
/// token (T), revocation (V), introspection (I), a protected resource (R), registration (G), the
/// endpoint of a registration (M) and the operator's calls (O). The status at A is that of the
/// page.
const GOLDEN: &str = include_str!("../fixtures/reasons.txt");

fn by_name(name: &str) -> Reason {
    Reason::from_name(name).unwrap_or_else(|| panic!("no reason is named {name}"))
}

#[test]
fn token_19_each_reason_has_its_code_and_status_at_each_endpoint() {
    let mut listed = BTreeSet::new();
    for line in GOLDEN.lines().filter(|line| !line.is_empty()) {
        let [endpoint, name, code, status] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let endpoint = match endpoint {
            "A" => Endpoint::Authorization,
            "T" => Endpoint::Token,
            "V" => Endpoint::Revocation,
            "I" => Endpoint::Introspection,
            "G" => Endpoint::Registration,
            "M" => Endpoint::Management,
            "O" => Endpoint::Operator,
            _ => Endpoint::Resource,
        };
        let reason = by_name(name);
        assert!(reason.endpoints().contains(&endpoint), "{line}");
        let code = (code != "-").then(|| code.parse::<ErrorCode>().unwrap());
        let status = status.parse().unwrap();
        assert_eq!((reason.code(endpoint), reason.status(endpoint)), (code, status), "{line}");
        assert!(listed.insert((reason.name(), format!("{endpoint:?}"))), "{line} is there twice");
    }
    let all = Reason::ALL.iter().flat_map(|reason| {
        reason.endpoints().iter().map(|endpoint| (reason.name(), format!("{endpoint:?}")))
    });
    assert_eq!(listed, all.collect());
}

#[test]
fn token_19_names_and_codes_are_parsed_back() {
    for reason in Reason::ALL {
        assert_eq!(reason.to_string(), reason.name());
        assert_eq!((reason.as_ref(), reason.name().parse()), (reason.name(), Ok(*reason)));
    }
    for code in ErrorCode::ALL {
        assert_eq!(code.to_string(), code.as_str());
        assert_eq!((code.as_ref(), code.as_str().parse()), (code.as_str(), Ok(*code)));
    }
    for other in ["", "Invalid_grant", "invalid_grant ", "none"] {
        assert_eq!((Reason::from_name(other), ErrorCode::from_name(other)), (None, None));
        let error = other.parse::<ErrorCode>().unwrap_err();
        assert_eq!(error.to_string(), "the text is not the name of an error code");
    }
}

#[test]
fn token_19_names_are_unique_and_in_snake_case() {
    let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    for name in names {
        let snake = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(
            snake && !name.starts_with('_') && !name.ends_with('_') && !name.contains("__"),
            "{name}"
        );
    }
}

#[test]
fn token_18_descriptions_have_allowed_characters_only() {
    for reason in Reason::ALL {
        let description = reason.description();
        assert!(
            description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{reason:?}: {description}"
        );
        let is_missing_token = matches!(
            reason,
            Reason::TokenMissing | Reason::InitialTokenMissing | Reason::ManagementTokenMissing
        );
        assert_eq!(
            description.is_empty(),
            is_missing_token,
            "{reason:?}: only a missing token is answered without words"
        );
    }
}

#[test]
fn token_19_the_operator_reads_a_cause_a_fix_and_a_section() {
    for reason in Reason::ALL {
        for sentence in [reason.cause(), reason.fix()] {
            assert!(
                sentence.len() > 3 && sentence.ends_with('.') && sentence.trim() == sentence,
                "{reason:?}: {sentence}"
            );
        }
        let section = reason.section();
        let named = [
            "OAuth 2.1 ",
            "RFC ",
            "CIMD, ",
            "OIDC Core ",
            "OIDC Registration ",
            "ID-JAG ",
            "MCP, ",
        ]
        .iter()
        .any(|source| section.starts_with(source));
        assert!(named, "{reason:?}: {section}");
    }
}

#[test]
fn token_14_every_failed_authentication_has_the_same_description() {
    let failures = [
        Reason::ClientUnknown,
        Reason::ClientDeactivated,
        Reason::CimdDenied,
        Reason::ClientSecretMissing,
        Reason::ClientSecretWrong,
        Reason::ClientSecretRetired,
        Reason::ClientSecretUnexpected,
        Reason::CredentialsMalformed,
    ];
    for reason in failures {
        let forms = [Endpoint::Token, Endpoint::Revocation, Endpoint::Introspection];
        for endpoint in [Endpoint::Authorization].into_iter().chain(forms) {
            let description = |reason: Reason| {
                (reason.description(), reason.code(endpoint), reason.status(endpoint))
            };
            assert_eq!(description(reason), description(failures[0]), "{reason:?}");
        }
    }
    let throttled =
        [Reason::RateLimited, Reason::AuthenticationsThrottled].map(Reason::description);
    assert_eq!(throttled[0], throttled[1], "or it would tell that someone is guessing");
}

#[test]
fn code_05_refresh_03_and_host_12_are_the_only_reasons_that_revoke() {
    let revoking: Vec<_> = Reason::ALL.iter().filter(|reason| reason.revokes()).collect();
    assert_eq!(revoking, [&Reason::CodeReused, &Reason::RefreshReused, &Reason::GrantEndedByHost]);
}
