-- Bodies are versioned records of the library, as JSON; columns exist only for what is queried. Times are in seconds since 1970.
CREATE TABLE grantcore_grants (
    id         BLOB PRIMARY KEY,
    version    INTEGER NOT NULL,
    subject    TEXT NOT NULL,
    drop_after INTEGER NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX grantcore_grants_by_subject ON grantcore_grants (subject);
CREATE INDEX grantcore_grants_by_end ON grantcore_grants (drop_after);

CREATE TABLE grantcore_clients (
    id         TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,
    drop_after INTEGER NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX grantcore_clients_by_end ON grantcore_clients (drop_after);

-- Only of accounts that were ever suspended, or whose grants were ever ended together: any other stands well, in epoch 0.
CREATE TABLE grantcore_accounts (
    subject   TEXT PRIMARY KEY,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    epoch     INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
