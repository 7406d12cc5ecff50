-- How users stand with this host, and what they have left to spend.
CREATE TABLE accounts (
    subject   TEXT PRIMARY KEY,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    epoch     INTEGER NOT NULL,
    balance   INTEGER NOT NULL CHECK (balance >= 0)
) WITHOUT ROWID, STRICT;

-- What happened, in the order of `id`; `at` is in seconds since 1970. Nothing here is a secret.
CREATE TABLE trail (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
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
    note        TEXT
) STRICT;

CREATE INDEX trail_by_client ON trail (client, at);
CREATE INDEX trail_by_flow ON trail (flow);
CREATE INDEX trail_by_correlation ON trail (correlation);
CREATE INDEX trail_by_subject ON trail (subject, at);
CREATE INDEX trail_by_time ON trail (at);

-- Grants have gained fields, and before the library's first release their format has no versions to tell the two apart by. Those of
-- before would be errors for as long as they are kept; without them their users are asked once more.
DELETE FROM grants;
