//! A connected client and its steps, with the conditions of each. Revocations and their conditions
//! are in `ending.rs`.

use std::time::{Duration, Instant};

use super::ending::Ending;
use super::site::{Reply, SHORT, Site, Via};
use super::story::{Checked, Story, Violation, must};
use crate::load::random::Random;

/// The tokens of one token response.
#[derive(Clone)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
    /// Until then the access token is certainly valid, and after that certainly not. The server
    /// counts whole seconds.
    pub valid_until: Instant,
    pub expired_at: Instant,
}

pub struct Client {
    pub number: usize,
    pub user: usize,
    pub id: String,
    /// The path and the token of the client's registration.
    pub registration: (String, String),
    pub random: Random,
    /// The tokens of each generation, oldest first.
    pub pairs: Vec<Pair>,
    /// The access tokens that were revoked alone.
    pub revoked: Vec<String>,
    /// The phase in which the client ends, and how.
    pub plan: Option<(usize, Ending)>,
    pub ended: Option<Ending>,
    pub story: Story,
}

/// A step of a client, beside the call that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Refresh,
    RefreshRetried,
    RefreshDoubled,
    RefreshShort,
    ExpiredCall,
    RevokeAccess,
    ForeignRefresh,
    OtherResource,
}

impl Step {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Refresh, "refreshes"),
        (Self::RefreshRetried, "refreshes, again after the answer"),
        (Self::RefreshDoubled, "refreshes, by both proxies at once"),
        (Self::RefreshShort, "refreshes to a short-lived access token"),
        (Self::ExpiredCall, "calls with an expired token"),
        (Self::RevokeAccess, "access tokens revoked alone"),
        (Self::ForeignRefresh, "refresh tokens of another client presented"),
        (Self::OtherResource, "calls of another resource"),
    ];

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(_, name)| name)
    }
}

impl Client {
    /// Returns the client's way to the service. Neighbours differ in it.
    pub fn via(&self) -> Via {
        if self.number.is_multiple_of(2) { Via::Proxy } else { Via::RepeatingProxy }
    }

    pub fn newest(&self) -> &Pair {
        self.pairs.last().unwrap()
    }

    /// Takes a step. The client is connected.
    pub async fn step(&mut self, site: &Site) -> Checked<()> {
        self.call(site).await?;
        let (step, name) = self.random.one_of(&Step::ALL);
        self.story.note(name);
        let taken = match step {
            Step::ExpiredCall => self.call_with_expired(site).await?,
            Step::RevokeAccess => self.revoke_access(site).await.map(|()| true)?,
            Step::ForeignRefresh => self.present_foreign(site).await?,
            Step::OtherResource => self.call_other_resource(site).await.map(|()| true)?,
            _ => self.refresh(site, step).await.map(|()| true)?,
        };
        if taken {
            site.tally.count(name);
        }
        Ok(())
    }

    /// Calls the API with the newest access token. A client whose access token has ended refreshes.
    async fn call(&mut self, site: &Site) -> Checked<()> {
        self.story.note("call");
        let via = self.via();
        if !self.is_served(site, via, "the newest access token").await? {
            self.refresh(site, Step::Refresh).await?;
            let is_served = self.is_served(site, via, "a new access token").await?;
            must(is_served, || "a new access token was not served (I14)".into())?;
        }
        Ok(())
    }

    /// Calls the API with the newest access token, and returns whether the call was served, as it
    /// must be unless the token expired or was revoked alone.
    pub async fn is_served(&mut self, site: &Site, via: Via, what: &str) -> Checked<bool> {
        let Pair { access, valid_until, expired_at, .. } = self.newest().clone();
        let began = Instant::now();
        let request = site.api(via, &access);
        let (reply, _) = site.until_answered(via, request, &mut self.story).await?;
        let must_refuse = began >= expired_at || self.revoked.contains(&access);
        let must_serve = Instant::now() < valid_until && !must_refuse;
        match reply.status {
            200 if must_refuse => Err(Violation(format!("{what} is dead, and was served"))),
            401 if must_serve => Err(Violation(format!("{what} is valid, and was refused (I14)"))),
            200 => {
                let is_own = reply.member("client_id").as_ref() == Some(&self.id)
                    && reply.member("subject") == Some(super::site::user(self.user));
                must(is_own, || "a call was served as another's".into())?;
                site.tally.count("calls served");
                Ok(true)
            }
            401 => Ok(false),
            _ => Err(Violation(format!("{what} gave {}", reply.brief()))),
        }
    }

