//! The key that verifies an assertion: one of its issuer's, by the issuer's algorithms.

use std::borrow::Cow;

use super::super::context::Context;
use super::Stop;
use crate::jws::{Fault, Generation, Header, KeysUrl, PublicKey};
use crate::outside::{KeysAnswer, KeysRequest, Need};
use crate::policy::{IssuerKeys, TrustedIssuer};
use crate::reason::Reason;

/// Returns the key that the header of the assertion is about.
pub(super) fn issuer_key<'a>(
    issuer: &'a TrustedIssuer,
    header: &Header,
    ctx: &Context<'_>,
) -> Result<Cow<'a, PublicKey>, Stop> {
    match &issuer.keys {
        IssuerKeys::Inline(keys) => Ok(Cow::Borrowed(keys.select(header, issuer.algorithms)?)),
        IssuerKeys::At(url) => fetched_key(url, issuer, header, ctx).map(Cow::Owned),
    }
}

/// Returns the key of a set that was fetched. If the set in hand lacks the key, the issuer may have
/// a new one: a newer set is asked for, once.
fn fetched_key(
    url: &KeysUrl,
    issuer: &TrustedIssuer,
    header: &Header,
    ctx: &Context<'_>,
) -> Result<PublicKey, Stop> {
    let (keys, generation) = match fetched(url, None, ctx)? {
        KeysAnswer::Set(keys, generation) => (keys, *generation),
        KeysAnswer::Unavailable | KeysAnswer::Current => {
            return Err(Reason::KeysUnreachable.into());
        }
    };
    match keys.select(header, issuer.algorithms, None) {
        Err(Fault::Key) => {}
        other => return Ok(other?),
    }
    match fetched(url, Some(generation), ctx)? {
        KeysAnswer::Set(keys, _) => Ok(keys.select(header, issuer.algorithms, None)?),
        KeysAnswer::Current => Err(Fault::Key.into()),
        // The key may be in a set that could not be fetched.
        KeysAnswer::Unavailable => Err(Reason::KeysUnreachable.into()),
    }
}

fn fetched<'a>(
    url: &KeysUrl,
    newer_than: Option<Generation>,
    ctx: &Context<'a>,
) -> Result<&'a KeysAnswer, Stop> {
    let request = KeysRequest::of_issuer(url, newer_than);
    let answer = ctx.loaded.answers.keys(&request);
    answer.ok_or(Stop::Needs(Need::Keys(request)))
}
