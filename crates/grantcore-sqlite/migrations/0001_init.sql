-- A body is a record of the library as JSON, compressed: see src/body.rs. Columns exist only for what is queried. Times are in seconds
-- since 1970.

-- Not WITHOUT ROWID: such a table moves a row of more than about 1,000 bytes to a page of its own. A compressed grant has about 600 bytes,
-- but a client may pass on a `state` of thousands.
-- A refresh moves `drop_after`. The index for sweeping is therefore of the day, which most refreshes leave as it is, so that they write
-- the row's page and no page of an index.
-- A grant without a user has no subject.
CREATE TABLE grantcore_grants (
    id         BLOB NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    subject    TEXT,
    drop_after INTEGER NOT NULL,
    drop_day   INTEGER NOT NULL, -- drop_after / 86400
    body       BLOB NOT NULL
) STRICT;

CREATE INDEX grantcore_grants_by_subject ON grantcore_grants (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX grantcore_grants_by_end ON grantcore_grants (drop_day);

CREATE TABLE grantcore_clients (
    id         TEXT NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    drop_after INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;

CREATE INDEX grantcore_clients_by_end ON grantcore_clients (drop_after);

-- The single-use marks of assertions: created once, never changed, never read but after a conflict. A row is small, and its key random:
-- without row ids the table is its own index.
CREATE TABLE grantcore_seen (
    key        BLOB NOT NULL PRIMARY KEY,
    drop_after INTEGER NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX grantcore_seen_by_end ON grantcore_seen (drop_after);

-- An account has a row once it was suspended or all of its grants were ended. Any other account is active, in epoch 0.
CREATE TABLE grantcore_accounts (
    subject   TEXT PRIMARY KEY,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    epoch     INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
