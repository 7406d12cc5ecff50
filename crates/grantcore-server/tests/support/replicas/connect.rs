//! The clients connect: each registers, asks its user for consent, and redeems its code. There are
//! no faults in the meantime.

use std::time::Instant;

use serde_json::json;

use super::client::{Client, pair};
use super::ending::Ending;
use super::site::{SHORT, Site, USERS, Via};
use super::story::{Checked, Story, Violation, must};
use crate::load::random::Random;
use crate::support::client::redemption;
use crate::support::{Browser, CALLBACK, authorization_url, param};

impl Client {
    /// Connects a client. Every fourth one has a short-lived access token at first.
    pub async fn connect(
        site: &Site,
        browsers: &[Browser],
        seed: u64,
        number: usize,
    ) -> Checked<Self> {
        let mut story = Story::default();
        let registration = json!({
            "client_name": format!("Client {number}"),
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
        });
        let request = site.http().post(site.url(Via::Proxy, "/oauth/register")).json(&registration);
        let (client, _) = site.until_answered(Via::Proxy, request, &mut story).await?;
        must(client.status == 201, || format!("a registration gave {}", client.brief()))?;
        let id = client.member("client_id").unwrap();
        let address = client.member("registration_client_uri").unwrap();
        let path = address.strip_prefix(&site.issuer()).unwrap().to_owned();
        let registration = (path, client.member("registration_access_token").unwrap());

        let user = number % USERS;
        let url = authorization_url(&site.issuer(), &format!("{}/api", site.issuer()));
        let url = url.replace("demo-public", &id);
        let code = param(&browsers[user].authorize(&url, "allow").await, "code").unwrap();

        let via = if number.is_multiple_of(4) { Via::Process(SHORT) } else { Via::Proxy };
        let form = redemption(&id, &code);
        let began = Instant::now();
        let request = site.post(via, "/oauth/token", &form);
        let (reply, _) = site.until_answered(via, request, &mut story).await?;
        let pair = pair(&reply, began)
            .ok_or_else(|| Violation(format!("a new code gave {}", reply.brief())))?;
        Ok(Self {
            number,
            user,
            id,
            registration,
            random: Random::of(seed, number),
            pairs: vec![pair],
            revoked: Vec::new(),
            plan: Ending::of(number),
            ended: None,
            story,
        })
    }
}
