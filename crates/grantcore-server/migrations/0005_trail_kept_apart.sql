-- What a step wrote and whether that is known to be durable; whether it can be told whose it is, for what strangers send makes room
-- first; and how many events of strangers a row stands for, where they were only counted.
ALTER TABLE trail ADD COLUMN written TEXT;
ALTER TABLE trail ADD COLUMN fate TEXT;
ALTER TABLE trail ADD COLUMN attributed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE trail ADD COLUMN count INTEGER NOT NULL DEFAULT 0;

-- A step may arrive twice, and is kept once.
DELETE FROM trail WHERE id NOT IN (SELECT min(id) FROM trail GROUP BY correlation, kind);
DROP INDEX trail_by_correlation;
CREATE UNIQUE INDEX trail_by_correlation ON trail (correlation, kind);

CREATE INDEX trail_of_strangers ON trail (at) WHERE attributed = 0;
