//! Requests by endpoint and status, and their latency.
//!
//! The endpoint is one of a few words. A path that no rule knows is `other`, so that requests for
//! invented paths make no series of their own.

use std::sync::Arc;
use std::time::Instant;

use ::metrics::{Counter, Gauge, Histogram};
use axum::http::StatusCode;

use super::Register;
use crate::site::Site;

/// The endpoints, in the order of their series.
const ENDPOINTS: [&str; 14] = [
    "authorization",
    "consent",
    "login",
    "token",
    "revocation",
    "introspection",
    "registration",
    "management",
    "metadata",
    "resource",
    "account",
    "administration",
    "page",
    "other",
];

/// The classes of status codes, in their order.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of requests. A clone is another handle of the same metrics.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    series: Arc<[Series]>,
    in_flight: Gauge,
}

/// The series of one endpoint.
struct Series {
    endpoint: &'static str,
    by_status: [Counter; STATUSES.len()],
    duration: Histogram,
}

impl HttpMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let series = ENDPOINTS.map(|endpoint| {
            let total = |status| {
                let labels = [("endpoint", endpoint), ("status", status)];
                register.counter("grantcore_http_requests_total", &labels)
            };
            let name = "grantcore_http_request_duration_seconds";
            let duration = register.histogram(name, &[("endpoint", endpoint)]);
            Series { endpoint, by_status: STATUSES.map(total), duration }
        });
        let in_flight = register.gauge("grantcore_http_requests_in_flight", &[]);
        Self { series: Arc::new(series), in_flight }
    }
}

/// What is needed to measure the requests of a server.
#[derive(Clone)]
pub(crate) struct Measured {
    metrics: HttpMetrics,
    site: Site,
    /// The paths of the resources that this server serves itself or forwards.
    resources: Arc<[String]>,
}

impl HttpMetrics {
    /// Returns what measures the requests of this site, with these paths of resources.
    pub(crate) fn of(&self, site: &Site, resources: impl IntoIterator<Item = String>) -> Measured {
        let resources = resources.into_iter().collect();
        Measured { metrics: self.clone(), site: site.clone(), resources }
    }
}

impl Measured {
    /// Begins to measure a request for this path.
    pub(crate) fn begin(&self, path: &str) -> Measuring<'_> {
        let Self { metrics: HttpMetrics { series, in_flight }, .. } = self;
        let endpoint = self.endpoint(path);
        in_flight.increment(1.0);
        Measuring {
            series: series.iter().find(|series| series.endpoint == endpoint),
            begun: Instant::now(),
            in_flight,
        }
    }

    fn endpoint(&self, path: &str) -> &'static str {
        if path.starts_with("/.well-known/") {
            return "metadata";
        }
        let own = path.strip_prefix(self.site.prefix()).and_then(own_endpoint);
        let is_at_or_below = |resource: &String| {
            let rest = path.strip_prefix(resource.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_resource = || self.resources.iter().any(is_at_or_below);
        own.unwrap_or_else(|| if is_resource() { "resource" } else { "other" })
    }
}

/// Returns the endpoint of a path of the router, or `None` if the path is no endpoint of its own.
fn own_endpoint(path: &str) -> Option<&'static str> {
    Some(match path {
        "/oauth/authorize" | "/oauth/continue" | "/oauth/switch" => "authorization",
        "/oauth/consent" => "consent",
        "/login" | "/logout" => "login",
        "/oauth/token" => "token",
        "/oauth/revoke" => "revocation",
        "/oauth/introspect" => "introspection",
        "/oauth/register" => "registration",
        "" | "/" | "/troubleshooting" => "page",
        path if path.starts_with("/oauth/register/") => "management",
        path if path.starts_with("/.well-known/") => "metadata",
        path if path.starts_with("/login/") => "login",
        path if path.starts_with("/settings/") => "account",
        path if path == "/admin" || path.starts_with("/admin/") => "administration",
        path if path.starts_with("/assets/") => "page",
        _ => return None,
    })
}

/// A request whose response has not begun.
pub(crate) struct Measuring<'m> {
    series: Option<&'m Series>,
    begun: Instant,
    in_flight: &'m Gauge,
}

impl Measuring<'_> {
    /// Counts the request, and measures the time until now: its response begins. A request that is
    /// cut off is not counted.
    pub(crate) fn end(self, status: StatusCode) {
        let Some(series) = self.series else { return };
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = series.by_status.get(class) {
            counter.increment(1);
        }
        series.duration.record(self.begun.elapsed());
    }
}

impl Drop for Measuring<'_> {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}
