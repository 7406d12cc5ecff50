//! Revocations by the client and by the user, and what holds after their acknowledgement.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::time::sleep;

use super::client::{Client, Step};
use super::site::{Lost, PAUSE, Reply, Site, Via};
use super::story::{Checked, Story, Violation, must};
use crate::support::{Browser, form};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client revokes a refresh token of any generation (RFC 7009).
    ByClient,
    /// The user disconnects the client on the page of connected apps.
    ByUser,
    /// The client deletes its registration (RFC 7592).
    Deleted,
}

const CONNECTED_APPS: &str = "/settings/connected-apps";

impl Ending {
    const ALL: [(Self, &'static str); 3] = [
        (Self::ByClient, "connections revoked by the client"),
        (Self::ByUser, "connections ended by the user"),
        (Self::Deleted, "clients that deleted their registration"),
    ];

    /// Returns the phase and the kind of a client's end. Three of eight clients end.
    pub fn of(number: usize) -> Option<(usize, Self)> {
        let (ending, _) = Self::ALL.get(number % 8)?;
        Some((number / 8 % super::faults::Fault::ALL.len(), *ending))
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(ending, _)| *ending == self).unwrap().1
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(_, name)| name)
    }
}

impl Client {
    /// Ends the connection while calls are under way. A call that begins after the acknowledgement
    /// is refused (I19).
    pub async fn end(&mut self, site: &Site, browser: &Browser, ending: Ending) -> Checked<()> {
        self.story.note(ending.name());
        let access = self.newest().access.clone();
        let any = self.random.below(self.pairs.len());
        let token = self.pairs[any].refresh.clone();
        let acknowledged = AtomicBool::new(false);
        let mut calls = Story::default();
        let revocation = async {
            let done = match ending {
                Ending::ByClient => self.revoke(site, &token).await,
                Ending::ByUser => self.disconnect(site, browser).await,
                Ending::Deleted => self.delete(site).await,
            };
            acknowledged.store(true, SeqCst);
            done
        };
        let (done, called) =
            tokio::join!(revocation, call_until(site, &access, &acknowledged, &mut calls));
        self.story.note(format!("calls beside it: {}", calls.latest()));
        done?;
        called?;
        self.ended = Some(ending);
        site.tally.count(ending.name());
        self.is_dead_everywhere(site).await
    }

    async fn revoke(&mut self, site: &Site, token: &str) -> Checked<()> {
        let form = [("client_id", self.id.as_str()), ("token", token)];
        let request = site.post(self.via(), "/oauth/revoke", &form);
        let (reply, _) = site.until_answered(self.via(), request, &mut self.story).await?;
        must(reply.status == 200, || format!("a revocation gave {}", reply.brief()))
    }

    async fn delete(&mut self, site: &Site) -> Checked<()> {
        let (path, token) = &self.registration;
        let request = site.http().delete(site.url(self.via(), path)).bearer_auth(token);
        let (reply, lost) = site.until_answered(self.via(), request, &mut self.story).await?;
        // A request that was lost before deleted the client, and its token with it. nginx sends a
        // DELETE to the other replica by itself.
        let is_repeated = lost > 0 || reply.is_passed_on();
        let is_deleted = reply.status == 204 || is_repeated && reply.status == 401;
        must(is_deleted, || format!("a deletion gave {}", reply.brief()))
    }

    /// Presses "Disconnect" on the page of connected apps, and confirms it.
    async fn disconnect(&mut self, site: &Site, browser: &Browser) -> Checked<()> {
        let via = self.via();
        let list = self.page(site, browser, via, CONNECTED_APPS).await?;
        let id = format!("<code>{}</code>", self.id);
        let entry = list.split("<section>").find(|section| section.contains(&id));
        let href = entry
            .and_then(|entry| entry.split("href=\"").find(|rest| rest.starts_with(CONNECTED_APPS)))
            .and_then(|rest| rest.split('"').next());
        let Some(href) = href else {
            return Err(Violation("the client is not on the page of connected apps".into()));
        };
        let page = self.page(site, browser, via, href).await?;
        let form = form(&page);
        let request = browser.http.post(site.url(via, &form.action)).form(&form.fields);
        let (reply, _) = site.until_answered(via, request, &mut self.story).await?;
        let is_done = reply.location.as_deref().is_some_and(|to| to.contains("?ended="));
        must(is_done, || format!("the button gave {}", reply.brief()))
    }

