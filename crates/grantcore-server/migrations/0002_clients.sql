-- Clients change by the same compare-and-set as grants, and may be dropped when nobody has used them for long. Until here all of
-- them were this program's own, which it adds again when it starts.
DROP TABLE clients;

CREATE TABLE clients (
    id         TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,
    drop_after INTEGER NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX clients_by_end ON clients (drop_after);
