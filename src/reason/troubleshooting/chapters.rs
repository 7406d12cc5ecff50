//! The chapters of the page, one for each symptom, and their introductions. Which reasons belong to
//! a chapter is in `troubleshooting.rs`.

/// One symptom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chapter {
    Authorization,
    InvalidGrant,
    RateLimit,
    InvalidToken,
    Balance,
    Disappearing,
    Token,
    Registration,
    Everywhere,
}

impl Chapter {
    pub(super) const ALL: [Self; 9] = [
        Self::Authorization,
        Self::InvalidGrant,
        Self::RateLimit,
        Self::InvalidToken,
        Self::Balance,
        Self::Disappearing,
        Self::Token,
        Self::Registration,
        Self::Everywhere,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Authorization => "\"Authorization failed\" or stuck on the consent screen",
            Self::InvalidGrant => "\"Token endpoint returned invalid_grant\"",
            Self::RateLimit => "\"Rate limit exceeded\" (HTTP 429)",
            Self::InvalidToken => "A tool call or API request returns \"invalid_token\"",
            Self::Balance => "\"Insufficient balance\" or 402",
            Self::Disappearing => "A connected app keeps disappearing",
            Self::Token => "The token, revocation or introspection endpoint returned another error",
            Self::Registration => "Registering a client failed",
            Self::Everywhere => "Any endpoint: unreadable requests, and 503",
        }
    }

    /// Returns the chapter's anchor. It has a hyphen, so that it differs from every reason's name.
    pub(super) fn anchor(self) -> &'static str {
        match self {
            Self::Authorization => "authorization-failed",
            Self::InvalidGrant => "invalid-grant",
            Self::RateLimit => "rate-limit",
            Self::InvalidToken => "invalid-token",
            Self::Balance => "insufficient-balance",
            Self::Disappearing => "disappearing-app",
            Self::Token => "token-endpoint",
            Self::Registration => "registration-failed",
            Self::Everywhere => "any-endpoint",
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Authorization => AUTHORIZATION,
            Self::InvalidGrant => INVALID_GRANT,
            Self::RateLimit => RATE_LIMIT,
            Self::InvalidToken => INVALID_TOKEN,
            Self::Balance => BALANCE,
            Self::Disappearing => DISAPPEARING,
            Self::Token => TOKEN,
            Self::Registration => REGISTRATION,
            Self::Everywhere => EVERYWHERE,
        }
    }
}

pub(super) const INTRODUCTION: &str = "\
# OAuth troubleshooting

This page lists every refusal of this authorization server, with its cause and its fix. It is generated from grantcore's error table
by `grantcore::reason::troubleshooting()`; do not edit it by hand.

## Find your case

1. Copy the exact `error` and `error_description`. They are on the error page, in the query of the redirect back to the client, in
   the JSON body, or in the `WWW-Authenticate` header of a protected resource.
2. Find the description on this page: search for it, or open the chapter of the symptom. The entry below it names the fix.
3. If several entries share the description, or the response has none (the policy can suppress descriptions), the server's audit log
   has the reason. Give its operator three things: what you copied, the `client_id`, and the time in UTC to the minute. The
   correlation id, from the `X-Correlation-Id` header or the error page, identifies the request exactly.

For the operator: search the audit log for events of that `client` and minute. For an unknown client, its id is in `claimed`. The
name of an event's `reason` is an anchor on this page, as in `docs/troubleshooting.md#pkce_missing`. The event's `flow` leads to all
other events of the same connection. The lifetimes and limits below are the defaults; the policy may set others.

A connection is one authorization grant of a user to a client, as the user's page of connected apps shows it.
";

const AUTHORIZATION: &str = "\
Symptom: an error page appears instead of the consent screen, the consent screen does not proceed, or the client receives an `error`
in the URL of the redirect.

The most frequent causes: the client does not send PKCE with `S256`, names a redirect URI that differs from the registered one, or
kept a `client_id` that no longer exists. A consent page is valid for 10 minutes; after that, reload it.

Until the client and the redirect URI are verified, nothing is sent to the client: the error is on the page only. There, \"In
detail\" names the part of the rule that was broken, and \"Received\" shows the value that was received.
";

const INVALID_GRANT: &str = "\
Symptom: the client posts to the token endpoint and receives 400 with `\"error\":\"invalid_grant\"`.

With `grant_type=authorization_code`: the code is too old (10 minutes), was used already, or does not match the `code_verifier`, the
`redirect_uri` or the client. Restart the flow. With `grant_type=refresh_token`: the connection has ended, or the token is not the
newest one. Unless the description says otherwise, the user must authorize again.
";