    async fn page(
        &mut self,
        site: &Site,
        browser: &Browser,
        via: Via,
        path: &str,
    ) -> Checked<String> {
        let request = browser.http.get(site.url(via, path));
        let (reply, _) = site.until_answered(via, request, &mut self.story).await?;
        must(reply.status == 200, || format!("the user's page gave {}", reply.brief()))?;
        Ok(reply.body)
    }

    /// Presents a token of a connection that has ended.
    pub async fn stays_dead(&mut self, site: &Site) -> Checked<()> {
        self.story.note("after the end");
        let pair = self.pairs[self.random.below(self.pairs.len())].clone();
        self.is_refused(site, self.via(), &pair.access, "a dead access token (I19)").await?;
        self.is_no_more_refreshed(site, &pair.refresh).await
    }

    /// Checks that no replica accepts an access token of the connection, and that its newest
    /// refresh token is refused.
    pub async fn is_dead_everywhere(&mut self, site: &Site) -> Checked<()> {
        for process in 0..2 {
            for pair in self.pairs.clone() {
                let status = self.status_at(site, process, &pair.access).await?;
                must(matches!(status, None | Some(401)), || {
                    format!("a dead access token gave {status:?} at {process} (I19)")
                })?;
            }
        }
        let newest = self.newest().refresh.clone();
        self.is_no_more_refreshed(site, &newest).await
    }

    async fn is_no_more_refreshed(&mut self, site: &Site, token: &str) -> Checked<()> {
        let request = self.refreshing(site, self.via(), token);
        let (reply, _) = site.until_answered(self.via(), request, &mut self.story).await?;
        let is_refused = matches!(
            (reply.status, reply.member("error").as_deref(), self.ended),
            (400, Some("invalid_grant"), _) | (401, Some("invalid_client"), Some(Ending::Deleted))
        );
        must(is_refused, || format!("a dead refresh token gave {} (I19)", reply.brief()))
    }

    /// Checks the tokens after all phases, with both replicas running.
    pub async fn is_as_it_ended(&mut self, site: &Site) -> Checked<()> {
        self.story.note("the end");
        self.call_with_expired(site).await?;
        if self.ended.is_some() {
            return self.is_dead_everywhere(site).await;
        }
        self.refresh(site, Step::Refresh).await?;
        for process in 0..2 {
            let is_served = self.is_served(site, Via::Process(process), "the last token").await?;
            must(is_served, || format!("a new token was not served at {process} (I14)"))?;
        }
        for access in self.revoked.clone() {
            self.is_refused(site, self.via(), &access, "a revoked access token (I19)").await?;
        }
        Ok(())
    }

    /// Returns the status of the API at one replica, or `None` while it is down.
    async fn status_at(
        &mut self,
        site: &Site,
        process: usize,
        access: &str,
    ) -> Checked<Option<u16>> {
        let via = Via::Process(process);
        loop {
            match site.send(via, site.api(via, access)).await? {
                Ok(reply) => return Ok(Some(reply.status)),
                Err(Lost::Unavailable) => sleep(PAUSE).await,
                Err(lost) => {
                    self.story.note(format!("{lost:?} at {process}"));
                    return Ok(None);
                }
            }
        }
    }
}

/// Calls the API in every way, until a call that began after the acknowledgement is answered. That
/// one must be refused.
async fn call_until(
    site: &Site,
    access: &str,
    acknowledged: &AtomicBool,
    story: &mut Story,
) -> Checked<()> {
    let ways = [Via::Proxy, Via::Process(0), Via::RepeatingProxy, Via::Process(1)];
    for via in ways.into_iter().cycle() {
        let is_after = acknowledged.load(SeqCst);
        let Ok(Reply { status, .. }) = site.send(via, site.api(via, access)).await? else {
            sleep(PAUSE).await;
            continue;
        };
        story.note(status.to_string());
        must(status == 401 || status == 200 && !is_after, || {
            format!("a call after the revocation gave {status} by {via:?} (I19)")
        })?;
        if is_after {
            break;
        }
    }
    Ok(())
}
