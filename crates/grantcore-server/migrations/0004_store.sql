-- Grants, clients and how accounts stand are in the tables of `grantcore-sqlite` from here on, which has made them by now. What is
-- left is this host's own: what each account has to spend, and the trail.
INSERT INTO grantcore_grants (id, version, subject, drop_after, body)
    SELECT id, version, subject, drop_after, body FROM grants WHERE true ON CONFLICT DO NOTHING;

INSERT INTO grantcore_clients (id, version, drop_after, body)
    SELECT id, version, drop_after, body FROM clients WHERE true ON CONFLICT DO NOTHING;

INSERT INTO grantcore_accounts (subject, suspended, epoch)
    SELECT subject, suspended, epoch FROM accounts WHERE suspended OR epoch <> 0 ON CONFLICT DO NOTHING;

-- Who has a row here has an account.
CREATE TABLE balances (
    subject TEXT PRIMARY KEY,
    balance INTEGER NOT NULL CHECK (balance >= 0)
) WITHOUT ROWID, STRICT;

INSERT INTO balances SELECT subject, balance FROM accounts;

DROP TABLE grants;
DROP TABLE clients;
DROP TABLE accounts;
