-- The tables of the server itself, beside those of `grantcore-postgres`.

-- An account exists if and only if it has a row here.
CREATE TABLE balances (
    subject text COLLATE "C" PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0),
    name    text -- the name for people of an account of the identity provider
) WITH (fillfactor = 70);

-- The browsers that are signed in, in the order of their sign-ins. No token is here in clear.
CREATE TABLE sessions (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest   text COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the session's token
    subject  text COLLATE "C" NOT NULL,
    -- SHA-256 of the hash of the password that opened it, or of the identity provider's rules
    credential text NOT NULL,
    name     text, -- the name of the account for people, if it is not the subject
    is_admin boolean NOT NULL, -- whether the provider's rules made the account an administrator
    signed_in bigint, -- when the user proved to be the owner: seconds since 1970, or unknown
    expires  bigint NOT NULL -- seconds since 1970
);

CREATE INDEX sessions_by_subject ON sessions (subject, id);
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- What waits for a browser to come back: authorization requests while their users sign in, and sign-ins at the identity
-- provider. No key and no cookie is here in clear. The table is empty after a crash of the database and on a standby that
-- is promoted: users start again. It has no sequence: one of an unlogged table can be unreadable after a promotion.
CREATE UNLOGGED TABLE waiting (
    digest  text COLLATE "C" PRIMARY KEY,     -- SHA-256 of the key
    browser text,                             -- SHA-256 of the cookie of the browser that opened it
    source  text COLLATE "C" NOT NULL,
    value   text NOT NULL,                    -- JSON
    expires bigint NOT NULL,                  -- seconds since 1970
    -- the bytes that were added up to this row: in all, and of its source
    total   bigint NOT NULL,
    total_of_source bigint NOT NULL
);

CREATE INDEX waiting_by_total ON waiting (total);
CREATE INDEX waiting_by_source ON waiting (source, total_of_source);
CREATE INDEX waiting_by_expiry ON waiting (expires);

-- The audit log, in the order of `id`. It holds no secret.
CREATE TABLE trail (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          bigint NOT NULL, -- seconds since 1970
    correlation text NOT NULL,
    flow        text,
    kind        text NOT NULL,
    reason      text,
    detail      text,
    client      text,
    subject     text,
    status      integer,
    error       text,
    description text,
    challenge   text,
    note        text,
    written     text, -- what the step wrote
    durability  text, -- whether the write is known to be durable
    attributed  boolean NOT NULL DEFAULT true, -- false for an event of strangers, which are dropped first
    count       bigint NOT NULL DEFAULT 0 -- how many events of strangers the row stands for, if they were only counted
);

-- A step may be recorded twice and is kept once.
CREATE UNIQUE INDEX trail_by_correlation ON trail (correlation, kind);
CREATE INDEX trail_by_client ON trail (client, at, id);
CREATE INDEX trail_by_flow ON trail (flow, id);
CREATE INDEX trail_by_subject ON trail (subject, at, id);
CREATE INDEX trail_by_time ON trail (at, id);
CREATE INDEX trail_of_strangers ON trail (at) WHERE NOT attributed;
CREATE INDEX trail_of_refusals ON trail (at, id) WHERE kind = 'refused';
