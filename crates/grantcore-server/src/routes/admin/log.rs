//! The administrator's front page, and the search in the audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use grantcore::{Reason, Store as _, Timestamp};
use serde::Deserialize;

use super::{Admin, address, failed};
use crate::app::App;
use crate::audit::{Entry, Search};
use crate::pages::{AdminHome, AppName, LogPage, Page, SearchForm, Step, utc};
use crate::store::BackendError;

const STEPS_AT_ONCE: usize = 50;

/// The front page, with an empty search.
pub(crate) async fn home(Admin(nav): Admin) -> Response {
    Page(AdminHome { nav, form: SearchForm::default() }).into_response()
}

/// The search, as typed, and the place of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SearchQuery {
    error: String,
    client: String,
    at: String,
    reference: String,
    subject: String,
    /// Is set if only refusals are searched for.
    refusals: String,
    /// The place before which the page begins.
    before: String,
}

pub(crate) async fn log(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(query): Query<SearchQuery>,
) -> Response {
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let around = time(&query.at);
    let bad_time = some(&query.at).is_some() && around.is_none();
    let refusals = !query.refusals.is_empty();
    let search = Search {
        error: some(&query.error),
        client: some(&query.client),
        around,
        reference: some(&query.reference),
        subject: some(&query.subject),
        flow: None,
        refusals,
    };
    let before = query.before.parse().ok();
    let SearchQuery { error, client, at, reference, subject, .. } = query;
    let form = SearchForm { error, client, at, reference, subject, bad_time, refusals };
    let page = |form: &SearchForm, refusals: bool, before: &str| {
        let parts = [
            ("error", &*form.error),
            ("client", &form.client),
            ("at", &form.at),
            ("subject", &form.subject),
            ("reference", &form.reference),
            ("refusals", if refusals { "1" } else { "" }),
            ("before", before),
        ];
        address("/admin/log", &parts)
    };
    let mut shown = LogPage {
        nav,
        everything: page(&form, false, ""),
        only_refusals: page(&form, true, ""),
        newest: before.map(|_| page(&form, refusals, "")),
        older: None,
        form,
        steps: Vec::new(),
    };
    if bad_time {
        return Page(shown).into_response();
    }
    match app.audit_log.find(&search, before, STEPS_AT_ONCE).await {
        Ok(found) => {
            let older = found.older.map(|older| older.to_string());
            shown.older = older.map(|older| page(&shown.form, refusals, &older));
            match clients(&app, &found.entries).await {
                Ok(names) => {
                    let step = |entry: Entry| {
                        let name = entry.client.as_ref().and_then(|id| names.get(id)).cloned();
                        step(entry, None, name)
                    };
                    shown.steps = found.entries.into_iter().map(step).collect();
                    Page(shown).into_response()
                }
                Err(error) => failed(shown.nav, &error),
            }
        }
        Err(error) => failed(shown.nav, &error),
    }
}

/// Returns the names of the clients of these entries, by their IDs.
async fn clients(app: &App, entries: &[Entry]) -> Result<BTreeMap<String, AppName>, BackendError> {
    let ids: BTreeSet<&str> = entries.iter().filter_map(|own| own.client.as_deref()).collect();
    let mut names = BTreeMap::new();
    for id in ids {
        if let Some(stored) = app.oauth.store().client(id).await? {
            names.insert(id.to_owned(), AppName::of_client(&stored.record));
        }
    }
    Ok(names)
}

/// Returns an entry as it is shown. `before` is the time of the step before it, on a time line.
pub(super) fn step(mut entry: Entry, before: Option<u64>, client: Option<AppName>) -> Step {
    let known = entry.reason.as_deref().and_then(Reason::from_name);
    let after = before.map(|before| {
        let seconds = entry.at.saturating_sub(before);
        humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
    });
    let proof = entry.take_proof();
    entry.note = entry.note.as_deref().map(super::words::unescaped);
    Step {
        at: utc(Timestamp::from_unix_seconds(entry.at)),
        after,
        happened: super::words::happened(&entry.kind, entry.reason.as_deref()),
        client,
        proof,
        meaning: known.map(|reason| (reason.cause().to_owned(), reason.fix().to_owned())),
        entry,
    }
}

/// Parses a time: to the minute or with seconds, with a space or a `T`, with or without UTC or Z.
fn time(text: &str) -> Option<u64> {
    let text =
        text.trim().trim_end_matches("UTC").trim_end_matches('Z').trim_end().replacen('T', " ", 1);
    let to_the_second =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let text = if text.matches(':').count() == 1 { format!("{text}:00") } else { text };
    let read = time::PrimitiveDateTime::parse(&text, to_the_second).ok()?;
    u64::try_from(read.assume_utc().unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_parsed_in_several_spellings() {
        let noon = Some(1_795_523_640);
        for text in [
            "2026-11-24 12:34",
            " 2026-11-24T12:34 ",
            "2026-11-24 12:34 UTC",
            "2026-11-24T12:34Z",
            "2026-11-24 12:34:00",
        ] {
            assert_eq!(time(text), noon, "{text}");
        }
        assert_eq!(time("2026-11-24T12:34:56Z"), noon.map(|noon| noon + 56));
        for bad in ["", "12:34", "2026-11-24", "2026-13-24 12:34", "1969-01-01 00:00", "now"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
