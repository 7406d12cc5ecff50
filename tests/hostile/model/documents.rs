//! The documents of clients, at URLs where they change, fail or become something else.

use std::time::Duration;

use grantcore::outside::FetchedResponse;
use grantcore::request::Fetch;
use serde_json::json;

use super::clients::Published;
use super::play::{Play, names};
use super::registration::REDIRECTS;
use super::rig::{DOCUMENTS, SCOPES};
use crate::random::Random;

/// What a document begins with.
pub fn first(document: usize) -> Published {
    let redirects = vec![REDIRECTS[document].to_owned()];
    Published::Document { redirects, scope: 7, fresh_for: None }
}

impl Play {
    /// The owner of a document replaces it, or its server fails from now on.
    pub fn publish(&mut self) {
        let document = self.random.below(DOCUMENTS.len());
        self.published[document] = match self.random.below(8) {
            0 => Published::Bad,
            1 => Published::Busy,
            _ => Published::Document {
                redirects: self.some_redirects(),
                scope: 1 + self.random.small(7),
                fresh_for: *self.random.pick(&[None, Some(10), Some(120), Some(90_000)]),
            },
        };
    }
}

/// Returns what a fetch of this URL gives.
pub fn fetched(
    published: &Published,
    url: &str,
    random: &mut Random,
) -> Result<FetchedResponse, Fetch<'static>> {
    let mut document = json!({
        "client_id": url,
        "client_name": "A client",
        "redirect_uris": [REDIRECTS[0]],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let mut response = FetchedResponse {
        status: 200,
        content_type: Some(b"application/json".to_vec()),
        ..FetchedResponse::default()
    };
    match published {
        Published::Busy => return Err(Fetch::Busy),
        Published::Document { redirects, scope, fresh_for } => {
            document["redirect_uris"] = json!(redirects);
            document["scope"] = json!(names(&SCOPES, *scope));
            response.fresh_for = fresh_for.map(Duration::from_secs);
        }
        Published::Bad => match random.below(8) {
            0 => return Err(Fetch::Failed),
            1 => response.status = 301,
            2 => response.status = 404,
            3 => response.content_type = Some(b"text/html".to_vec()),
            4 => document["client_id"] = json!(format!("{url}/")),
            5 => document["client_secret"] = json!("published"),
            6 => document["redirect_uris"] = json!([]),
            _ => document["client_name"] = json!("x".repeat(5_200)),
        },
    }
    response.body = document.to_string().into_bytes();
    Ok(response)
}
