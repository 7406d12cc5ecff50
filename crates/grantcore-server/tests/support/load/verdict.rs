//! The checks of a flow's tokens at both processes. During the load, a process that is down is
//! skipped; at the end, both must answer.

use tokio::time::sleep;

use super::flow::{ATTEMPT_LIMIT, Checked, Flow, INTERVAL, must, refreshing, violation};
use super::service::Lost;

impl Flow<'_> {
    /// Checks that both processes accept the newest access token.
    pub async fn is_alive_everywhere(&mut self) -> Checked<()> {
        for node in 0..2 {
            let status = self.status_at(node, &self.newest().access.clone()).await?;
            must(matches!(status, None | Some(200)), || {
                format!("an access token gave {status:?} at {node} (I14)")
            })?;
        }
        Ok(())
    }

    /// Checks that no process accepts an access token of the flow (I19), and that its newest
    /// refresh token is refused.
    pub async fn is_dead_everywhere(&mut self) -> Checked<()> {
        for node in 0..2 {
            for pair in self.pairs.clone() {
                let status = self.status_at(node, &pair.access).await?;
                must(matches!(status, None | Some(401)), || {
                    format!("a dead access token gave {status:?} at {node} (I19)")
                })?;
            }
        }
        let newest = self.newest().refresh.clone();
        self.is_refused("a dead refresh token (I19)", &refreshing(&newest)).await
    }

    /// Checks the tokens after all flows, with both processes running.
    pub async fn is_as_it_ended(&mut self) -> Checked<()> {
        self.note("the end".into());
        if !self.ending.is_alive() {
            return self.is_dead_everywhere().await;
        }
        self.is_alive_everywhere().await?;
        self.refresh().await?;
        self.is_alive_everywhere().await
    }

    /// Returns the status of the API for an access token, or `None` while the process is down.
    async fn status_at(&self, node: usize, access: &str) -> Checked<Option<u16>> {
        for _ in 0..ATTEMPT_LIMIT {
            match self.service.api(node, access).await {
                Ok(reply) => return Ok(Some(reply.status)),
                Err(Lost::Unavailable) => sleep(INTERVAL).await,
                Err(Lost::Refused | Lost::Broken) if self.service.is_up(node) => {
                    sleep(INTERVAL).await;
                }
                Err(_) => return Ok(None),
            }
        }
        Err(violation(format!("the API at {node} never answered")))
    }
}
