//! Rows of client authentication and of the limits on what clients send.

macro_rules! authentication_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Token {
        RateLimited "rate_limited" {
            code: TooManyRequests,
            section: "RFC 6585 §4",
            description: "Too many requests by this client. Wait for the time in Retry-After.",
            cause: "The client sent more token requests in a minute than the policy allows.",
            fix: "Look for a retry storm in the client: usually a refresh loop without backoff.",
        }
    }

    at Token, Revocation {
        ClientProofDropped "client_proof_dropped" {
            code: InvalidGrant,
            section: "CIMD, Client Authentication",
            description: "The client has proved itself with a key for this grant, and must do so \
                again. Authorize again.",
            cause: "A client that may act without proof gave up the proof that it had given for \
                this grant, or gave a weaker one: an assertion for the token endpoint after one for \
                the issuer. The sender may have stolen the token. Nothing was changed.",
            fix: "Have the client prove itself by an assertion whose aud is the issuer, or authorize \
                again.",
        }
    }

    at Token, Revocation, Introspection {
        SecretInUrl "secret_in_url" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.4.1",
            description: "Credentials must not be in the URL. Send them in the body.",
            cause: "A secret, code, token or verifier is in the query, where logs and histories \
                keep it.",
            fix: "Send the parameters in the body. Treat the value that was sent as compromised.",
        }
        SeveralAuthentications "several_authentications" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.4",
            description: "The client authenticates in more than one way.",
            cause: "A secret is in both header and body, or beside an assertion; header and body \
                name different clients; or the header is repeated.",
            fix: "Use one of client_secret_basic, client_secret_post and private_key_jwt.",
        }
        CredentialsMalformed "client_credentials_malformed" {
            code: InvalidClient,
            section: "RFC 6749 §2.3.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The Authorization header is not Basic, or its value is not the base64 of a \
                form-encoded id and secret with a colon between them.",
            fix: "Form-encode id and secret, join them with a colon, and encode the result as \
                base64.",
        }
        ClientSecretMissing "client_secret_missing" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "A confidential client sent no secret.",
            fix: "Send the secret by the registered method.",
        }
        ClientSecretWrong "client_secret_wrong" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The secret is not the one of this client.",
            fix: "Correct the secret, or register the client again.",
        }
        ClientSecretRetired "client_secret_retired" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The secret was replaced, and the time is over in which the former one was \
                accepted too.",
            fix: "Give the client the new secret. The event names the client.",
        }
        ClientSecretUnexpected "client_secret_unexpected" {
            code: InvalidClient,
            section: "OAuth 2.1 §2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "A client registered without a secret sent one.",
            fix: "Send client_id only, or register a confidential client.",
        }
        ClientFederated "client_federated" {
            code: InvalidClient,
            section: "OAuth 2.1 §2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "A client without a credential of its own was named alone. Only a workload proves \
                itself for it.",
            fix: "Send what the workload's platform signed, or register a client with a secret.",
        }
        ClientAssertionIncomplete "client_assertion_incomplete" {
            code: InvalidRequest,
            section: "RFC 7521 §4.2",
            description: "client_assertion and client_assertion_type belong together.",
            cause: "One of client_assertion and client_assertion_type was sent without the other.",
            fix: "Have the client send both.",
        }
        ClientAssertionClient "client_assertion_client" {
            code: InvalidRequest,
            section: "RFC 7521 §4.2",
            description: "client_id and the sub of the client_assertion differ.",
            cause: "The client_id of the request is not the sub of the assertion.",
            fix: "Have the client leave client_id out, or send the same.",
        }
        ClientAssertionMissing "client_assertion_missing" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "A client that proves itself with a key sent no assertion.",
            fix: "Have the client send client_assertion and client_assertion_type.",
        }
        ClientAssertionType "client_assertion_type" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client_assertion_type is not that of a JWT.",
            fix: "Send urn:ietf:params:oauth:client-assertion-type:jwt-bearer, in this letter case.",
        }
        ClientAssertionUnexpected "client_assertion_unexpected" {
            code: InvalidClient,
            section: "OAuth 2.1 §2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "A client sent an assertion that is not registered for private_key_jwt.",
            fix: "Register the client with keys, or have it use its registered method.",
        }
        ClientAssertionMalformed "client_assertion_malformed" {
            code: InvalidClient,
            section: "RFC 7515 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client assertion is not a JWT in the compact form, or a member of it has a wrong \
                type or size.",
            fix: "Have the client send what its JWT library makes, unchanged.",
        }
        ClientAssertionTyp "client_assertion_typ" {
            code: InvalidClient,
            section: "RFC 8725 §3.11",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The typ of the client assertion is that of another kind of token.",
            fix: "Have the client set typ to client-authentication+jwt, or to JWT unless the policy \
                requires the type.",
        }
        ClientAssertionAlgorithm "client_assertion_algorithm" {
            code: InvalidClient,
            section: "RFC 8725 §3.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client assertion is signed by an algorithm that the policy or the client does \
                not name, or that its key does not have.",
            fix: "Compare alg with token_endpoint_auth_signing_alg_values_supported, and with the \
                alg of the key.",
        }
        ClientAssertionKey "client_assertion_key" {
            code: InvalidClient,
            section: "RFC 7517 §4.5",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "No key of the client fits the client assertion, or more than one does.",
            fix: "Look for the kid of the assertion in the jwks of the client, or at its jwks_uri.",
        }
        ClientAssertionSignature "client_assertion_signature" {
            code: InvalidClient,
            section: "RFC 8725 §3.3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The signature of the client assertion is wrong.",
            fix: "Look for a key that was replaced under the same kid. If this recurs, somebody \
                pretends to be the client.",
        }
        ClientAssertionIssuer "client_assertion_issuer" {
            code: InvalidClient,
            section: "RFC 7523 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The iss of the client assertion is not the client_id.",
            fix: "Have the client set iss to its client_id, byte for byte.",
        }
        ClientAssertionSubject "client_assertion_subject" {
            code: InvalidClient,
            section: "RFC 7523 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The sub of the client assertion is not the client_id.",
            fix: "Have the client set sub to its client_id, byte for byte.",
        }
        ClientAssertionAudience "client_assertion_audience" {
            code: InvalidClient,
            section: "RFC 7523 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The aud of the client assertion is not this issuer alone.",
            fix: "Have the client set aud to the issuer, and to nothing else.",
        }
        ClientAssertionExpired "client_assertion_expired" {
            code: InvalidClient,
            section: "RFC 7519 §4.1.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client assertion has no exp, or has expired.",
            fix: "Have the client make an assertion for each request, and compare the clocks.",
        }
        ClientAssertionEarly "client_assertion_early" {
            code: InvalidClient,
            section: "RFC 7519 §4.1.5",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The nbf or iat of the client assertion is ahead.",
            fix: "Compare the clocks. KeyRules::with_leeway admits a small difference.",
        }
        ClientAssertionLongLived "client_assertion_long_lived" {
            code: InvalidClient,
            section: "RFC 7523 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The exp of the client assertion is too far ahead.",
            fix: "Have the client set exp a few minutes ahead.",
        }
        ClientAssertionJti "client_assertion_jti" {
            code: InvalidClient,
            section: "RFC 7519 §4.1.7",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client assertion has no jti, or one that is too long or no string.",
            fix: "Have the client set jti to a random string, another one for each assertion.",
        }
        ClientAssertionReplayed "client_assertion_replayed" {
            code: InvalidClient,
            section: "RFC 7523 §3",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client assertion was used before. The event names the first request.",
            fix: "Have the client make a new assertion for every try, also after a lost response. \
                Otherwise somebody has caught the assertion.",
        }
        ClientMethodMismatch "client_method_mismatch" {
            code: InvalidClient,
            section: "RFC 7591 §2",
            description: "The client_secret is right, but it came by another method than the \
                registered token_endpoint_auth_method.",
            cause: "The right secret came by another method than the registered one.",
            fix: "Use the registered token_endpoint_auth_method, or set lenient_on_method in the \
                policy.",
        }
        AuthenticationsThrottled "authentications_throttled" {
            code: TooManyRequests,
            section: "OAuth 2.1 §2.4.1",
            description: "Too many requests by this client. Wait for the time in Retry-After.",
            cause: "Authentication for this client failed too often in a minute. Someone may be \
                guessing its secret.",
            fix: "Wait. If this recurs, find out who sends these requests, and change the secret.",
        }
    }

    } };
}

pub(super) use authentication_rows;
