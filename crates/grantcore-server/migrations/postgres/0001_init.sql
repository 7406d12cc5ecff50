-- What is only this host's, beside the tables of `grantcore-postgres`. Who has a row here has an account.
CREATE TABLE balances (
    subject text COLLATE "C" PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 70);

-- What happened, in the order of `id`; `at` is in seconds since 1970. Nothing here is a secret.
CREATE TABLE trail (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          bigint NOT NULL,
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
    note        text
);

CREATE INDEX trail_by_client ON trail (client, at, id);
CREATE INDEX trail_by_flow ON trail (flow, id);
CREATE INDEX trail_by_correlation ON trail (correlation);
CREATE INDEX trail_by_subject ON trail (subject, at, id);
CREATE INDEX trail_by_time ON trail (at, id);
