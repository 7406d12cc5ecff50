//! What waits for a browser, in PostgreSQL. A row has the bytes that were ever added up to it. So
//! the surplus of a new row is found by an index, and nothing is summed up.

use deadpool_postgres::tokio_postgres::Row;
use grantcore::Timestamp;

use super::{PostgresLedger, Result, Values, number};
use crate::store::{Room, WaitingRow};

/// A row that is there already is left as it is: the statement was sent again. What another process
/// drops at this moment is passed over.
const ADD: &str = "\
    WITH added AS (INSERT INTO waiting \
    (digest, browser, source, value, expires, total, total_of_source) \
    SELECT $1, $2, $3, $4, $5, \
    $6 + coalesce((SELECT max(total) FROM waiting), 0), \
    $6 + coalesce((SELECT max(total_of_source) FROM waiting WHERE source = $3), 0) \
    ON CONFLICT DO NOTHING RETURNING total, total_of_source) \
    DELETE FROM waiting WHERE digest IN (SELECT waiting.digest FROM waiting, added \
    WHERE waiting.total <= added.total - $7 \
    OR (waiting.source = $3 AND waiting.total_of_source <= added.total_of_source - $8) \
    FOR UPDATE OF waiting SKIP LOCKED)";

const CLAIM: &str = "UPDATE waiting SET browser = $2 \
    WHERE digest = $1 AND (browser IS NULL OR browser = $2) \
    RETURNING browser, source, value, expires";

const TAKE: &str = "DELETE FROM waiting WHERE digest = $1 AND browser = $2 \
    RETURNING browser, source, value, expires";

const DROP: &str = "DELETE FROM waiting WHERE digest IN \
    (SELECT digest FROM waiting WHERE expires <= $1 ORDER BY expires LIMIT $2 \
    FOR UPDATE SKIP LOCKED) RETURNING digest";

impl PostgresLedger {
    pub(super) async fn add_waiting(
        &self,
        digest: &str,
        row: &WaitingRow,
        room: Room,
    ) -> Result<()> {
        let WaitingRow { browser, source, value, expires } = row;
        let expires = number(*expires);
        let bytes = number(row.bytes());
        let in_all = number(room.in_all);
        let of_source = number(room.of_source);
        let values: Values<'_> =
            &[&digest, browser, source, value, &expires, &bytes, &in_all, &of_source];
        self.rows(ADD, values).await.map(drop)
    }

    pub(super) async fn claim_waiting(
        &self,
        digest: &str,
        browser: &str,
    ) -> Result<Option<WaitingRow>> {
        self.rows(CLAIM, &[&digest, &browser]).await?.first().map(read).transpose()
    }

    pub(super) async fn take_waiting(
        &self,
        digest: &str,
        browser: &str,
    ) -> Result<Option<WaitingRow>> {
        self.rows(TAKE, &[&digest, &browser]).await?.first().map(read).transpose()
    }

    pub(super) async fn drop_waiting(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let limit = number(limit);
        Ok(self.rows(DROP, &[&number(now.unix_seconds()), &limit]).await?.len())
    }
}

fn read(row: &Row) -> Result<WaitingRow> {
    Ok(WaitingRow {
        browser: row.try_get(0)?,
        source: row.try_get(1)?,
        value: row.try_get(2)?,
        expires: row.try_get::<_, i64>(3)?.cast_unsigned(),
    })
}
