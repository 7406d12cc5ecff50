//! Sessions in PostgreSQL.

use grantcore::Timestamp;

use super::{PostgresLedger, Result, Values, is_text, number};
use crate::store::SessionRow;

/// The parts of the statement see the sessions as they were before it, so `limit - 1` of them stay
/// beside the new one. `previous` is not counted among them.
const OPEN: &str = "\
    WITH opened AS (INSERT INTO sessions (digest, subject, credential, expires, name, is_admin) \
    VALUES ($1, $2, $3, $4, $7, $8)) \
    DELETE FROM sessions WHERE digest = $5 OR id IN \
    (SELECT id FROM sessions WHERE subject = $2 AND digest IS DISTINCT FROM $5 ORDER BY id DESC OFFSET $6)";

const DROP: &str = "DELETE FROM sessions WHERE id IN \
    (SELECT id FROM sessions WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED) \
    RETURNING id";

impl PostgresLedger {
    pub(super) async fn add_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        let SessionRow { subject, credential, name, is_admin, expires } = row;
        let expires = number(*expires);
        let others = number(limit.saturating_sub(1));
        let name = name.as_deref().filter(|name| is_text(name));
        let values: Values<'_> =
            &[&digest, subject, credential, &expires, &previous, &others, &name, is_admin];
        self.rows(OPEN, values).await.map(drop)
    }

    pub(super) async fn find_session(&self, digest: &str) -> Result<Option<SessionRow>> {
        let sql =
            "SELECT subject, credential, expires, name, is_admin FROM sessions WHERE digest = $1";
        let rows = self.rows(sql, &[&digest]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(SessionRow {
            subject: row.try_get(0)?,
            credential: row.try_get(1)?,
            expires: row.try_get::<_, i64>(2)?.cast_unsigned(),
            name: row.try_get(3)?,
            is_admin: row.try_get(4)?,
        }))
    }

    pub(super) async fn end_session(&self, digest: &str) -> Result<()> {
        self.rows("DELETE FROM sessions WHERE digest = $1", &[&digest]).await.map(drop)
    }

    /// Passes over what another process drops at this moment.
    pub(super) async fn drop_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let limit = number(limit);
        Ok(self.rows(DROP, &[&number(now.unix_seconds()), &limit]).await?.len())
    }
}