const RATE_LIMIT: &str = "\
Symptom: 429 with `Retry-After`.

Wait for the seconds in `Retry-After`, then look for the loop: most often a client that refreshes again after each failure, without
backoff. In a minute, the token endpoint admits 60 requests by one `client_id` from one source,
and 10 failed authentications of one `client_id`; the registration endpoint admits 300 registrations from one source
and 600 from all together, updates included. The authorization endpoint makes 60 consent pages for one user. Of new client
documents it reads 600 from all together. Further documents are refused with [`cimd_busy`](#cimd_busy), 503.
";

const INVALID_TOKEN: &str = "\
Symptom: a protected resource, such as an MCP server, answers 401 or 403 with `WWW-Authenticate: Bearer resource_metadata=\"...\"`.

An access token lives for 1 hour. On `invalid_token`, refresh once and retry; if the refresh is refused too, authorize again. A 401
without `error` is not a failure: it shows the client where to authorize. The document at the URL in `resource_metadata` names the
authorization server.
";

const BALANCE: &str = "\
Symptom: a tool call is answered with 402, or with a warning about the balance.

The token is valid, and authorizing again changes nothing: top up the account and retry. The balance belongs to the account. All its
connections and its direct use of the API share it; a connection has no balance of its own.
";

const DISAPPEARING: &str = "\
Symptom: the user authorizes an app, and soon it is missing from the list of active connections. Often nothing was refused: the app
let its connection expire. Look at the events of its `flow` in the audit log:

- **No `tokens_refreshed` at all.** The client does not call the token endpoint with `grant_type=refresh_token` before its access
  token expires (1 hour), so it has no valid token left. Either it never tries, or it has no refresh token: a client gets one only
  if its `grant_types` include `refresh_token`. A client that registers without `grant_types` gets `authorization_code` alone.
- **Refreshes, then silence for 30 days.** The idle lifetime is over: [`refresh_idle_expired`](#refresh_idle_expired) at the next
  refresh. The user did not use the app, or disabled the connector in the client, which some clients notice only at the next use.
- **Refreshes for 180 days.** The connection reached its longest lifetime:
  [`refresh_absolute_expired`](#refresh_absolute_expired).
- **A refusal: [`refresh_reused`](#refresh_reused).** Two processes of the client share one refresh token, or the client repeated a
  request whose response was lost. That ends the connection. If the client cannot be fixed, set a replay window in the policy.
- **An event `grant_revoked`.** The client revoked its token, as many do when they are disconnected. As a refusal,
  [`grant_revoked`](#grant_revoked) or [`grant_ended`](#grant_ended) means that the user or an administrator ended the connection.
- **Nothing but [`client_unknown`](#client_unknown).** The client itself no longer exists. A client that registered itself and that
  nobody authorizes is forgotten after 24 hours.
";

const TOKEN: &str = "\
Symptom: an error other than 429 from the token, revocation or introspection endpoint, and not `invalid_grant` from the token
endpoint.

`invalid_client` (401) is about the sender: an unknown client and a wrong secret look the same from outside. Every other error is
about the form that was sent, and repeats at each attempt: correct the form instead of retrying.
";

const REGISTRATION: &str = "\
Symptom: the registration endpoint refuses the client's metadata, or the endpoint of a registration (`registration_client_uri`) does
not let the client read, change or delete it.

The description begins with the name of the wrong member. An update must keep the same rules as a registration. So must the metadata
document of a client whose `client_id` is a URL: there the page shows [`cimd_metadata`](#cimd_metadata), with one of these
sentences in detail.
";

const EVERYWHERE: &str = "\
Symptom: an endpoint cannot read the request, or answers 503.

A 503 ends nothing: keep all tokens, and repeat the same request after `Retry-After`. If a refresh is answered with
[`refresh_reused`](#refresh_reused) after a 503, its first attempt was stored all the same. A replay window in the policy tolerates
that.
";

pub(super) const STUCK: &str = "\
## Still stuck?

Ask the operator of the server, with:

- the exact `error` and `error_description`, or the whole `WWW-Authenticate` header,
- the `client_id`,
- the time of the request, in UTC, to the minute,
- and the `X-Correlation-Id` of the response, if you have it.

Never send a token, a code or a secret. Each event of the audit log has the client, the time, the correlation id and the reason:
these are enough to find the request and its whole flow.
";
