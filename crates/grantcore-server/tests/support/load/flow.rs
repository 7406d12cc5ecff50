//! One flow of one client: from the consent page over some refreshes to its end, and what must hold
//! at each step. What must hold of all of them together, and after everything, is in `verdict.rs`
//! and `mod.rs`.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::browser::Browser;
use super::random::Random;
use super::service::{Lost, Reply, Service};
use crate::support::{CALLBACK, VERIFIER};

/// Within this, a used token is surely within W of 30 s, which counts whole seconds. Later than
/// that nothing is concluded.
const SURELY_WITHIN: Duration = Duration::from_secs(28);
/// A client that is not answered waits as long before it asks again, and asks as often.
pub const PAUSE: Duration = Duration::from_millis(20);
pub const MOST_TRIES: usize = 1000;

/// Why a flow did not go on.
#[derive(Debug)]
pub enum End {
    /// An answer was lost on the way to the tokens: the user begins again.
    StartOver,
    /// This machine was too slow for the window; whether that was right cannot be known.
    Late,
    /// What must not be.
    Violation(String),
}

pub type Checked<T> = Result<T, End>;

/// What a flow is for: how it ends, or what comes in between.
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

/// What a client that had an answer keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

pub struct Flow<'l> {
    pub service: &'l Service,
    pub random: Random,
    pub ending: Ending,
    /// One of each generation, in their order.
    pub pairs: Vec<Pair>,
    /// When the refresh token of each generation but the last was first used.
    pub used: Vec<Instant>,
    /// What happened, for whoever has to find out why it went wrong.
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

    /// Each in its turn.
    pub fn of(flow: usize) -> Self {
        Self::ALL[flow % Self::ALL.len()].0
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(ending, _)| *ending == self).unwrap().1
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(_, name)| name)
    }

    /// Whether its tokens work at the end.
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
    /// From the consent page to the end.
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
        self.told(format!("allowed at {node}"));
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

    /// The request, until it is answered: what is lost is sent again, to the other process.
    pub async fn until_answered(&mut self, path: &str, form: &[(&str, &str)]) -> Checked<Reply> {
        let first = self.random.below(2);
        for attempt in 0..MOST_TRIES {
            let node = (first + attempt) % 2;
            let answer = self.service.post(node, path, form).await;
            self.told_answer(node, &answer);
            if let Ok(reply) = answer {
                return Ok(reply);
            }
            self.service.tally.count("requests sent again");
            sleep(PAUSE).await;
        }
        Err(violation(format!("{path} was never answered")))
    }

    async fn redeem(&mut self, code: &str) -> Checked<Pair> {
        self.told("redeem".into());
        let (form, first) = (redemption(code, VERIFIER), self.random.below(2));
        let mut reply = self.service.post(first, "/oauth/token", &form).await;
        self.told_answer(first, &reply);
        // It was not even sent: so the code is not spent.
        if reply.as_ref().err() == Some(&Lost::Refused) {
            reply = self.service.post(1 - first, "/oauth/token", &form).await;
            self.told_answer(1 - first, &reply);
        }
        let reply = reply.map_err(|_| End::StartOver)?;
        pair(&reply).ok_or_else(|| violation(format!("a new code gave {}", reply.brief())))
    }

    /// The same code at both processes: one of them may answer, and as the other was valid too,
    /// nothing of it lives.
    async fn race(&mut self, code: &str) -> Checked<()> {
        self.told("redeem at both".into());
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

    /// One of the ways in which a client refreshes; all of them must give one and the same pair
    /// (I11).
    pub async fn refresh(&mut self) -> Checked<()> {
        let (token, used, kind) =
            (self.newest().refresh.clone(), Instant::now(), self.random.one_of(&Refresh::ALL));
        self.told(kind.name().into());
        let form = refreshing(&token);
        let (mut answers, asked) = match kind {
            Refresh::Plain => (Vec::new(), 1),
            Refresh::Retried => (Vec::new(), 2),
            Refresh::Doubled => (self.at_both(&form).await, 2),
            Refresh::GivenUp => {
                let early = self.given_up(&form).await;
                let asked = early.len() + 1;
                (early, asked)
            }
        };
        // Whatever was lost is sent again.
        while answers.len() < asked {
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

    /// The same request to both processes at once: what they answer.
    async fn at_both(&mut self, form: &[(&str, &str)]) -> Vec<Reply> {
        let (one, other) = tokio::join!(
            self.service.post(0, "/oauth/token", form),
            self.service.post(1, "/oauth/token", form)
        );
        for (node, answer) in [&one, &other].into_iter().enumerate() {
            self.told_answer(node, answer);
        }
        [one, other].into_iter().flatten().collect()
    }

    /// A request whose connection the client closes after an instant: the answer, if it was faster.
    async fn given_up(&mut self, form: &[(&str, &str)]) -> Vec<Reply> {
        let (node, patience) =
            (self.random.below(2), Duration::from_millis(self.random.below(6) as u64 + 1));
        let answer = timeout(patience, self.service.post(node, "/oauth/token", form)).await;
        match &answer {
            Ok(answer) => self.told_answer(node, answer),
            Err(_) => self.service.tally.count("requests given up"),
        }
        answer.into_iter().flatten().collect()
    }

    /// Two rotations lie within W: it is refused, and nobody is logged out for it (I12).
    async fn present_old_token(&mut self) -> Checked<()> {
        let newest = self.pairs.len() - 1;
        let old = self.pairs[self.random.below(newest - 1)].refresh.clone();
        let before = self.used[newest - 2];
        self.told("an old refresh token".into());
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

    /// By RFC 7009, with any refresh token of the family (I19).
    async fn revoke(&mut self) -> Checked<()> {
        let any = self.random.below(self.pairs.len());
        let token = self.pairs[any].refresh.clone();
        self.told("revoke".into());
        let reply = self
            .until_answered("/oauth/revoke", &[("client_id", CLIENT), ("token", &token)])
            .await?;
        must(reply.status == 200, || format!("a revocation gave {}", reply.brief()))?;
        self.is_dead_everywhere().await
    }

    pub async fn is_refused(&mut self, what: &str, form: &[(&str, &str)]) -> Checked<()> {
        self.told(what.into());
        let reply = self.until_answered("/oauth/token", form).await?;
        must(is_invalid_grant(&reply), || format!("{what} gave {}", reply.brief()))
    }

    pub fn newest(&self) -> &Pair {
        self.pairs.last().unwrap()
    }

    fn told_answer(&mut self, node: usize, answer: &Result<Reply, Lost>) {
        self.told(match answer {
            Ok(reply) => format!("{} from {node}", reply.brief()),
            Err(lost) => format!("{lost:?} at {node}"),
        });
    }

    pub fn told(&mut self, what: String) {
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

/// The pair, if a refresh token that was current at `used` gave it; an honest client is refused
/// only after W (I14).
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
