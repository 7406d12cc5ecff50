-- Bodies are versioned records of the library; columns exist only for what is queried.
CREATE TABLE IF NOT EXISTS clients (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS grants (
    id         BLOB PRIMARY KEY,
    version    INTEGER NOT NULL,
    subject    TEXT NOT NULL,
    drop_after INTEGER NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX IF NOT EXISTS grants_by_subject ON grants (subject);
CREATE INDEX IF NOT EXISTS grants_by_end ON grants (drop_after);
