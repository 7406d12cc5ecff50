//! One flow of one client, from the consent page over some refreshes to its end, with the
//! conditions of each step. The conditions at the end, and those of all flows together, are in
//! `verdict.rs` and `mod.rs`.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::browser::Browser;
use super::random::Random;
use super::service::{Lost, Reply, Service};
use crate::support::{CALLBACK, VERIFIER};

/// A token that was used this long ago is certainly within W, which is 30 s counted in whole
/// seconds. After a longer time, no conclusion is drawn.
const SURELY_WITHIN: Duration = Duration::from_secs(28);
/// The pause of a client before it sends an unanswered request again.
pub const INTERVAL: Duration = Duration::from_millis(20);
pub const ATTEMPT_LIMIT: usize = 1000;

/// Why a flow did not complete.
#[derive(Debug)]
pub enum End {
    /// A response was lost before the first tokens, so the user starts over.
    StartOver,
    /// The machine was too slow for the window, so the response cannot be judged.
    Late,
    /// A condition does not hold.
    Violation(String),
}

pub type Checked<T> = Result<T, End>;

/// The kind of a flow: how it ends, or its special step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    LeftAlive,
    WrongVerifierFirst,
    OldTokenReplayed,
    Revoked,
    CodeReplayed,
    CodeRaced,
    Denied,
}

/// The tokens of one token response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

pub struct Flow<'l> {
    pub service: &'l Service,
    pub random: Random,
    pub ending: Ending,
    /// The tokens of each generation, oldest first.
    pub pairs: Vec<Pair>,
    /// The first use of the refresh token of each generation except the last.
    pub used: Vec<Instant>,
    /// The steps and responses so far, to explain a violation.
    pub story: Vec<String>,
}

impl Ending {
    const ALL: [(Self, &'static str); 7] = [
        (Self::LeftAlive, "flows left alive"),
        (Self::WrongVerifierFirst, "flows with a wrong verifier first"),
        (Self::OldTokenReplayed, "flows with a refresh token two rotations old"),
        (Self::Revoked, "flows revoked by the client"),
        (Self::CodeReplayed, "flows with a replay of the code"),
        (Self::CodeRaced, "flows with the code at both processes at once"),
        (Self::Denied, "flows denied"),
    ];

    /// Returns the kind of a flow by its number, so that all kinds are used equally often.
    pub fn of(flow: usize) -> Self {
        Self::ALL[flow % Self::ALL.len()].0
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(ending, _)| *ending == self).unwrap().1
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(_, name)| name)
    }

    /// Returns whether the tokens of the flow are valid at the end.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::LeftAlive | Self::WrongVerifierFirst | Self::OldTokenReplayed)
    }
}

/// How a refresh token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    Plain,
    Retried,
    Doubled,
    GivenUp,
}

impl Refresh {
    const ALL: [Self; 4] = [Self::Plain, Self::Retried, Self::Doubled, Self::GivenUp];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "refreshes, plain",
            Self::Retried => "refreshes, again after the answer",
            Self::Doubled => "refreshes, at both processes at once",
            Self::GivenUp => "refreshes, again after the client gave up waiting",
        }
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }
}

