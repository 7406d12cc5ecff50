//! Tests of the requirements. The name of a test begins with its requirement. All tests use the
//! public API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../support/key_sets.rs"]
mod key_sets;
#[path = "../support/mod.rs"]
mod support;

mod assert_account;
mod assert_claims;
mod assert_client;
mod assert_issuers;
mod assert_keys;
mod assert_order;
mod assert_token;
mod assert_workload;
mod audit;
mod audit_json;
mod audit_line;
mod audit_log;
mod authz;
mod authz_errors;
mod authz_order;
mod bounds;
mod client_bounds;
mod client_ceiling;
mod client_crowd;
mod client_descriptions;
mod client_document_contents;
mod client_documents;
mod client_documents_kept;
mod client_documents_races;
mod client_errors;
mod client_identity;
mod client_life;
mod client_manage;
mod client_metadata;
mod client_races;
mod client_register;
mod client_register_form;
mod client_renewal;
mod client_restrictions;
mod client_returns;
mod client_secrets;
mod client_status;
mod client_stored;
mod client_types;
mod client_update;
mod clientpolicy_ceiling;
mod clientpolicy_domains;
mod clientpolicy_lifetimes;
mod clientpolicy_mcp;
mod clientpolicy_metadata;
mod clientpolicy_redirects;
mod clientpolicy_scopes;
mod clock;
mod code;
mod connected;
mod connected_administrator;
mod consent;
mod consent_page;
mod consent_ticket;
mod descriptions;
mod edges;
mod host_hints;
mod host_judgment;
mod host_judgment_faces;
mod host_login;
mod host_memory;
mod host_narrow;
mod host_prompt;
mod host_properties;
mod host_remember;
mod host_step_up;
mod host_supersede;
mod host_until;
mod i44;
mod i48;
mod i48_parallel;
mod introspect;
mod invariants_challenge;
mod invariants_family;
mod invariants_liveness;
mod invariants_redirect;
mod invariants_secrets;
mod jws_cache;
mod jws_claims;
mod jws_compact;
mod jws_key_sets;
#[cfg(feature = "jws")]
mod jws_verify;
#[cfg(feature = "jws")]
mod jws_wycheproof;
mod keys;
mod keys_assertion;
mod keys_claims;
mod keys_endpoints;
mod keys_entrances;
mod keys_fetch;
mod keys_newer_document;
mod keys_proof;
mod keys_secrets;
mod keys_signature;
mod keys_strength;
mod machine;
mod machine_reach;
mod machine_records;
mod metadata;
mod metadata_paths;
mod needs;
mod pkce;
mod policy_errors;
mod policy_refusals;
mod rate;
mod rate_keys;
mod rate_window;
mod reasons;
mod reasons_assertions;
mod reasons_clients;
mod reasons_faces;
mod reasons_forms;
mod reasons_keys;
mod reasons_logins;
mod reasons_machines;
mod reasons_reached;
mod reasons_running;
mod redirect_uri;
mod redirect_uri_properties;
mod redirect_uri_registered;
mod redirect_uri_stored;
mod redirect_uri_wire;
mod refresh;
mod refresh_replay;
mod refresh_window;
mod resource_server;
mod resource_server_balance;
mod resource_server_challenge;
mod resource_server_options;
mod revoke;
mod scope_of_resource;
mod seed_balance;
mod seed_connected;
mod seed_consent;
mod seed_invalid_grant;
mod seed_invalid_token;
mod seed_rate_limit;
mod smoke;
mod store;
mod store_errors;
mod store_secrets;
mod tenant_isolation;
mod tenant_issuers;
mod tenant_resources;
mod tenant_templates;
mod token;
mod token_clients;
mod token_responses;
mod token_throttle;
mod user;
mod values;
