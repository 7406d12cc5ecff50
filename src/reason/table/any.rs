//! Rows of what can happen at more than one endpoint.

macro_rules! any_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Authorization, Token, Revocation, Introspection, Registration, Management {
        MethodNotAllowed "method_not_allowed" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.1, §3.2",
            description: "This endpoint does not accept this request method.",
            cause: "The endpoint was called with a method that it does not support.",
            fix: "Use one of the methods in the Allow header of the response.",
        }
        RequestTooLarge "request_too_large" {
            code: InvalidRequest,
            section: "OAuth 2.1 §7.12",
            description: "The request is too large.",
            cause: "The query or body, the number of its parameters, or one value is over the \
                configured limit.",
            fix: "Shorten the request, most often its state parameter, or raise the limit in the \
                policy.",
        }
    }

    at Authorization, Token, Revocation, Introspection {
        ContentType "content_type" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.2.2",
            description: "The body must be application/x-www-form-urlencoded.",
            cause: "The request has another Content-Type, or none.",
            fix: "Send the parameters as a form body, not as JSON.",
        }
        RequestUndecodable "request_undecodable" {
            code: InvalidRequest,
            section: "OAuth 2.1 App. B",
            description: "The request is not form-encoded UTF-8.",
            cause: "A percent sign is not followed by two hexadecimal digits, or the decoded bytes \
                are not UTF-8.",
            fix: "Encode the parameters once, as application/x-www-form-urlencoded.",
        }
    }

    at Authorization, Token, Revocation, Introspection; also by redirect {
        ParameterRepeated "parameter_repeated" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.1, §3.2.4",
            description: "A parameter is included more than once.",
            cause: "A parameter other than resource occurs twice, so it is not clear which value \
                is meant.",
            fix: "Send each parameter once.",
        }
    }

    at Authorization, Token, Revocation, Introspection,
        Registration, Management, Resource, Operator; also by redirect {
        StorageUnavailable "storage_unavailable" {
            code: TemporarilyUnavailable,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The server cannot answer now. Try again later.",
            cause: "The store failed, or it is not known whether a write was made.",
            fix: "Look at the error that the store returned. The client should retry with backoff \
                and keep its tokens.",
        }
    }

    at Authorization, Token, Revocation, Introspection,
        Registration, Management, Resource, Operator {
        EntropyUnavailable "entropy_unavailable" {
            code: TemporarilyUnavailable,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The server cannot answer now. Try again later.",
            cause: "The source of randomness returned an error. Nothing was written.",
            fix: "Find out why the host's entropy source fails. The client should retry with \
                backoff and keep its tokens.",
        }
    }

    at Authorization, Token, Revocation, Registration, Management, Operator; also by redirect {
        Contended "contended" {
            code: TemporarilyUnavailable,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The server is busy with this grant. Try again.",
            cause: "Concurrent requests changed the same record at every attempt of this one.",
            fix: "The conflict is no sign of an attack, and nothing was revoked because of it. The \
                client should retry with backoff and keep its tokens.",
        }
    }

    at Authorization, Token, Revocation {
        ClientIdMissing "client_id_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.1.1, §3.2.1",
            description: "The client_id parameter is missing.",
            cause: "The request does not name its client.",
            fix: "Send client_id.",
        }
    }

    at Authorization, Token, Revocation, Introspection, Operator {
        ClientUnknown "client_unknown" {
            code: InvalidClient,
            section: "OAuth 2.1 §4.1.2.1, §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "No active client with this client_id exists.",
            fix: "Correct the client_id, or register the client again. A client of the operator is \
                added by the operator.",
        }
    }

    at Authorization, Token, Revocation, Introspection, Resource {
        ClientDeactivated "client_deactivated" {
            code: InvalidClient,
            section: "OAuth 2.1 §4.1.2.1, §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client exists but was deactivated by an administrator.",
            fix: "Reactivate the client, or register it again.",
        }
        CimdDenied "cimd_denied" {
            code: InvalidClient,
            section: "OAuth 2.1 §4.1.2.1, §3.2.4",
            description: "The client is unknown or its authentication failed. Register it again, or \
                ask the operator who registered it.",
            cause: "The client_id is the URL of a document at a domain that the policy denies or \
                does not allow. Nothing was fetched.",
            fix: "Allow the domain in DomainRules, or use a client of another domain.",
        }
    }

    at Authorization, Token, Resource; also by redirect {
        AccountSuspended "account_suspended" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.1.2.1, §4.3.1, §5.3.2",
            description: "The account behind this connection is not active. Contact support.",
            cause: "The user's account is suspended or does not exist.",
            fix: "Lift the suspension. Tokens that have not expired or been revoked then work \
                again.",
        }
        OwnerSuspended "owner_suspended" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.1.2.1, §4.3.1, §5.3.2",
            description: "The account behind this connection is not active. Contact support.",
            cause: "The account that owns the client is suspended or does not exist.",
            fix: "Lift the suspension. Tokens that have not expired or been revoked then work \
                again.",
        }
    }

    at Authorization, Token, Revocation, Introspection,
        Registration, Management, Resource, Operator {
        AuditUnavailable "audit_unavailable" {
            code: TemporarilyUnavailable,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The server cannot answer now. Try again later.",
            cause: "The audit log did not record this step, and the audit policy is fail_closed: \
                no response is sent without its event. What the step wrote stays written.",
            fix: "Find out why the audit log fails. The client should retry with backoff. With a \
                replay window in the policy, the retry of a refresh succeeds.",
        }
    }

    at Authorization, Token; also by redirect {
        ScopeForbidden "scope_forbidden" {
            code: InvalidScope,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The scope exceeds what the client is registered for.",
            cause: "A scope token is outside the scope in the client's registration, or nothing of the \
                grant's scope lies within what the operator lets the client have now. Some \
                applications register with the scope of their first challenge and ask for more \
                later.",
            fix: "Register the client again, without scope or with all that it will ask for. Or the \
                operator lets clients ask for more than they registered with: \
                PolicyBuilder::registered_scope, --registered-scope=default of the reference server.",
        }
        ScopeMalformed "scope_malformed" {
            code: InvalidScope,
            section: "OAuth 2.1 §1.4.1, App. A.4",
            description: "The scope is malformed.",
            cause: "A scope token contains a quote, a backslash or a character outside printable \
                ASCII, or there are more than 64 tokens.",
            fix: "Send scope tokens separated by spaces.",
        }
        ScopeUnknown "scope_unknown" {
            code: InvalidScope,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The scope names something this server does not know.",
            cause: "A scope token is not configured on this server.",
            fix: "Ask for the scopes in the metadata document's scopes_supported.",
        }
        ResourceMalformed "resource_malformed" {
            code: InvalidTarget,
            section: "RFC 8707 §2",
            description: "The resource is not an absolute URI without a fragment.",
            cause: "A resource parameter has no scheme, or has a fragment.",
            fix: "Send the resource exactly as its metadata document spells it.",
        }
        ResourceUnknown "resource_unknown" {
            code: InvalidTarget,
            section: "RFC 8707 §2",
            description: "The resource is not known to this server.",
            cause: "A resource parameter names something this server does not issue tokens for.",
            fix: "Send the resource exactly as its metadata document spells it.",
        }
        ResourceTenantsMixed "resource_tenants_mixed" {
            code: InvalidTarget,
            section: "RFC 8707 §2",
            description: "The request names two resources of which one grant can have one.",
            cause: "Two resource parameters are instances of one template, such as two tenants of \
                one service.",
            fix: "Send one request for each.",
        }
        ResourceMissing "resource_missing" {
            code: InvalidTarget,
            section: "RFC 8707 §2",
            description: "The resource parameter is missing.",
            cause: "resource was left out, although several resources are configured or the policy \
                requires the parameter.",
            fix: "Send the resource the token is for.",
        }
    }

    at Authorization, Registration, Management {
        RedirectHostDenied "redirect_host_denied" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.9",
            description: "redirect_uris: one goes to a place that this server does not admit.",
            cause: "The policy restricts where clients that the operator did not register redirect \
                to: to listed hosts, to no loopback address, to no private-use scheme, or to the \
                origin of the client's document. A client on record may be older than the rule.",
            fix: "Register the client for another redirect URI, or admit this one in \
                RegistrationRules or DocumentRules.",
        }
    }

    at Operator {
        ConnectionUnknown "connection_unknown" {
            code: InvalidRequest,
            section: "OAuth 2.1 §7.9",
            description: "There is no such connection.",
            cause: "The user has no grant with this id: it belongs to another user, or no longer \
                exists.",
            fix: "Reload the page of connected apps.",
        }
        ClientSecretNone "client_secret_none" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.4",
            description: "The client has no secret that could be replaced.",
            cause: "The secret of a client was to be rotated that proves itself in another way, or \
                not at all. Nothing was changed.",
            fix: "Name a client with a secret.",
        }
        NarrowingBeyondGrant "narrowing_beyond_grant" {
            code: InvalidRequest,
            section: "OAuth 2.1 §1.4.1",
            description: "The connection does not have what is to be kept.",
            cause: "A connection was to be limited to a scope token or a resource that was never \
                granted. Nothing was changed.",
            fix: "Name what the connection has: Connection::scope() and Connection::resources().",
        }
        NarrowingEmpty "narrowing_empty" {
            code: InvalidRequest,
            section: "OAuth 2.1 §1.4.1",
            description: "Nothing would be left of the connection.",
            cause: "A connection was to be limited to a scope or to resources of which nothing is \
                left. Nothing was changed.",
            fix: "Revoke the connection instead.",
        }
    }

    } };
}

pub(super) use any_rows;
