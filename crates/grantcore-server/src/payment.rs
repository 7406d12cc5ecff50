//! What a call of a protected resource costs: one unit of the user's balance, drawn when the
//! resource has accepted the call and before it does its work.
//!
//! What lives here: the draw. What never does: which calls cost something, which the resources
//! decide by drawing, and the answer to a call that cannot be paid, which is the guard's. A call
//! that is refused for its form (its host, method, headers, or a tool that there is none of) draws
//! nothing, and there is nothing to give back.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::store::{AnyLedger, Ledger as _};

/// The payment of one call, in the extensions of its request. A clone is the same payment.
#[derive(Clone)]
pub(crate) struct Payment(Arc<Inner>);

struct Inner {
    ledger: AnyLedger,
    subject: String,
    warns: bool,
    drawn: OnceCell<Drawn>,
}

/// What came of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// The call is paid; so much is left.
    Left(u64),
    /// There was nothing to draw.
    Insufficient,
    /// The ledger cannot answer.
    Unavailable,
}

/// The call is not paid: nothing may be done for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unpaid;

impl Payment {
    /// A payment by this user, who is warned of what is left if that was little before.
    pub(crate) fn by(subject: &str, warns: bool, ledger: AnyLedger) -> Self {
        let drawn = OnceCell::new();
        Self(Arc::new(Inner { ledger, subject: subject.to_owned(), warns, drawn }))
    }

    /// Draws the unit, unless it has been drawn already. The write cannot go below nothing: of two
    /// calls for the last unit one is paid. Returns what is left, where the user is to be warned.
    pub(crate) async fn draw(&self) -> Result<Option<u64>, Unpaid> {
        let Inner { ledger, subject, .. } = &*self.0;
        let draw = async || match ledger.spend(subject).await {
            Ok(Some(left)) => Drawn::Left(left),
            Ok(None) => Drawn::Insufficient,
            Err(error) => {
                tracing::error!(%error, "the store failed");
                Drawn::Unavailable
            }
        };
        match self.0.drawn.get_or_init(draw).await {
            Drawn::Left(_) => Ok(self.low()),
            Drawn::Insufficient | Drawn::Unavailable => Err(Unpaid),
        }
    }

    /// What came of the draw, if there was one.
    pub(crate) fn drawn(&self) -> Option<Drawn> {
        self.0.drawn.get().copied()
    }

    /// What is left after the draw, where the user is to be warned.
    pub(crate) fn low(&self) -> Option<u64> {
        match self.drawn() {
            Some(Drawn::Left(left)) if self.0.warns => Some(left),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f04_of_two_calls_for_the_last_unit_one_is_paid_and_each_draws_once() {
        let ledger = AnyLedger::Memory(Arc::default());
        ledger.add_account("alice", 1).await.unwrap();
        let payments = [0, 1].map(|_| Payment::by("alice", true, ledger.clone()));
        assert_eq!(payments[0].drawn(), None);
        let (one, two) = tokio::join!(payments[0].draw(), payments[1].draw());
        assert_eq!((one, two), (Ok(Some(0)), Err(Unpaid)));
        assert_eq!(payments[0].draw().await, Ok(Some(0)), "drawn already");
        assert_eq!(payments[1].drawn(), Some(Drawn::Insufficient));
        assert_eq!(ledger.balance("alice").await.unwrap(), Some(0));
    }
}