impl Flow<'_> {
    /// Runs the flow from the consent page to its end.
    pub async fn run(&mut self, browser: &Browser) -> Checked<()> {
        let node = self.random.below(2);
        let decision = if self.ending == Ending::Denied { "deny" } else { "allow" };
        let answer = browser.decide(self.service, node, decision).await?;
        if self.ending == Ending::Denied {
            let is_denied =
                answer.code.is_none() && answer.error.as_deref() == Some("access_denied");
            return must(is_denied, || format!("a denial gave {:?}", answer.error));
        }
        let Some(code) = answer.code else {
            return Err(violation(format!("no code but {:?}", answer.error)));
        };
        self.note(format!("allowed at {node}"));
        match self.ending {
            Ending::CodeRaced => return self.race(&code).await,
            Ending::WrongVerifierFirst => self.present_wrong_verifier(&code).await?,
            _ => {}
        }
        let pair = self.redeem(&code).await?;
        self.pairs.push(pair);
        let fewest = if self.ending == Ending::OldTokenReplayed { 2 } else { 1 };
        for _ in 0..fewest + self.random.below(5 - fewest) {
            self.refresh().await?;
        }
        self.is_alive_everywhere().await?;
        self.end(&code).await
    }

    async fn end(&mut self, code: &str) -> Checked<()> {
        match self.ending {
            Ending::Revoked => self.revoke().await,
            Ending::CodeReplayed => {
                self.is_refused("the code again (I8)", &redemption(code, VERIFIER)).await?;
                self.is_dead_everywhere().await
            }
            Ending::OldTokenReplayed => self.present_old_token().await,
            _ => Ok(()),
        }
    }

    /// Sends a request until it is answered. A lost request is sent again to the other process.
    pub async fn until_answered(&mut self, path: &str, form: &[(&str, &str)]) -> Checked<Reply> {
        let first = self.random.below(2);
        for attempt in 0..ATTEMPT_LIMIT {
            let node = (first + attempt) % 2;
            let answer = self.service.post(node, path, form).await;
            self.note_answer(node, &answer);
            if let Ok(reply) = answer {
                return Ok(reply);
            }
            self.service.tally.count("requests sent again");
            sleep(INTERVAL).await;
        }
        Err(violation(format!("{path} was never answered")))
    }

    async fn redeem(&mut self, code: &str) -> Checked<Pair> {
        self.note("redeem".into());
        let form = redemption(code, VERIFIER);
        let first = self.random.below(2);
        let mut reply = self.service.post(first, "/oauth/token", &form).await;
        self.note_answer(first, &reply);
        // The request was not sent, so the code is not used.
        if reply.as_ref().err() == Some(&Lost::Refused) {
            reply = self.service.post(1 - first, "/oauth/token", &form).await;
            self.note_answer(1 - first, &reply);
        }
        let reply = reply.map_err(|_| End::StartOver)?;
        pair(&reply).ok_or_else(|| violation(format!("a new code gave {}", reply.brief())))
    }

    /// Redeems the same code at both processes. At most one yields tokens, and the other request
    /// revokes them.
    async fn race(&mut self, code: &str) -> Checked<()> {
        self.note("redeem at both".into());
        let form = redemption(code, VERIFIER);
        let answers = self.at_both(&form).await;
        self.pairs = answers.iter().filter_map(pair).collect();
        match (self.pairs.len(), answers.len()) {
            (2, _) => return Err(violation("two token pairs for one code (I6)".into())),
            (1, _) => {}
            (_, 2) => return Err(violation("a new code was refused by both".into())),
            _ => return Err(End::StartOver),
        }
        self.is_refused("the code once more (I8)", &form).await?;
        self.is_dead_everywhere().await
    }

    async fn present_wrong_verifier(&mut self, code: &str) -> Checked<()> {
        let other = "a-verifier-that-is-well-formed-and-of-another-client";
        self.is_refused("a wrong verifier (I9)", &redemption(code, other)).await
    }

    /// Refreshes in one of several ways. All responses must have the same tokens (I11).
    pub async fn refresh(&mut self) -> Checked<()> {
        let token = self.newest().refresh.clone();
        let used = Instant::now();
        let kind = self.random.one_of(&Refresh::ALL);
        self.note(kind.name().into());
        let form = refreshing(&token);
        let (mut answers, wanted) = match kind {
            Refresh::Plain => (Vec::new(), 1),
            Refresh::Retried => (Vec::new(), 2),
            Refresh::Doubled => (self.at_both(&form).await, 2),
            Refresh::GivenUp => {
                let received = self.given_up(&form).await;
                let wanted = received.len() + 1;
                (received, wanted)
            }
        };
        // Lost requests are sent again.
        while answers.len() < wanted {
            answers.push(self.until_answered("/oauth/token", &form).await?);
        }
        let pairs: Vec<Pair> =
            answers.iter().map(|reply| successor(reply, used)).collect::<Checked<_>>()?;
        must(pairs.iter().all(|pair| *pair == pairs[0]), || {
            "two successors of one refresh token (I11)".into()
        })?;
        self.service.tally.count(kind.name());
        self.used.push(used);
        self.pairs.extend(pairs.into_iter().next());
        Ok(())
    }

    /// Sends the same request to both processes in parallel, and returns their responses.
    async fn at_both(&mut self, form: &[(&str, &str)]) -> Vec<Reply> {
        let (one, other) = tokio::join!(
            self.service.post(0, "/oauth/token", form),
            self.service.post(1, "/oauth/token", form)
        );
        for (node, answer) in [&one, &other].into_iter().enumerate() {
            self.note_answer(node, answer);
        }
        [one, other].into_iter().flatten().collect()
    }

    /// Sends a request and closes its connection after a few milliseconds. Returns the response if
    /// it came before.
    async fn given_up(&mut self, form: &[(&str, &str)]) -> Vec<Reply> {
        let node = self.random.below(2);
        let patience = Duration::from_millis(self.random.below(6) as u64 + 1);
        let answer = timeout(patience, self.service.post(node, "/oauth/token", form)).await;
        match &answer {
            Ok(answer) => self.note_answer(node, answer),
            Err(_) => self.service.tally.count("requests given up"),
        }
        answer.into_iter().flatten().collect()
    }

    /// Presents a refresh token that is two rotations old, within W: it is refused, and the grant
    /// is not revoked (I12).
    async fn present_old_token(&mut self) -> Checked<()> {
        let newest = self.pairs.len() - 1;
        let old = self.pairs[self.random.below(newest - 1)].refresh.clone();
        let before = self.used[newest - 2];
        self.note("an old refresh token".into());
        let reply = self.until_answered("/oauth/token", &refreshing(&old)).await?;
        if before.elapsed() >= SURELY_WITHIN {
            return Err(End::Late);
        }
        must(is_invalid_grant(&reply), || {
            format!("a refresh token two rotations old gave {} (I12)", reply.brief())
        })?;
        self.refresh().await?;
        self.is_alive_everywhere().await
    }

    /// Revokes the grant by RFC 7009, with any refresh token of the family (I19).
    async fn revoke(&mut self) -> Checked<()> {
        let any = self.random.below(self.pairs.len());
        let token = self.pairs[any].refresh.clone();
        self.note("revoke".into());
        let reply = self
            .until_answered("/oauth/revoke", &[("client_id", CLIENT), ("token", &token)])
            .await?;
        must(reply.status == 200, || format!("a revocation gave {}", reply.brief()))?;
        self.is_dead_everywhere().await
    }

    pub async fn is_refused(&mut self, what: &str, form: &[(&str, &str)]) -> Checked<()> {
        self.note(what.into());
        let reply = self.until_answered("/oauth/token", form).await?;
        must(is_invalid_grant(&reply), || format!("{what} gave {}", reply.brief()))
    }

    pub fn newest(&self) -> &Pair {
        self.pairs.last().unwrap()
    }

    fn note_answer(&mut self, node: usize, answer: &Result<Reply, Lost>) {
        self.note(match answer {
            Ok(reply) => format!("{} from {node}", reply.brief()),
            Err(lost) => format!("{lost:?} at {node}"),
        });
    }

    /// Adds a step or a response to the story.
    pub fn note(&mut self, what: String) {
        self.story.push(what);
    }
}

pub const CLIENT: &str = "demo-public";

fn redemption<'f>(code: &'f str, verifier: &'f str) -> [(&'f str, &'f str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", verifier),
    ]
}

pub fn refreshing(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)]
}

fn is_invalid_grant(reply: &Reply) -> bool {
    reply.status == 400 && reply.member("error").as_deref() == Some("invalid_grant")
}

fn pair(reply: &Reply) -> Option<Pair> {
    Some(Pair { access: reply.member("access_token")?, refresh: reply.member("refresh_token")? })
        .filter(|_| reply.status == 200)
}

/// Returns the tokens of a refresh with a token that was current at `used`. An honest client is
/// refused only after W (I14).
fn successor(reply: &Reply, used: Instant) -> Checked<Pair> {
    match pair(reply) {
        Some(pair) => Ok(pair),
        None if is_invalid_grant(reply) && used.elapsed() >= SURELY_WITHIN => Err(End::Late),
        None => Err(violation(format!("a refresh gave {} (I14)", reply.brief()))),
    }
}

pub fn must(holds: bool, else_what: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(violation(else_what())) }
}

pub fn violation(what: String) -> End {
    End::Violation(what)
}
