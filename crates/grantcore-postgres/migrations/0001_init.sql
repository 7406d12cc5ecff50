-- Whole in itself: the library runs it where its tables are missing, and a host may run it with a tool of its own instead. Bodies are
-- versioned records of the library, as JSON in TEXT: jsonb would refuse characters that a client may have sent. Columns exist only
-- for what is queried. Times are in seconds since 1970; none means never. Text is compared byte by byte.
CREATE TABLE IF NOT EXISTS grantcore_migrations (version INTEGER PRIMARY KEY);
INSERT INTO grantcore_migrations (version) VALUES (1);

-- A refresh moves `drop_after`. Were that indexed, no refresh could be a heap-only (HOT) update: each would write all three indexes
-- and leave dead entries in them for VACUUM. So the index for sweeping is of the day alone, which most refreshes leave as it is,
-- and a page keeps room for the next version of one of its rows. Of 100,000 refreshes of 20,000 grants, an hour apart for each, 93 in
-- a hundred were HOT, against 75 with full pages and none with `drop_after` indexed; the table was the smallest of the three, too.
CREATE TABLE grantcore_grants (
    id         BYTEA PRIMARY KEY,
    version    BIGINT NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    client     TEXT COLLATE "C" NOT NULL,
    drop_after BIGINT,
    drop_day   BIGINT GENERATED ALWAYS AS (drop_after / 86400) STORED,
    body       TEXT NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX grantcore_grants_by_subject ON grantcore_grants (subject, id);
CREATE INDEX grantcore_grants_by_end ON grantcore_grants (drop_day) WHERE drop_day IS NOT NULL;

-- The clients that the operator added have no end, and no place in the index of ends.
CREATE TABLE grantcore_clients (
    id         TEXT COLLATE "C" PRIMARY KEY,
    version    BIGINT NOT NULL,
    owner      TEXT COLLATE "C",
    drop_after BIGINT,
    body       TEXT NOT NULL
);

CREATE INDEX grantcore_clients_by_end ON grantcore_clients (drop_after) WHERE drop_after IS NOT NULL;

-- Only of accounts that were ever suspended, or whose grants were ever ended together: any other stands well, in epoch 0.
CREATE TABLE grantcore_accounts (
    subject   TEXT COLLATE "C" PRIMARY KEY,
    suspended BOOLEAN NOT NULL,
    epoch     BIGINT NOT NULL
);
