//! The payment for a call of a protected resource: one unit of the user's balance. The resource
//! draws it after it accepted the call and before it does the work.
//!
//! Here: the draw. Never here: which calls are paid, which the resources decide, and the response
//! to a call that cannot be paid, which the guard makes. A call that is refused for its form (host,
//! method, headers, or an unknown tool) draws nothing, so there are no refunds.

use std::sync::Arc;

use grantcore::value::Subject;
use tokio::sync::OnceCell;

use crate::store::{AnyLedger, Ledger as _};

/// The payment for one call. Clones share it.
#[derive(Clone)]
pub(crate) struct Payment(Arc<Inner>);

struct Inner {
    ledger: AnyLedger,
    subject: Subject,
    warns: bool,
    drawn: OnceCell<Drawn>,
}

/// The outcome of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// The call is paid. The rest of the balance.
    Left(u64),
    /// The balance is empty.
    Insufficient,
    /// The ledger failed.
    Unavailable,
}

/// The call is not paid, so the resource must do nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unpaid;

impl Payment {
    /// Creates a payment by this user. If `warns` is set, the rest of the balance is shown.
    pub(crate) fn by(subject: &str, warns: bool, ledger: AnyLedger) -> Self {
        let drawn = OnceCell::new();
        Self(Arc::new(Inner { ledger, subject: Subject::new(subject), warns, drawn }))
    }

    /// Draws the unit, once however often it is called. The balance cannot become negative: of two
    /// calls for the last unit, one is paid. Returns the rest of the balance if the user is to be
    /// warned.
    pub(crate) async fn draw(&self) -> Result<Option<u64>, Unpaid> {
        let Inner { ledger, subject, .. } = &*self.0;
        let draw = async || match ledger.spend(subject.as_str()).await {
            Ok(Some(left)) => Drawn::Left(left),
            Ok(None) => Drawn::Insufficient,
            Err(error) => {
                tracing::error!(%error, "the database failed");
                Drawn::Unavailable
            }
        };
        match self.0.drawn.get_or_init(draw).await {
            Drawn::Left(_) => Ok(self.low()),
            Drawn::Insufficient | Drawn::Unavailable => Err(Unpaid),
        }
    }

    /// Returns the outcome of the draw, or `None` before it.
    pub(crate) fn drawn(&self) -> Option<Drawn> {
        self.0.drawn.get().copied()
    }

    /// Returns the rest of the balance after the draw if the user is to be warned.
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
        let ledger = AnyLedger::memory();
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
