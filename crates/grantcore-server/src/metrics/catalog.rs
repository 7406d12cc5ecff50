//! The names and meanings of all metrics. `docs/deploy.md` has the same table; a test compares the
//! table with what is exported.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) meaning: &'static str,
}

/// The upper bounds of the buckets of all histograms, in seconds.
pub(super) const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const fn counter(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, meaning }
}

const fn gauge(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, meaning }
}

const fn histogram(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, meaning }
}

pub(super) const METRICS: &[Metric] = &[
    gauge("grantcore_build_info", "Always 1; the label is the version of the program"),
    gauge("process_start_time_seconds", "When the server started, in seconds since 1970"),
    counter("grantcore_http_requests_total", "Answered requests, by the class of the status"),
    histogram(
        "grantcore_http_request_duration_seconds",
        "The time from the head of a request to the head of its response",
    ),
    gauge("grantcore_http_requests_in_flight", "Requests whose response has not begun"),
    gauge("grantcore_http_connections", "Open connections of the public listener"),
    counter(
        "grantcore_events_total",
        "Events, as in the audit log, with those that it does not store",
    ),
    counter("grantcore_refusals_total", "Refused requests, by the reason"),
    counter(
        "grantcore_replays_total",
        "Codes and refresh tokens that were used again; repeated is a retry within the replay window",
    ),
    counter(
        "grantcore_revocations_total",
        "Grants, tokens and clients that were ended, by the kind of the event",
    ),
    gauge(
        "grantcore_consents_pending",
        "Consent pages that this process showed, that are still valid, and that no answer reached \
         this process for; at most 65536",
    ),
    histogram(
        "grantcore_store_duration_seconds",
        "The time that a call of the database took, also if it failed",
    ),
    counter("grantcore_store_errors_total", "Calls of the database that failed"),
    counter(
        "grantcore_store_conflicts_total",
        "Writes that lost a race and were decided again; few are normal",
    ),
    gauge("grantcore_audit_queue_events", "Events that wait to be written to the audit log"),
    counter(
        "grantcore_audit_events_dropped_total",
        "Events that were not written to the audit log",
    ),
];
