//! Tests of the error table: its texts, and the code and status of each reason at each endpoint.
//! `reasons_reached.rs` shows that each row can happen.

use std::collections::BTreeSet;

use grantcore::Reason;
use grantcore::reason::{Endpoint, ErrorCode};

/// The expected table: endpoint, name, public code, status. The endpoints are authorization (A),
/// token (T), revocation (V), introspection (I), a protected resource (R), registration (G), the
/// endpoint of a registration (M) and the operator's calls (O). The status at A is that of the
/// page.
const GOLDEN: &str = "
A method_not_allowed invalid_request 405
T method_not_allowed invalid_request 405
A request_too_large invalid_request 400
T request_too_large invalid_request 413
A request_undecodable invalid_request 400
T request_undecodable invalid_request 400
A parameter_repeated invalid_request 400
T parameter_repeated invalid_request 400
A storage_unavailable temporarily_unavailable 503
T storage_unavailable temporarily_unavailable 503
R storage_unavailable temporarily_unavailable 503
A contended temporarily_unavailable 503
T contended temporarily_unavailable 503
A client_id_missing invalid_request 400
T client_id_missing invalid_request 400
A client_id_repeated invalid_request 400
A client_unknown invalid_client 400
T client_unknown invalid_client 401
A client_deactivated invalid_client 400
T client_deactivated invalid_client 401
R client_deactivated invalid_token 401
A cimd_denied invalid_client 400
T cimd_denied invalid_client 401
V cimd_denied invalid_client 401
I cimd_denied invalid_client 401
R cimd_denied invalid_token 401
A redirect_host_denied invalid_request 400
G redirect_host_denied invalid_redirect_uri 400
M redirect_host_denied invalid_redirect_uri 400
A redirect_uri_missing invalid_request 400
A redirect_uri_repeated invalid_request 400
A redirect_uri_mismatch invalid_request 400
A redirect_uri_forbidden invalid_request 400
A request_object request_not_supported 400
A request_uri request_uri_not_supported 400
A response_type_missing invalid_request 400
A response_type_unsupported unsupported_response_type 400
A code_flow_unauthorized unauthorized_client 400
A response_mode_unsupported invalid_request 400
A pkce_missing invalid_request 400
A pkce_method_missing invalid_request 400
A pkce_method invalid_request 400
A pkce_malformed invalid_request 400
A pkce_challenge_reused invalid_request 400
A scope_missing invalid_scope 400
A scope_malformed invalid_scope 400
T scope_malformed invalid_scope 400
A scope_unknown invalid_scope 400
T scope_unknown invalid_scope 400
A scope_forbidden invalid_scope 400
T scope_forbidden invalid_scope 400
A resource_malformed invalid_target 400
T resource_malformed invalid_target 400
A resource_unknown invalid_target 400
T resource_unknown invalid_target 400
A resource_tenants_mixed invalid_target 400
T resource_tenants_mixed invalid_target 400
A resource_missing invalid_target 400
T resource_missing invalid_target 400
T cimd_busy temporarily_unavailable 503
T keys_unreachable temporarily_unavailable 503
T account_link_unavailable temporarily_unavailable 503
T assertion_missing invalid_request 400
T assertion_malformed invalid_grant 400
T assertion_typ invalid_grant 400
T assertion_algorithm invalid_grant 400
T assertion_key invalid_grant 400
T assertion_signature invalid_grant 400
T assertion_issuer invalid_grant 400
T assertion_subject invalid_grant 400
T assertion_audience invalid_grant 400
T assertion_expired invalid_grant 400
T assertion_early invalid_grant 400
T assertion_long_lived invalid_grant 400
T assertion_jti invalid_grant 400
T assertion_claim invalid_grant 400
T assertion_replayed invalid_grant 400
T assertion_account_unknown invalid_grant 400
T assertion_unmapped invalid_grant 400
T assertion_scope invalid_scope 400
A prompt_contradiction invalid_request 400
A max_age_malformed invalid_request 400
A login_required login_required 400
A login_choice_required account_selection_required 400
A login_interaction_required interaction_required 400
A login_class_unmet unmet_authentication_requirements 400
A consent_required consent_required 400
A account_suspended access_denied 400
T account_suspended invalid_grant 400
R account_suspended invalid_token 401
A access_denied access_denied 400
A consent_ticket_missing invalid_request 400
A consent_ticket_unknown invalid_request 400
A consent_session_mismatch invalid_request 400
A consent_login_older invalid_request 400
A consent_nonce_expired consent_expired 400
A consent_used consent_used 400
A consent_end_passed invalid_request 400
A consent_scope invalid_scope 400
A content_type invalid_request 400
T content_type invalid_request 400
T secret_in_url invalid_request 400
T several_authentications invalid_request 400
T client_credentials_malformed invalid_client 401
T client_secret_missing invalid_client 401
T client_secret_wrong invalid_client 401
T client_secret_retired invalid_client 401
T client_secret_unexpected invalid_client 401
T client_method_mismatch invalid_client 401
T client_federated invalid_client 401
V client_federated invalid_client 401
I client_federated invalid_client 401
T rate_limited too_many_requests 429
T authentications_throttled too_many_requests 429
T grant_type_missing invalid_request 400
T grant_type_unsupported unsupported_grant_type 400
T grant_type_unauthorized unauthorized_client 400
T code_missing invalid_request 400
T code_unknown invalid_grant 400
T code_expired invalid_grant 400
T code_reused invalid_grant 400
T code_client_mismatch invalid_grant 400
T token_redirect_uri_missing invalid_grant 400
T token_redirect_uri_mismatch invalid_grant 400
T pkce_verifier_missing invalid_request 400
T pkce_verifier_malformed invalid_grant 400
T pkce_mismatch invalid_grant 400
T pkce_verifier_is_challenge invalid_grant 400
T refresh_token_missing invalid_request 400
T refresh_unknown invalid_grant 400
T refresh_forged invalid_grant 400
T refresh_client_mismatch invalid_grant 400
T refresh_idle_expired invalid_grant 400
T refresh_absolute_expired invalid_grant 400
T refresh_reused invalid_grant 400
T refresh_superseded invalid_grant 400
T grant_revoked invalid_grant 400
T grant_ended invalid_grant 400
T grant_ended_by_host invalid_grant 400
T grant_superseded invalid_grant 400
T scope_beyond_grant invalid_scope 400
T resource_beyond_grant invalid_target 400
V revocation_off access_denied 403
V revocation_token_missing invalid_request 400
V revocation_client_mismatch invalid_grant 400
R token_missing - 401
R bearer_malformed invalid_request 400
R token_unknown invalid_token 401
R token_expired invalid_token 401
R token_revoked invalid_token 401
R audience_mismatch invalid_token 401
R principal_mismatch access_denied 403
R login_insufficient insufficient_user_authentication 401
R scope_insufficient insufficient_scope 403
A cimd_client_id invalid_client 400
A cimd_unreachable invalid_client 400
A consent_pages_limited too_many_requests 429
A cimd_busy temporarily_unavailable 503
A cimd_invalid invalid_client 400
A cimd_metadata invalid_client 400
A document_no_common_method unauthorized_client 400
G method_not_allowed invalid_request 405
G request_too_large invalid_request 413
G storage_unavailable temporarily_unavailable 503
G registration_off access_denied 403
G initial_token_missing - 401
G initial_token_wrong invalid_token 401
G registration_limited too_many_requests 429
G metadata_not_json invalid_client_metadata 400
G redirect_uris_missing invalid_redirect_uri 400
G redirect_uris_too_many invalid_redirect_uri 400
G registered_uri_long invalid_redirect_uri 400
G registered_uri_character invalid_redirect_uri 400
G registered_uri_relative invalid_redirect_uri 400
G registered_uri_fragment invalid_redirect_uri 400
G registered_uri_userinfo invalid_redirect_uri 400
G registered_uri_forbidden invalid_redirect_uri 400
G registered_uri_private_use invalid_redirect_uri 400
G registered_uri_insecure invalid_redirect_uri 400
G registered_uri_host invalid_redirect_uri 400
G registered_uri_wildcard invalid_redirect_uri 400
G registered_uri_reserved invalid_redirect_uri 400
G registered_uri_port invalid_redirect_uri 400
G registered_uri_loopback invalid_redirect_uri 400
G metadata_redirect_uris invalid_client_metadata 400
G metadata_auth_method invalid_client_metadata 400
G metadata_grant_types invalid_client_metadata 400
G metadata_response_types invalid_client_metadata 400
G metadata_scope invalid_client_metadata 400
G metadata_keys invalid_client_metadata 400
V keys_unreachable temporarily_unavailable 503
I keys_unreachable temporarily_unavailable 503
T client_assertion_incomplete invalid_request 400
V client_assertion_incomplete invalid_request 400
I client_assertion_incomplete invalid_request 400
T client_assertion_client invalid_request 400
V client_assertion_client invalid_request 400
I client_assertion_client invalid_request 400
T client_assertion_missing invalid_client 401
V client_assertion_missing invalid_client 401
I client_assertion_missing invalid_client 401
T client_assertion_type invalid_client 401
V client_assertion_type invalid_client 401
I client_assertion_type invalid_client 401
T client_assertion_unexpected invalid_client 401
V client_assertion_unexpected invalid_client 401
I client_assertion_unexpected invalid_client 401
T client_assertion_malformed invalid_client 401
V client_assertion_malformed invalid_client 401
I client_assertion_malformed invalid_client 401
T client_assertion_typ invalid_client 401
V client_assertion_typ invalid_client 401
I client_assertion_typ invalid_client 401
T client_assertion_algorithm invalid_client 401
V client_assertion_algorithm invalid_client 401
I client_assertion_algorithm invalid_client 401
T client_assertion_key invalid_client 401
V client_assertion_key invalid_client 401
I client_assertion_key invalid_client 401
T client_assertion_signature invalid_client 401
V client_assertion_signature invalid_client 401
I client_assertion_signature invalid_client 401
T client_assertion_issuer invalid_client 401
V client_assertion_issuer invalid_client 401
I client_assertion_issuer invalid_client 401
T client_assertion_subject invalid_client 401
V client_assertion_subject invalid_client 401
I client_assertion_subject invalid_client 401
T client_assertion_audience invalid_client 401
V client_assertion_audience invalid_client 401
I client_assertion_audience invalid_client 401
T client_assertion_expired invalid_client 401
V client_assertion_expired invalid_client 401
I client_assertion_expired invalid_client 401
T client_assertion_early invalid_client 401
V client_assertion_early invalid_client 401
I client_assertion_early invalid_client 401
T client_assertion_long_lived invalid_client 401
V client_assertion_long_lived invalid_client 401
I client_assertion_long_lived invalid_client 401
T client_assertion_jti invalid_client 401
V client_assertion_jti invalid_client 401
I client_assertion_jti invalid_client 401
T client_assertion_replayed invalid_client 401
V client_assertion_replayed invalid_client 401
I client_assertion_replayed invalid_client 401
T client_proof_dropped invalid_grant 400
V client_proof_dropped invalid_grant 400
M method_not_allowed invalid_request 405
M request_too_large invalid_request 413
M registration_off access_denied 403
M registration_limited too_many_requests 429
M management_token_missing - 401
M management_token_wrong invalid_token 401
M metadata_client_id invalid_client_metadata 400
M metadata_read_only invalid_client_metadata 400
M metadata_secret invalid_client_metadata 400
A owner_suspended access_denied 400
T owner_suspended invalid_grant 400
R owner_suspended invalid_token 401
T audit_unavailable temporarily_unavailable 503
T revoked_security_event invalid_grant 400
I introspection_off access_denied 403
I introspection_unauthenticated invalid_client 401
I introspection_unauthorized unauthorized_client 400
I introspection_token_missing invalid_request 400
R account_forbidden access_denied 403
R insufficient_balance insufficient_balance 402
O connection_unknown invalid_request 404
O client_secret_none invalid_request 400
O narrowing_beyond_grant invalid_request 400
O narrowing_empty invalid_request 400
V method_not_allowed invalid_request 405
I method_not_allowed invalid_request 405
V request_too_large invalid_request 413
I request_too_large invalid_request 413
V request_undecodable invalid_request 400
I request_undecodable invalid_request 400
V content_type invalid_request 400
I content_type invalid_request 400
V parameter_repeated invalid_request 400
I parameter_repeated invalid_request 400
V client_id_missing invalid_request 400
I client_id_missing invalid_request 400
V secret_in_url invalid_request 400
I secret_in_url invalid_request 400
V several_authentications invalid_request 400
I several_authentications invalid_request 400
V storage_unavailable temporarily_unavailable 503
I storage_unavailable temporarily_unavailable 503
M storage_unavailable temporarily_unavailable 503
O storage_unavailable temporarily_unavailable 503
V contended temporarily_unavailable 503
G contended temporarily_unavailable 503
M contended temporarily_unavailable 503
O contended temporarily_unavailable 503
A audit_unavailable temporarily_unavailable 503
V audit_unavailable temporarily_unavailable 503
I audit_unavailable temporarily_unavailable 503
G audit_unavailable temporarily_unavailable 503
M audit_unavailable temporarily_unavailable 503
R audit_unavailable temporarily_unavailable 503
O audit_unavailable temporarily_unavailable 503
A entropy_unavailable temporarily_unavailable 503
T entropy_unavailable temporarily_unavailable 503
V entropy_unavailable temporarily_unavailable 503
I entropy_unavailable temporarily_unavailable 503
G entropy_unavailable temporarily_unavailable 503
M entropy_unavailable temporarily_unavailable 503
R entropy_unavailable temporarily_unavailable 503
O entropy_unavailable temporarily_unavailable 503
V client_unknown invalid_client 401
I client_unknown invalid_client 401
V client_deactivated invalid_client 401
I client_deactivated invalid_client 401
V client_credentials_malformed invalid_client 401
I client_credentials_malformed invalid_client 401
V client_secret_missing invalid_client 401
I client_secret_missing invalid_client 401
V client_secret_wrong invalid_client 401
I client_secret_wrong invalid_client 401
V client_secret_retired invalid_client 401
I client_secret_retired invalid_client 401
V client_secret_unexpected invalid_client 401
I client_secret_unexpected invalid_client 401
V client_method_mismatch invalid_client 401
I client_method_mismatch invalid_client 401
O client_unknown invalid_client 400
V authentications_throttled too_many_requests 429
I authentications_throttled too_many_requests 429
M metadata_not_json invalid_client_metadata 400
M redirect_uris_missing invalid_redirect_uri 400
M redirect_uris_too_many invalid_redirect_uri 400
M registered_uri_long invalid_redirect_uri 400
M registered_uri_character invalid_redirect_uri 400
M registered_uri_relative invalid_redirect_uri 400
M registered_uri_fragment invalid_redirect_uri 400
M registered_uri_userinfo invalid_redirect_uri 400
M registered_uri_forbidden invalid_redirect_uri 400
M registered_uri_private_use invalid_redirect_uri 400
M registered_uri_insecure invalid_redirect_uri 400
M registered_uri_host invalid_redirect_uri 400
M registered_uri_wildcard invalid_redirect_uri 400
M registered_uri_reserved invalid_redirect_uri 400
M registered_uri_port invalid_redirect_uri 400
M registered_uri_loopback invalid_redirect_uri 400
M metadata_redirect_uris invalid_client_metadata 400
M metadata_auth_method invalid_client_metadata 400
M metadata_grant_types invalid_client_metadata 400
M metadata_response_types invalid_client_metadata 400
M metadata_scope invalid_client_metadata 400
M metadata_keys invalid_client_metadata 400
";

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
