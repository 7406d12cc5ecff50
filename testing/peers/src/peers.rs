//! The same steps at other authorization servers, each with its own store in memory and the entropy
//! that it draws itself.

mod oauth_as;
mod oxide_auth;

use crate::support::steps::Measured;

pub(crate) fn all() -> Vec<Measured> {
    let mut all = oauth_as::steps();
    all.extend(oxide_auth::steps());
    all
}
