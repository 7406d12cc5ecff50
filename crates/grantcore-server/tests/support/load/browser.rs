//! The browser of one worker. It signs in at each process separately, because sessions are in the
//! memory of a process. It does not handle tokens.

use reqwest::{Client, RequestBuilder, Url};

use super::flow::{Checked, End};
use super::service::{ISSUER, Lost, Reply, Service};
use crate::support::{CALLBACK, authorization_url, form, param, plain_client};

pub struct Browser {
    /// One client for each process, because the processes share a host and cookies belong to hosts.
    clients: [Client; 2],
}

/// The response to the consent form.
pub struct Answer {
    /// The code, if the user allowed the request.
    pub code: Option<String>,
    pub error: Option<String>,
}

impl Browser {
    pub fn new() -> Self {
        Self { clients: [plain_client(true), plain_client(true)] }
    }

    /// Signs in, opens the consent page and presses a button. After "deny", also presses "allow",
    /// which must not yield a code.
    pub async fn decide(&self, service: &Service, node: usize, decision: &str) -> Checked<Answer> {
        let kills = service.kills(node);
        // A killed process loses its sessions, so an unexpected page after that is no violation.
        let excused = |end| if service.kills(node) == kills { end } else { End::StartOver };
        let url = authorization_url(&service.url(node, ""), &format!("{ISSUER}/api"));
        let page = self.page(service, node, &url).await.map_err(excused)?;
        let reply = self.press(service, node, &page, decision).await?;
        let answer = answer(&reply).ok_or_else(|| excused(wrong("the consent page", &reply)))?;
        if decision == "deny" {
            let again = self.press(service, node, &page, "allow").await?;
            if again.location.is_some_and(|location| location.contains("code=")) {
                return Err(End::Violation("a code after the denial (I3)".into()));
            }
        }
        Ok(answer)
    }

    async fn page(&self, service: &Service, node: usize, url: &str) -> Checked<String> {
        let reply = self.visit(service, node, self.clients[node].get(url)).await?;
        let Some(login) = &reply.location else { return page(reply) };
        service.tally.count("logins");
        let join = |path: &str| service.url(node, path);
        let shown = page(self.visit(service, node, self.clients[node].get(join(login))).await?)?;
        let mut fields = form(&shown).fields;
        fields.extend([("username".into(), "alice".into()), ("password".into(), "alice".into())]);
        let signed_in = self
            .visit(service, node, self.clients[node].post(join("/login")).form(&fields))
            .await?;
        let Some(back) = signed_in.location else { return Err(wrong("signing in", &signed_in)) };
        page(self.visit(service, node, self.clients[node].get(join(&back))).await?)
    }

    async fn press(
        &self,
        service: &Service,
        node: usize,
        page: &str,
        decision: &str,
    ) -> Checked<Reply> {
        let mut form = form(page);
        form.fields.push(("decision".into(), decision.into()));
        self.visit(
            service,
            node,
            self.clients[node].post(service.url(node, &form.action)).form(&form.fields),
        )
        .await
    }

    /// Sends a request of the browser. If it is lost, the user starts over.
    async fn visit(
        &self,
        service: &Service,
        node: usize,
        request: RequestBuilder,
    ) -> Checked<Reply> {
        service.send(node, request).await.map_err(|_: Lost| End::StartOver)
    }
}

fn page(reply: Reply) -> Checked<String> {
    if reply.status == 200 && reply.location.is_none() {
        Ok(reply.body)
    } else {
        Err(wrong("a page", &reply))
    }
}

/// Returns the parameters of a redirect to the client.
fn answer(reply: &Reply) -> Option<Answer> {
    let url =
        Url::parse(reply.location.as_deref().filter(|location| location.starts_with(CALLBACK))?)
            .ok()?;
    Some(Answer { code: param(&url, "code"), error: param(&url, "error") })
}

fn wrong(what: &str, reply: &Reply) -> End {
    End::Violation(format!("{what} answered {}", reply.brief()))
}
