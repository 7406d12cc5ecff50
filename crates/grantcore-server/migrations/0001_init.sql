-- The tables of the server itself, beside those of `grantcore-sqlite`.

-- An account exists if and only if it has a row here.
CREATE TABLE balances (
    subject TEXT PRIMARY KEY,
    balance INTEGER NOT NULL CHECK (balance >= 0),
    name    TEXT -- the name for people of an account of the identity provider
) WITHOUT ROWID, STRICT;

-- The browsers that are signed in, in the order of their sign-ins. No token is here in clear.
CREATE TABLE sessions (
    id       INTEGER PRIMARY KEY,
    digest   TEXT NOT NULL UNIQUE, -- SHA-256 of the session's token
    subject  TEXT NOT NULL,
    -- SHA-256 of the hash of the password that opened it, or of the identity provider's rules
    credential TEXT NOT NULL,
    name     TEXT, -- the name of the account for people, if it is not the subject
    is_admin INTEGER NOT NULL, -- whether the provider's rules made the account an administrator
    signed_in INTEGER, -- when the user proved to be the owner: seconds since 1970, or unknown
    expires  INTEGER NOT NULL -- seconds since 1970
) STRICT;

CREATE INDEX sessions_by_subject ON sessions (subject, id);
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- What waits for a browser to come back: authorization requests while their users sign in, and sign-ins at the identity
-- provider. No key and no cookie is here in clear.
CREATE TABLE waiting (
    id      INTEGER PRIMARY KEY,
    digest  TEXT NOT NULL UNIQUE, -- SHA-256 of the key
    browser TEXT,                 -- SHA-256 of the cookie of the browser that opened it
    source  TEXT NOT NULL,
    value   TEXT NOT NULL,        -- JSON
    expires INTEGER NOT NULL,     -- seconds since 1970
    -- the bytes that were added up to this row: in all, and of its source
    total   INTEGER NOT NULL,
    total_of_source INTEGER NOT NULL
) STRICT;

CREATE INDEX waiting_by_total ON waiting (total);
CREATE INDEX waiting_by_source ON waiting (source, total_of_source);
CREATE INDEX waiting_by_expiry ON waiting (expires);

-- The audit log, in the order of `id`. It holds no secret.
CREATE TABLE audit_log (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL, -- seconds since 1970
    correlation TEXT NOT NULL,
    flow        TEXT,
    kind        TEXT NOT NULL,
    reason      TEXT,
    detail      TEXT,
    client      TEXT,
    subject     TEXT,
    status      INTEGER,
    error       TEXT,
    description TEXT,
    challenge   TEXT,
    note        TEXT,
    written     TEXT, -- what the step wrote
    durability  TEXT, -- whether the write is known to be durable
    attributed  INTEGER NOT NULL DEFAULT 1, -- 0 for an event of strangers, which are dropped first
    count       INTEGER NOT NULL DEFAULT 0 -- how many events of strangers the row stands for, if they were only counted
) STRICT;

-- A step may be recorded twice and is kept once.
CREATE UNIQUE INDEX audit_log_by_correlation ON audit_log (correlation, kind);
CREATE INDEX audit_log_by_client ON audit_log (client, at);
CREATE INDEX audit_log_by_flow ON audit_log (flow);
CREATE INDEX audit_log_by_subject ON audit_log (subject, at);
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_of_strangers ON audit_log (at) WHERE attributed = 0;
CREATE INDEX audit_log_of_refusals ON audit_log (at) WHERE kind = 'refused';
