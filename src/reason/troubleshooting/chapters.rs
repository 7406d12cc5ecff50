//! The chapters: what somebody with a problem sees, and what can be said to all of them. Which
//! reasons stand in each is `troubleshooting.rs`'s.

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

    /// The chapter's own anchor. No reason has such a name: theirs have no hyphen.
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

Every way in which this authorization server says no, what caused it and what mends it. Made from grantcore's error table by
`grantcore::troubleshooting()`; do not edit it by hand.

## Find your case

1. Copy the exact `error` and `error_description`. They are on the error page, in the query of the redirect back to the client, in
   the JSON body, or in the `WWW-Authenticate` header of a protected resource.
2. Find the description on this page: search for it, or open the chapter of the symptom. The entry below it says what to do.
3. If several entries share the description, or there is none (the policy can have errors told tersely), the server's trail knows
   which it was. Give its operator three things: what you copied, the `client_id`, and the time in UTC to the minute. One more
   makes it exact: the correlation id, from the `X-Correlation-Id` header or the error page.

For the operator: look for events of that `client` (or `claimed`, if there is no such client) and minute. The name of an event's
`reason` is an anchor on this page, as in `docs/troubleshooting.md#pkce_missing`; its `flow` leads to all other events of the same
connection. Lifetimes and limits below are the defaults; the policy may have others.
";

const AUTHORIZATION: &str = "\
Symptom: an error page where the consent screen should be, a consent screen that does not get any further, or the client is sent
back with `error` in the URL.

Most often the client does not send PKCE with `S256`, names a redirect URI that differs from the registered one in some byte, or
kept a `client_id` that is gone. A consent page is good for 10 minutes; after that, reload it.

As long as client and redirect URI are not known to be right, nothing is sent back: the page is all there is. On the page, \"In
detail\" names the part of the rule that was broken, and \"Received\" shows what came.
";

const INVALID_GRANT: &str = "\
Symptom: the client posts to the token endpoint and gets 400 with `\"error\":\"invalid_grant\"`.

With `grant_type=authorization_code`: the code is too old (10 minutes), was used already, or does not fit the `code_verifier`, the
`redirect_uri` or the client. Restart the flow. With `grant_type=refresh_token`: the connection is over, or the token is not the
newest one. Unless the description says otherwise, the user has to authorize again.
";

const RATE_LIMIT: &str = "\
Symptom: 429 with `Retry-After`.

Wait for as many seconds as `Retry-After` says, then look for the loop: most often a client that refreshes again at each failure,
without backoff. In a minute, the token endpoint admits 60 requests by one `client_id` from one source,
and 10 failed authentications of one `client_id`; the registration endpoint 300 registrations from one source
and 600 from all together, updates among them. The authorization endpoint makes 60 consent pages for one user. Of new client
documents it reads 600 from all together; what is over that is answered with [`cimd_busy`](#cimd_busy), 503.
";

const INVALID_TOKEN: &str = "\
Symptom: a protected resource, such as an MCP server, answers 401 or 403 with `WWW-Authenticate: Bearer resource_metadata=\"...\"`.

An access token lives for 1 hour. On `invalid_token`, refresh once and retry; if that is refused too, authorize again. A 401 without
any `error` is no failure: it is how a client finds out where to authorize. The URL in `resource_metadata` names the authorization
server to talk to.
";

const BALANCE: &str = "\
Symptom: a tool call is answered with 402, or with a warning about the balance.

The token is good, and authorizing again changes nothing: top up the account and retry. The balance is the account's. All its
connections share it with its direct use of the API; none has a balance of its own.
";

const DISAPPEARING: &str = "\
Symptom: the user authorizes an app, and soon it is no longer on the list of active connections. Often nothing was refused at all:
the app let its connection run out. Look at the trail of its `flow`:

- **No `tokens_refreshed` ever.** The client does not call the token endpoint with `grant_type=refresh_token` before its access
  token expires (1 hour), so there is nothing left to use. Either it never tries, or it has no refresh token: a client gets one only
  if its `grant_types` include `refresh_token`; one that registers without `grant_types` is taken to want `authorization_code` alone.
- **Refreshes, then silence for 30 days.** The idle lifetime is over: [`refresh_idle_expired`](#refresh_idle_expired) at the next
  try. The user did not use the app, or had turned the connector off on the client's side, which some clients notice only at the
  next use.
- **Refreshes for 180 days.** The connection reached its longest lifetime:
  [`refresh_absolute_expired`](#refresh_absolute_expired).
- **A refusal: [`refresh_reused`](#refresh_reused).** Two processes of the client share one refresh token, or it repeated a
  request whose answer was lost. That ends the connection. If the client cannot be mended, set a replay window in the policy.
- **An event `grant_revoked`.** The client gave its token back, as many do when they are disconnected. As a refusal,
  [`grant_revoked`](#grant_revoked) or [`grant_ended`](#grant_ended) says that the user or an administrator ended the connection.
- **Nothing but [`client_unknown`](#client_unknown).** The client itself is gone. A client that registered itself and that nobody
  authorizes is forgotten after 24 hours.
";

const TOKEN: &str = "\
Symptom: an error other than `invalid_grant` or 429 from the token endpoint or the revocation endpoint.

`invalid_client` (401) is about who asks: an unknown client and a wrong secret look the same from outside. Everything else is about
the form that was sent, and is the same at each try: correct it instead of retrying.
";

const REGISTRATION: &str = "\
Symptom: the registration endpoint refuses the client's metadata, or the endpoint of a registration (`registration_client_uri`) does
not let the client read, change or delete it.

The description begins with the member that is wrong. An update is held to the same rules as a registration. So are metadata
documents of clients that name themselves by a URL: there the page says [`cimd_metadata`](#cimd_metadata), with one of these
sentences in detail.
";

const EVERYWHERE: &str = "\
Symptom: a request that cannot be read at any endpoint, or an answer of 503.

A 503 does not end anything: keep all tokens, and repeat the same request after `Retry-After`. Should a refresh be told
[`refresh_reused`](#refresh_reused) after a 503, its first try was stored all the same; a replay window in the policy forgives that.
";

pub(super) const STUCK: &str = "\
## Still stuck?

Ask whoever runs the server, with:

- the exact `error` and `error_description`, or the whole `WWW-Authenticate` header,
- the `client_id`,
- when it happened, in UTC, to the minute,
- and the `X-Correlation-Id` of the answer, if you have it.

Never send a token, a code or a secret. Each event of the trail has the client, the time, the correlation id and the reason: these
are enough to find the request and the whole flow it belongs to.
";
