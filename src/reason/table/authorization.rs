//! Rows of the authorization endpoint and its consent page.

macro_rules! authorization_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Authorization {
        ConsentPagesLimited "consent_pages_limited" {
            code: TooManyRequests,
            section: "RFC 6585 §4",
            description: "Too many requests to connect an application. Wait a minute, then try \
                again.",
            cause: "One signed-in user requested more consent pages in a minute than the policy \
                allows.",
            fix: "Look for a page or program that opens authorization requests in the user's \
                browser. The limit is consent_pages_per_minute.",
        }

        // Client and redirect URI: shown to the user, never sent by redirect.
        ClientIdRepeated "client_id_repeated" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.1",
            description: "The client_id parameter is included more than once.",
            cause: "The request has more than one client_id parameter.",
            fix: "Send client_id once.",
        }
        RedirectUriMissing "redirect_uri_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.3.2",
            description: "The redirect_uri parameter is missing, and the client has not registered \
                exactly one usable URI.",
            cause: "redirect_uri was left out, although the client registered several URIs, or \
                only a loopback URI without a port.",
            fix: "Send redirect_uri.",
        }
        RedirectUriRepeated "redirect_uri_repeated" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.1",
            description: "The redirect_uri parameter is included more than once.",
            cause: "The request has more than one redirect_uri parameter.",
            fix: "Send redirect_uri once.",
        }
        RedirectUriMismatch "redirect_uri_mismatch" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.3.1, §4.1.1",
            description: "The redirect_uri does not match any URI registered for the client, byte \
                for byte.",
            cause: "The redirect URI differs from every registered one. A slash, the case of a \
                letter and a port count; only the port of a loopback URI may differ.",
            fix: "Register exactly this URI for the client, or correct it on the client's side.",
        }
        RedirectUriForbidden "redirect_uri_forbidden" {
            code: InvalidRequest,
            section: "OAuth 2.1 §7.12",
            description: "The redirect_uri has a scheme that is not allowed.",
            cause: "The client's record has a redirect URI with a dangerous scheme, such as \
                javascript:. The record is older than the rule that refuses such URIs.",
            fix: "Remove the URI from the client's record.",
        }

        // Clients that a metadata document describes.
        DocumentUrl "cimd_client_id" {
            code: InvalidClient,
            section: "CIMD, Client Identifier",
            description: "The client_id is not the URL of a client metadata document.",
            cause: "The client_id is a URL, but its scheme is not https, its path is missing, it \
                contains a fragment, userinfo or dot segments, or it is not in normalized form.",
            fix: "Use the https URL of the document exactly as its own client_id member spells it.",
        }
        DocumentUnreachable "cimd_unreachable" {
            code: InvalidClient,
            section: "CIMD, Client Information Discovery",
            description: "The client's metadata document could not be fetched. Try again later.",
            cause: "The host of the document did not answer in time, could not be found, or has an \
                address that must not be called.",
            fix: "Try again later. The client's author must serve the document from a public https \
                server. The operator's log names what failed.",
        }
        DocumentInvalid "cimd_invalid" {
            code: InvalidClient,
            section: "CIMD, Client Metadata Document",
            description: "The client's metadata document is not valid.",
            cause: "The URL did not return a 200 response with a JSON object of at most 5,120 \
                bytes whose client_id is the URL itself.",
            fix: "Correct the document. The next request fetches it again.",
        }
        DocumentMetadata "cimd_metadata" {
            code: InvalidClient,
            section: "CIMD, Client Metadata Document",
            description: "The client's metadata document describes a client that cannot be served.",
            cause: "The document lacks client_name or redirect_uris, contains a client secret, \
                names an authentication method that uses one, or has a value that breaks a rule.",
            fix: "Correct the member that the detail names. The next request fetches the document \
                again.",
        }
        DocumentNoCommonMethod "document_no_common_method" {
            code: UnauthorizedClient,
            section: "CIMD, Client Metadata Document",
            description: "The client's metadata document names no way of authentication that this \
                server has for documents.",
            cause: "The document names authentication methods, and none that this server has for \
                documents: none, and private_key_jwt if the policy has rules of keys.",
            fix: "Turn keys on (PolicyBuilder::client_keys), have the client's author add none to \
                token_endpoint_auth_methods_supported, or register the client.",
        }
    }

    at Authorization, Token {
        DocumentsBusy "cimd_busy" {
            code: TemporarilyUnavailable,
            section: "CIMD, Client Information Discovery",
            description: "The server is reading as many clients' documents as it will at once. Try \
                again in a moment.",
            cause: "More documents were requested than the host fetches at the same time, or more \
                new ones were read in a minute than all_documents_per_minute allows.",
            fix: "Try again. If this recurs, someone may be sending invented client ids in great \
                number.",
        }
    }

    at Authorization; also by redirect {
        RequestObject "request_object" {
            code: RequestNotSupported,
            section: "RFC 9101 §7",
            description: "The request parameter is not supported.",
            cause: "The client sent a request object.",
            fix: "Send the parameters themselves, outside of a request object.",
        }
        RequestUri "request_uri" {
            code: RequestUriNotSupported,
            section: "RFC 9101 §7",
            description: "The request_uri parameter is not supported.",
            cause: "The client sent a reference to a request object or to a pushed authorization \
                request.",
            fix: "Send the parameters themselves, in the query.",
        }
        ResponseTypeMissing "response_type_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.1.1",
            description: "The response_type parameter is missing. Send response_type=code.",
            cause: "response_type was left out.",
            fix: "Send response_type=code.",
        }
        ResponseTypeUnsupported "response_type_unsupported" {
            code: UnsupportedResponseType,
            section: "OAuth 2.1 §4.1.2.1",
            description: "Only response_type=code is supported.",
            cause: "The client asked for a response type other than code, such as the implicit \
                flow's token.",
            fix: "Use the authorization code flow.",
        }
        CodeFlowUnauthorized "code_flow_unauthorized" {
            code: UnauthorizedClient,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The client is not registered for the authorization code flow.",
            cause: "The client's grant_types lack authorization_code.",
            fix: "Register the client with grant_types authorization_code.",
        }
        ResponseModeUnsupported "response_mode_unsupported" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.1.2",
            description: "Only response_mode=query is supported.",
            cause: "The client asked for its response in the fragment or by form post.",
            fix: "Leave response_mode out.",
        }
        PkceMissing "pkce_missing" {
            code: InvalidRequest,
            section: "RFC 7636 §4.4.1",
            description: "A code challenge is required. Send code_challenge and \
                code_challenge_method=S256.",
            cause: "code_challenge was left out.",
            fix: "Update the client to one that uses PKCE with S256.",
        }
        PkceMethodMissing "pkce_method_missing" {
            code: InvalidRequest,
            section: "RFC 7636 §4.3",
            description: "The code_challenge_method parameter is missing, which means plain. Send \
                code_challenge_method=S256.",
            cause: "The request has a code_challenge without code_challenge_method. The default is \
                plain, which is refused.",
            fix: "Send code_challenge_method=S256.",
        }
        PkceMethod "pkce_method" {
            code: InvalidRequest,
            section: "RFC 7636 §4.4.1",
            description: "Only code_challenge_method=S256 is supported. Update your client.",
            cause: "The client asked for plain or an unknown code challenge method.",
            fix: "Update the client to one that sends S256.",
        }
        PkceMalformed "pkce_malformed" {
            code: InvalidRequest,
            section: "RFC 7636 §4.2",
            description: "The code_challenge is not 43 base64url characters, as S256 gives.",
            cause: "The code challenge has another length, padding, or characters outside \
                base64url.",
            fix: "Send BASE64URL(SHA256(code_verifier)) without padding.",
        }
        PkceChallengeReused "pkce_challenge_reused" {
            code: InvalidRequest,
            section: "RFC 9700 §2.1.1",
            description: "The code_challenge was used before. Make a new one for each request.",
            cause: "The client repeated the code challenge of an earlier request, and the policy \
                refuses that.",
            fix: "Draw a fresh code verifier for each authorization request.",
        }
        ScopeMissing "scope_missing" {
            code: InvalidScope,
            section: "OAuth 2.1 §1.4.1",
            description: "No scope is left: none was sent, or it was dropped, and there is no default.",
            cause: "scope was left out, or has only tokens that are dropped: those of OpenID \
                Connect that the policy does not declare, and unknown ones if the policy says so. \
                And there is no default scope, the client may request none of it, or the resource \
                understands none of it.",
            fix: "Send a scope that the resource lists, or configure a default scope.",
        }
        PromptContradiction "prompt_contradiction" {
            code: InvalidRequest,
            section: "OIDC Core §3.1.2.1",
            description: "The prompt has none beside another value.",
            cause: "prompt=none forbids every page, but login, select_account and consent each \
                require one.",
            fix: "Send none alone, or leave it out.",
        }
        MaxAgeMalformed "max_age_malformed" {
            code: InvalidRequest,
            section: "OIDC Core §3.1.2.1",
            description: "The max_age is not a number of seconds.",
            cause: "max_age is negative, has a fraction, or is no number.",
            fix: "Send max_age as whole seconds in digits, or leave it out.",
        }
        LoginRequired "login_required" {
            code: LoginRequired,
            section: "OIDC Core §3.1.2.6",
            description: "The user is not signed in as this request needs it.",
            cause: "The client sent prompt=none, and no user is signed in at this browser, or the \
                login is older than max_age or of none of the acr_values. Or the user left the \
                login page.",
            fix: "Send the request again without prompt=none, so that the user can sign in.",
        }
        LoginChoiceRequired "login_choice_required" {
            code: AccountSelectionRequired,
            section: "OIDC Core §3.1.2.6",
            description: "The user has chosen no account.",
            cause: "The user left the page on which an account is chosen.",
            fix: "Send the request again when the user wants to connect.",
        }
        LoginInteractionRequired "login_interaction_required" {
            code: InteractionRequired,
            section: "OIDC Core §3.1.2.6",
            description: "The user has to do something first, and has not done it.",
            cause: "The user left a page of the login other than the form itself, such as one with \
                new terms of service.",
            fix: "Send the request again when the user wants to connect.",
        }
        LoginClassUnmet "login_class_unmet" {
            code: UnmetAuthenticationRequirements,
            section: "RFC 9470 §5",
            description: "The user cannot be signed in as acr_values asks for.",
            cause: "None of the acr_values is declared by the policy, or the user's login is of \
                none of them.",
            fix: "Ask for a class in the metadata document's acr_values_supported. The user may \
                need to set up a second factor first.",
        }
        ConsentRequired "consent_required" {
            code: ConsentRequired,
            section: "OIDC Core §3.1.2.6",
            description: "The user must be asked, and prompt=none forbids the consent page.",
            cause: "The client sent prompt=none, and the user must be asked: this server remembers \
                no consent of the client, or none that covers this request.",
            fix: "Send the request again without prompt=none, so that the user can decide.",
        }
        AccessDenied "access_denied" {
            code: AccessDenied,
            section: "OAuth 2.1 §4.1.2.1",
            description: "The user denied the request.",
            cause: "The user pressed Deny.",
            fix: "No fix is needed. The client may ask again when the user wants to connect.",
        }
    }

    at Authorization {
        // The consent page.
        TicketMissing "consent_ticket_missing" {
            code: InvalidRequest,
            section: "RFC 6749 §10.12",
            description: "The consent form is incomplete. Start again from the application.",
            cause: "The decision has no ticket, or a text that is not a ticket.",
            fix: "Submit the form of the consent page as it is.",
        }
        TicketUnknown "consent_ticket_unknown" {
            code: InvalidRequest,
            section: "RFC 6749 §10.12",
            description: "The consent form is not known. Start again from the application.",
            cause: "The ticket is forged, was issued by another server, or its consent page no \
                longer exists.",
            fix: "Start again from the application. If this recurs, someone may be forging \
                decisions.",
        }
        ConsentSessionMismatch "consent_session_mismatch" {
            code: InvalidRequest,
            section: "RFC 6749 §10.12",
            description: "The consent page was opened in another session. Reload the consent \
                screen.",
            cause: "The decision came from another user or browser session than the one that \
                opened the consent page.",
            fix: "Reload the consent screen in this session. If this recurs, someone may be \
                forging decisions.",
        }
        ConsentLoginOlder "consent_login_older" {
            code: InvalidRequest,
            section: "RFC 9470 §6.1",
            description: "The consent page was shown for a newer login. Reload the consent screen.",
            cause: "The decision came with an older login than that of the consent page, or with \
                none although the page had one.",
            fix: "Reload the consent screen. A host passes the login of the session with the page \
                and with its answer.",
        }
        ConsentExpired "consent_nonce_expired" {
            code: ConsentExpired,
            section: "OAuth 2.1 §7.12",
            description: "The consent page was open for too long. Reload the consent screen.",
            cause: "Before the decision came, the page's ticket expired, or the grants of the \
                client or the account were ended.",
            fix: "Reload the consent screen.",
        }
        ConsentUsed "consent_used" {
            code: ConsentUsed,
            section: "OAuth 2.1 §7.12",
            description: "This request was decided already. Start again from the application.",
            cause: "The decision was sent twice, or the page was approved in one tab and denied in \
                another.",
            fix: "Start again from the application if it did not receive its response.",
        }
        ConsentEndPassed "consent_end_passed" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.3.3",
            description: "The decision ends the access before it begins.",
            cause: "The host called ConsentDecision::until() with a time that is not in the future. \
                Nothing was written, and the page can be answered again.",
            fix: "Pass a time in the future, by the server's clock.",
        }
        ConsentScope "consent_scope" {
            code: InvalidScope,
            section: "OAuth 2.1 §1.4.1",
            description: "The decision grants nothing, or more than was asked for.",
            cause: "The scope approved is empty or not within the scope of the consent page.",
            fix: "Approve at least one of the scopes shown, or deny.",
        }
    }

    } };
}

pub(super) use authorization_rows;
