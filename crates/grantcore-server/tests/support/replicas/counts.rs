//! The metrics of the processes against the counts of their clients.
//!
//! Between two phases no request is under way, so both are exact. The counters of a process end
//! with it: a phase is compared at the processes that it leaves alive. A request that nginx passed
//! on belongs to the process that answered it.

use std::collections::BTreeMap;

use super::Run;
use super::site::{Answered, PROCESSES};
use crate::load::lock;
use crate::support::plain_client;

/// The samples of one process, by their series.
type Samples = BTreeMap<String, usize>;

/// The metrics of all processes, and what the clients have counted.
pub struct Reading {
    samples: Vec<Samples>,
    answered: Answered,
}

const ENDPOINTS: [&str; 6] =
    ["token", "revocation", "registration", "management", "resource", "account"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Events whose numbers together are those of the responses 2xx of an endpoint. The database must
/// not fail: a request can fail after its event.
const EVENTS: [(&str, &[&str]); 2] = [
    ("token", &["tokens_refreshed", "refresh_replayed_in_window"]),
    ("resource", &["access_allowed"]),
];

impl Run {
    /// Reads the metrics. No client may have a request under way.
    pub async fn reading(&self) -> Reading {
        let http = plain_client(false);
        let mut samples = Vec::new();
        for process in 0..PROCESSES {
            let request = http.get(self.site.metrics_url(process));
            let text = request.send().await.unwrap().text().await.unwrap();
            samples.push(counters(&text));
        }
        Reading { samples, answered: lock(&self.site.answered).clone() }
    }

    /// Compares the changes of a phase at these processes.
    pub fn compare(
        &self,
        phase: &str,
        (before, after): (&Reading, &Reading),
        processes: &[usize],
        with_events: bool,
    ) {
        for process in processes.iter().copied() {
            let change = |series: &str| {
                let [before, after] = [before, after].map(|reading| reading.of(process, series));
                after.checked_sub(before).unwrap_or_else(|| panic!("{phase}: {series} decreased"))
            };
            for endpoint in ENDPOINTS {
                for class in CLASSES {
                    let counted = after.answered(process, endpoint, class)
                        - before.answered(process, endpoint, class);
                    let series = requests(endpoint, class);
                    let measured = change(&series);
                    if measured != counted {
                        self.violation(format!(
                            "{phase}: process {process} counts {} in {series}: {measured}, and \
                             its clients {counted}. All clients counted: {}",
                            difference(measured, counted),
                            after.since(before, endpoint)
                        ));
                    }
                    self.site.tally.add("requests in the metrics and in clients' counts", counted);
                }
            }
            for (endpoint, events) in EVENTS.into_iter().filter(|_| with_events) {
                let answers = change(&requests(endpoint, "2xx"));
                let observed: usize = events.iter().map(|kind| change(&event(kind))).sum();
                if observed != answers {
                    let each = events.iter().map(|kind| format!("{} {kind}", change(&event(kind))));
                    self.violation(format!(
                        "{phase}: process {process} counts {} in events than in responses 2xx of \
                         {endpoint}: {}, and {answers} responses. All clients counted: {}",
                        difference(observed, answers),
                        each.collect::<Vec<_>>().join(" and "),
                        after.since(before, endpoint)
                    ));
                }
            }
        }
    }
}

impl Reading {
    fn of(&self, process: usize, series: &str) -> usize {
        let samples = &self.samples[process];
        *samples.get(series).unwrap_or_else(|| panic!("no {series} in the metrics"))
    }

    fn answered(&self, process: usize, endpoint: &'static str, class: &'static str) -> usize {
        self.answered.get(&(process, endpoint, class)).copied().unwrap_or_default()
    }

    /// Describes what the clients have counted at an endpoint since then.
    fn since(&self, before: &Self, endpoint: &str) -> String {
        let own = self.answered.iter().filter(|((_, of, _), _)| *of == endpoint);
        let changes = own.map(|(key @ (process, _, class), count)| {
            let change = count - before.answered(key.0, key.1, key.2);
            format!("{change} {class} of process {process}")
        });
        changes.collect::<Vec<_>>().join(", ")
    }
}

/// Describes how much a counter differs from another.
fn difference(one: usize, other: usize) -> String {
    if one < other { format!("{} less", other - one) } else { format!("{} more", one - other) }
}

fn requests(endpoint: &str, class: &str) -> String {
    format!(r#"grantcore_http_requests_total{{endpoint="{endpoint}",status="{class}"}}"#)
}

fn event(kind: &str) -> String {
    format!(r#"grantcore_events_total{{kind="{kind}",class="attributed"}}"#)
}

/// Returns the samples that are whole numbers.
fn counters(text: &str) -> Samples {
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect()
}
