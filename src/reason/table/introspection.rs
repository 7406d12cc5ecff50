//! Rows of the introspection endpoint.

macro_rules! introspection_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Introspection {
        IntrospectionOff "introspection_off" {
            code: AccessDenied,
            section: "RFC 7662 §2",
            description: "Tokens cannot be introspected here.",
            cause: "The policy has no introspection endpoint.",
            fix: "Check tokens in process, or turn introspection on in the policy.",
        }
        IntrospectionCallerMissing "introspection_caller_missing" {
            code: InvalidClient,
            section: "RFC 7662 §2.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The request has no credentials of a resource server.",
            fix: "Send the client_id and the secret of the resource server, as its registration \
                says.",
        }
        IntrospectionUnauthenticated "introspection_unauthenticated" {
            code: InvalidClient,
            section: "RFC 7662 §2.1",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The request came from a public client, which cannot authenticate.",
            fix: "Give the resource server a client with a secret.",
        }
        IntrospectionUnauthorized "introspection_unauthorized" {
            code: UnauthorizedClient,
            section: "RFC 7662 §2.1",
            description: "The client may not introspect tokens.",
            cause: "The client authenticated, but the policy does not name it as a resource \
                server.",
            fix: "Name it in the policy's introspection rules, with its resource.",
        }
        IntrospectionTokenMissing "introspection_token_missing" {
            code: InvalidRequest,
            section: "RFC 7662 §2.1",
            description: "The token parameter is missing.",
            cause: "token was left out.",
            fix: "Send the access token that the resource was called with.",
        }
    }

    } };
}

pub(super) use introspection_rows;