    /// Refreshes in one of several ways. All responses must have the same tokens (I11).
    pub async fn refresh(&mut self, site: &Site, step: Step) -> Checked<()> {
        let token = self.newest().refresh.clone();
        let began = Instant::now();
        let mut replies = Vec::new();
        let mut wanted = 1;
        match step {
            Step::RefreshRetried => wanted = 2,
            Step::RefreshDoubled => {
                wanted = 2;
                let (one, other) = tokio::join!(
                    site.send(Via::Proxy, self.refreshing(site, Via::Proxy, &token)),
                    site.send(
                        Via::RepeatingProxy,
                        self.refreshing(site, Via::RepeatingProxy, &token)
                    )
                );
                let both = [one?, other?];
                for answer in &both {
                    self.note(answer.as_ref().map_err(|lost| *lost));
                }
                replies.extend(both.into_iter().flatten());
            }
            Step::RefreshShort => {
                let via = Via::Process(SHORT);
                let answer = site.send(via, self.refreshing(site, via, &token)).await?;
                self.note(answer.as_ref().map_err(|lost| *lost));
                replies.extend(answer);
            }
            _ => {}
        }
        // Lost requests are sent again.
        while replies.len() < wanted {
            let via = self.via();
            let request = self.refreshing(site, via, &token);
            replies.push(site.until_answered(via, request, &mut self.story).await?.0);
        }
        let mut pairs = Vec::new();
        for reply in &replies {
            let pair = pair(reply, began);
            pairs.push(
                pair.ok_or_else(|| Violation(format!("a refresh gave {} (I14)", reply.brief())))?,
            );
        }
        let is_one = pairs
            .iter()
            .all(|pair| pair.access == pairs[0].access && pair.refresh == pairs[0].refresh);
        must(is_one, || "two successors of one refresh token (I11)".into())?;
        self.pairs.extend(pairs.into_iter().next());
        *crate::load::lock(&site.found) = Some((self.number, self.newest().refresh.clone()));
        Ok(())
    }

    /// Calls the API with a token that has certainly expired. Returns whether the client has one.
    pub async fn call_with_expired(&mut self, site: &Site) -> Checked<bool> {
        let now = Instant::now();
        let expired = self.pairs.iter().rev().find(|pair| pair.expired_at <= now);
        let Some(access) = expired.map(|pair| pair.access.clone()) else { return Ok(false) };
        self.is_refused(site, self.via(), &access, "an expired token").await?;
        Ok(true)
    }

    /// Revokes the newest access token by RFC 7009. The connection stays.
    async fn revoke_access(&mut self, site: &Site) -> Checked<()> {
        let access = self.newest().access.clone();
        let form = [("client_id", self.id.as_str()), ("token", &access)];
        let request = site.post(self.via(), "/oauth/revoke", &form);
        let (reply, _) = site.until_answered(self.via(), request, &mut self.story).await?;
        must(reply.status == 200, || format!("a revocation gave {}", reply.brief()))?;
        self.revoked.push(access.clone());
        self.is_refused(site, self.via(), &access, "a revoked access token (I19)").await
    }

    /// Presents a refresh token of another client, which is refused, and harms nobody. Returns
    /// whether there is one.
    async fn present_foreign(&mut self, site: &Site) -> Checked<bool> {
        let found = crate::load::lock(&site.found).clone();
        let Some((_, token)) = found.filter(|(owner, _)| *owner != self.number) else {
            return Ok(false);
        };
        let request = self.refreshing(site, self.via(), &token);
        let (reply, _) = site.until_answered(self.via(), request, &mut self.story).await?;
        must(
            reply.status == 400 && reply.member("error").as_deref() == Some("invalid_grant"),
            || format!("a refresh token of another client gave {}", reply.brief()),
        )?;
        Ok(true)
    }

    /// Calls another resource than the access token is for.
    async fn call_other_resource(&mut self, site: &Site) -> Checked<()> {
        let access = &self.newest().access;
        let request = site.http().get(site.url(self.via(), "/mcp")).bearer_auth(access);
        let (reply, _) = site.until_answered(self.via(), request, &mut self.story).await?;
        must(reply.status == 401, || format!("another resource gave {}", reply.brief()))
    }

    /// Calls the API with an access token that must be refused.
    pub async fn is_refused(
        &mut self,
        site: &Site,
        via: Via,
        access: &str,
        what: &str,
    ) -> Checked<()> {
        let request = site.api(via, access);
        let (reply, _) = site.until_answered(via, request, &mut self.story).await?;
        must(reply.status == 401, || format!("{what} gave {} by {via:?}", reply.brief()))?;
        site.tally.count("calls refused");
        Ok(())
    }

    pub fn refreshing(&self, site: &Site, via: Via, token: &str) -> reqwest::RequestBuilder {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.id.as_str()),
            ("refresh_token", token),
        ];
        site.post(via, "/oauth/token", &form)
    }

    fn note(&mut self, answer: Result<&Reply, super::site::Lost>) {
        self.story.note(match answer {
            Ok(reply) => reply.brief(),
            Err(lost) => format!("{lost:?}"),
        });
    }
}

/// Returns the tokens of a response to a request that began then.
pub fn pair(reply: &Reply, began: Instant) -> Option<Pair> {
    const SECOND: Duration = Duration::from_secs(1);
    let lifetime = Duration::from_secs(reply.value("expires_in")?.as_u64()?);
    let pair = Pair {
        access: reply.member("access_token")?,
        refresh: reply.member("refresh_token")?,
        valid_until: began + lifetime.saturating_sub(SECOND),
        expired_at: Instant::now() + lifetime + SECOND,
    };
    Some(pair).filter(|_| reply.status == 200)
}
