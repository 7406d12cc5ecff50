//! Rows of the registration endpoint and of the endpoint of one registration.

macro_rules! registration_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Registration, Management {
        RegistrationOff "registration_off" {
            code: AccessDenied,
            section: "RFC 7591 §3",
            description: "Clients are registered by the operator of this server.",
            cause: "The policy does not let clients register themselves or manage their \
                registrations.",
            fix: "Register the client in the store, or turn registration on in the policy.",
        }
    }

    at Registration {
        InitialTokenMissing "initial_token_missing" {
            code: None,
            section: "RFC 7591 §3",
            description: "",
            cause: "Registration needs an initial access token, and the request has no bearer \
                token.",
            fix: "Send the token that the operator gave you, as Authorization: Bearer TOKEN.",
        }
        InitialTokenWrong "initial_token_wrong" {
            code: InvalidToken,
            section: "RFC 7591 §3",
            description: "The initial access token is not valid.",
            cause: "The bearer token is not one of the initial access tokens in the policy.",
            fix: "Ask the operator for a token.",
        }
    }

    at Registration, Management {
        RegistrationLimited "registration_limited" {
            code: TooManyRequests,
            section: "RFC 6585 §4; RFC 7591 §5",
            description: "Too many registrations. Wait for the time in Retry-After.",
            cause: "One source, or all sources together, registered or updated more clients in a \
                minute than the policy allows.",
            fix: "Look for a client that registers anew instead of keeping its client_id, or \
                updates itself in a loop. Many users may share one source.",
        }
        MetadataNotJson "metadata_not_json" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §3.1",
            description: "The body must be one JSON object, no member of it repeated, sent as \
                application/json.",
            cause: "The body is not JSON, is not an object, has a member twice, or has another \
                content type.",
            fix: "Send the metadata as a JSON object with Content-Type: application/json.",
        }

        // Redirect URIs.
        RedirectUrisMissing "redirect_uris_missing" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §2.3.1",
            description: "redirect_uris: at least one is needed.",
            cause: "redirect_uris was left out or is empty, but the code flow needs a redirect \
                URI.",
            fix: "Register every URI that the client will name in an authorization request.",
        }
        RedirectUrisTooMany "redirect_uris_too_many" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.12",
            description: "redirect_uris: there are too many.",
            cause: "The list is longer than the policy's redirect rules allow.",
            fix: "Register fewer, or raise the limit: RedirectRules::limit in the policy, \
                --redirect-uri-limit in the reference server.",
        }
        RegisteredUriLong "registered_uri_long" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.12",
            description: "redirect_uris: one is over 2048 bytes.",
            cause: "A redirect URI is longer than 2048 bytes.",
            fix: "Shorten the URI. State belongs in the state parameter.",
        }
        RegisteredUriCharacter "registered_uri_character" {
            code: InvalidRedirectUri,
            section: "RFC 3986 §2",
            description: "redirect_uris: one has a character that no URI has.",
            cause: "A redirect URI has a space, a control character, a backslash, a quote, a \
                bracket, an escaped host, a percent sign without two hexadecimal digits, or a \
                character outside ASCII.",
            fix: "Percent-encode the character, and spell international host names in their ASCII \
                form.",
        }
        RegisteredUriRelative "registered_uri_relative" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §2.3",
            description: "redirect_uris: one is not absolute.",
            cause: "A redirect URI has no scheme, or lacks what must follow its scheme, such as a \
                host.",
            fix: "Register the whole URI, such as https://app.example/callback.",
        }
        RegisteredUriFragment "registered_uri_fragment" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §2.3",
            description: "redirect_uris: one has a fragment.",
            cause: "A redirect URI contains a number sign.",
            fix: "Leave the fragment out.",
        }
        RegisteredUriUserinfo "registered_uri_userinfo" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.12",
            description: "redirect_uris: one has a user or password before its host.",
            cause: "A redirect URI has an at sign before its host, which disguises where the URI \
                leads.",
            fix: "Leave out user and password.",
        }
        RegisteredUriForbidden "registered_uri_forbidden" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.12",
            description: "redirect_uris: one has a scheme that is never allowed.",
            cause: "A redirect URI has a scheme that runs code, reads files or leaves the web, \
                such as javascript:.",
            fix: "Register an https URI, or a loopback one for an application on the user's own \
                device.",
        }
        RegisteredUriPrivateUse "registered_uri_private_use" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §8.4.3",
            description: "redirect_uris: a private-use scheme must be a reversed domain name, as \
                com.example.app.",
            cause: "A redirect URI has a scheme without a period, which any application could \
                claim, and the policy does not name the scheme.",
            fix: "Use a reversed domain name, or have the operator admit the scheme: \
                RedirectRules::private_use_schemes in the policy, --private-use-schemes in the \
                reference server.",
        }
        RegisteredUriInsecure "registered_uri_insecure" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §1.5",
            description: "redirect_uris: http is for 127.0.0.1, [::1] and localhost only.",
            cause: "A redirect URI uses http for a host that is not loopback. Codes would travel \
                unencrypted.",
            fix: "Use https, or one of the three loopback hosts in exactly this spelling.",
        }
        RegisteredUriHost "registered_uri_host" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §7.12",
            description: "redirect_uris: the host is not written as a browser writes it.",
            cause: "A redirect URI has a host that a browser rewrites, such as 127.1 or \
                0x7f000001, or does not accept, or a name with an empty label. The consent page would show another host than the \
                one that receives the response.",
            fix: "Write the host as a browser shows it: addresses in full, names in lower case and \
                in their ASCII form.",
        }
        RegisteredUriWildcard "registered_uri_wildcard" {
            code: InvalidRedirectUri,
            section: "RFC 9700 §4.1.3",
            description: "redirect_uris: one has a wildcard in its host.",
            cause: "A redirect URI has an asterisk in its host. Patterns are not supported.",
            fix: "Register each URI separately.",
        }
        RegisteredUriReserved "registered_uri_reserved" {
            code: InvalidRedirectUri,
            section: "OAuth 2.1 §3.1",
            description: "redirect_uris: one has a parameter that only the server adds, such as \
                code or state.",
            cause: "The query of a redirect URI has code, state, iss or an error parameter in it.",
            fix: "Rename the parameter.",
        }
        RegisteredUriPort "registered_uri_port" {
            code: InvalidRedirectUri,
            section: "RFC 3986 §3.2.3",
            description: "redirect_uris: one has a port that is no number from 1 to 65535.",
            cause: "A redirect URI has an empty port, a port with a sign or a leading zero, or a \
                port outside 1 to 65535.",
            fix: "Correct the port, or leave it out of a loopback URI.",
        }
        RegisteredUriLoopback "registered_uri_loopback" {
            code: InvalidRedirectUri,
            section: "OIDC Registration §2",
            description: "redirect_uris: a client with application_type web has no loopback URIs \
                here.",
            cause: "The policy is strict on application_type, and a web application asked for a \
                URI on the user's own device.",
            fix: "Register as application_type native.",
        }

        // Other metadata.
        MetadataRedirectUris "metadata_redirect_uris" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "redirect_uris must be an array of strings.",
            cause: "redirect_uris is not an array, or has an entry that is not a string.",
            fix: "Send an array of strings.",
        }
        MetadataAuthMethod "metadata_auth_method" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "token_endpoint_auth_method and token_endpoint_auth_methods_supported \
                name no method that this server can use.",
            cause: "The client named no authentication method that this server offers, asked for \
                keys where none are verified, or sent another JSON type, an empty list, over 16 \
                methods, or a single method that is not in its list.",
            fix: "Name one of the metadata document's token_endpoint_auth_methods_supported.",
        }
        MetadataGrantTypes "metadata_grant_types" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2, §2.1",
            description: "grant_types must name authorization_code, in an array of strings.",
            cause: "The client named grant types without authorization_code, or sent another JSON \
                type. Grant types that this server does not support are left out.",
            fix: "Ask for authorization_code, and refresh_token if the client refreshes.",
        }
        MetadataResponseTypes "metadata_response_types" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2, §2.1",
            description: "response_types must name code, in an array of strings.",
            cause: "The client named response types without code, such as the implicit flow's \
                token, or sent another JSON type. Other response types are left out.",
            fix: "Ask for code, or leave response_types out.",
        }
        MetadataScope "metadata_scope" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "scope must be a string of scope tokens separated by spaces.",
            cause: "scope has another JSON type, a character that is not allowed in a scope token, \
                or over 64 tokens.",
            fix: "Send scope tokens separated by spaces, in one string.",
        }
        MetadataDescription "metadata_description" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "client_name, application_type, software_id and software_version must be \
                strings, contacts an array of strings, and client_uri, logo_uri, tos_uri and \
                policy_uri https URLs.",
            cause: "A member that describes the client has another JSON type, or is a URL that \
                cannot be shown. A client_uri with http and a logo_uri that is no https URL are \
                left out instead.",
            fix: "Correct the member, or leave it out.",
        }
        MetadataKeys "metadata_keys" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "jwks must be a JSON object or jwks_uri an https URL, and not both.",
            cause: "Both members are present, or one has another JSON type or scheme, or no key or \
                signature algorithm in it is one that this server accepts.",
            fix: "Send the public keys as jwks, with a signature algorithm of \
                token_endpoint_auth_signing_alg_values_supported. A client without keys leaves out \
                both members.",
        }
        MetadataKeysAtUrl "metadata_keys_at_url" {
            code: InvalidClientMetadata,
            section: "RFC 7591 §2",
            description: "A registration brings its keys inline, as jwks; jwks_uri is not accepted \
                here.",
            cause: "Anybody can register, and this server would fetch what they name. A client with \
                a metadata document can name a jwks_uri.",
            fix: "Send the keys as jwks, or allow it: KeyRules::with_registered_key_urls.",
        }
    }

    at Management {
        ManagementTokenMissing "management_token_missing" {
            code: None,
            section: "RFC 7592 §2",
            description: "",
            cause: "The endpoint of a registration was called without a bearer token.",
            fix: "Send the registration_access_token that came with the registration, as \
                Authorization: Bearer TOKEN.",
        }
        ManagementTokenWrong "management_token_wrong" {
            code: InvalidToken,
            section: "RFC 7592 §2",
            description: "The registration access token is not valid for this client.",
            cause: "The client is unknown, deleted or deactivated, or cannot be managed, or the \
                token belongs to another client.",
            fix: "Use the registration_client_uri and registration_access_token of one \
                registration, or register again.",
        }
        MetadataClientId "metadata_client_id" {
            code: InvalidClientMetadata,
            section: "RFC 7592 §2.2",
            description: "client_id must be there and be the client's own.",
            cause: "An update left client_id out, or named another client.",
            fix: "Send the client_id of the registration; it cannot be changed.",
        }
        MetadataReadOnly "metadata_read_only" {
            code: InvalidClientMetadata,
            section: "RFC 7592 §2.2",
            description: "registration_access_token, registration_client_uri, \
                client_secret_expires_at and client_id_issued_at cannot be sent.",
            cause: "An update contains a member that only the server sets.",
            fix: "Leave these members out.",
        }
        MetadataSecret "metadata_secret" {
            code: InvalidClientMetadata,
            section: "RFC 7592 §2.2",
            description: "client_secret is not the client's own.",
            cause: "An update contains a client secret other than the one in force. A client \
                cannot choose its secret.",
            fix: "Send the secret that was issued, or leave the member out.",
        }
    }

    } };
}

pub(super) use registration_rows;
