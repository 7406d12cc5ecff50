//! Rows of assertions as grants (RFC 7523 §2.1).

macro_rules! assertion_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Token, Revocation, Introspection {
        KeysUnreachable "keys_unreachable" {
            code: TemporarilyUnavailable,
            section: "RFC 7517 §5",
            description: "The keys that verify the assertion cannot be read at the moment. Try \
                again.",
            cause: "The key set of a client or of a trusted issuer could not be fetched, and none \
                that is recent enough is in hand.",
            fix: "Check that the URL of the key set answers 200 with a key set, and that this \
                server can reach it.",
        }
    }

    at Token {
        AssertionMissing "assertion_missing" {
            code: InvalidRequest,
            section: "RFC 7523 §2.1",
            description: "The assertion parameter is missing.",
            cause: "assertion was left out.",
            fix: "Send the assertion of the identity provider or platform.",
        }

        // One description for all faults: a response does not tell which issuers are trusted.
        AssertionMalformed "assertion_malformed" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The assertion is not one JWT in the compact form, a member of it has a wrong \
                type, or a date of it is no number.",
            fix: "Send the assertion unchanged. Correct what makes it.",
        }
        AssertionType "assertion_typ" {
            code: InvalidGrant,
            section: "RFC 8725 §3.11",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The typ of the assertion is that of another kind of token: an identity \
                provider's is oauth-id-jag+jwt, and a platform's is absent or JWT.",
            fix: "Send the identity assertion grant, not the ID token or an access token.",
        }
        AssertionAlgorithm "assertion_algorithm" {
            code: InvalidGrant,
            section: "RFC 8725 §3.1",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The algorithm of the assertion is not one that the policy has for its issuer, \
                or its key has another one.",
            fix: "Sign with an algorithm that TrustedIssuer::with_algorithms names.",
        }
        AssertionKey "assertion_key" {
            code: InvalidGrant,
            section: "RFC 7517 §4.5",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The key of the assertion is not among the keys of its issuer, or the \
                assertion names none and several fit.",
            fix: "Check where the policy takes the keys of the issuer from. After a rotation, the \
                new key is fetched within a minute.",
        }
        AssertionSignature "assertion_signature" {
            code: InvalidGrant,
            section: "RFC 7515 §5.2",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The signature of the assertion is not one of the issuer's key over these \
                bytes.",
            fix: "Send the assertion unchanged. If nobody changes it on the way, someone may be \
                forging assertions.",
        }
        AssertionIssuer "assertion_issuer" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The iss of the assertion is missing, or is no issuer that the policy trusts, \
                code point for code point.",
            fix: "Add the issuer with trusted_issuer() if it should be trusted.",
        }
        AssertionSubject "assertion_subject" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The sub of the assertion is missing, empty, no string or too long.",
            fix: "Correct what makes the assertion.",
        }
        AssertionAudience "assertion_audience" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The aud of the assertion is not exactly this server.",
            fix: "Ask the issuer for an assertion with this server's issuer as its only audience.",
        }
        AssertionExpired "assertion_expired" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The assertion has no exp, or is used after it.",
            fix: "Use an assertion at once. Compare the clocks of the issuer and of this server.",
        }
        AssertionEarly "assertion_early" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The nbf or the iat of the assertion is ahead.",
            fix: "Compare the clocks of the issuer and of this server.",
        }
        AssertionLongLived "assertion_long_lived" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The exp of the assertion is further ahead, or further from its iat, than the \
                policy accepts of its issuer.",
            fix: "Let the issuer sign for a shorter time, or raise TrustedIssuer::with_longest.",
        }
        AssertionJti "assertion_jti" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "The jti of the assertion is missing, empty, no string or too long.",
            fix: "Let the issuer add a jti. A platform that cannot is set to \
                AssertionReuse::UntilExpiry.",
        }
        AssertionClaim "assertion_claim" {
            code: InvalidGrant,
            section: "ID-JAG §4.4.1",
            description: "The assertion is not accepted. Get a new one from its issuer.",
            cause: "Another claim of the assertion is missing, cannot be honoured, or names \
                another client, tenant, resource or scope. The detail of the event names it.",
            fix: "Compare the named claim with what the policy has for the issuer.",
        }
        AssertionReplayed "assertion_replayed" {
            code: InvalidGrant,
            section: "RFC 7523 §3",
            description: "The assertion has been used before. Get a new one for each request.",
            cause: "The assertion was used by another request. The event names that request.",
            fix: "Get a new assertion for each request, also for one that is repeated. If the \
                client did so, someone may have stolen one.",
        }
        AssertionAccountUnknown "assertion_account_unknown" {
            code: InvalidGrant,
            section: "ID-JAG §6.3",
            description: "The user of the assertion has no account here.",
            cause: "The host knows no account of the user whom the identity provider names.",
            fix: "Create the account, or let the host create it when it is asked \
                (Outside::account).",
        }
        AssertionUnmapped "assertion_unmapped" {
            code: InvalidGrant,
            section: "MCP, Workload Identity Federation",
            description: "The program of the assertion is not one that this server knows.",
            cause: "No rule of the issuer fits the assertion, or its client is not on record, not \
                federated or deactivated.",
            fix: "Compare the claims with the rules of the issuer, and the rule with the client's \
                record.",
        }
        AssertionScope "assertion_scope" {
            code: InvalidScope,
            section: "ID-JAG §4.4.1",
            description: "Nothing is left of the requested scope.",
            cause: "The scope of the assertion, of the request, of the client and of the issuer's \
                ceiling have nothing in common.",
            fix: "Compare the four.",
        }
        AccountLinkUnavailable "account_link_unavailable" {
            code: TemporarilyUnavailable,
            section: "ID-JAG §6.3",
            description: "The account of the user cannot be found at the moment. Try again.",
            cause: "The host could not answer which account the user has (Outside::account).",
            fix: "Look for the failure in the host's own log.",
        }
    }

    } };
}

pub(super) use assertion_rows;
