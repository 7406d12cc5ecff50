//! Metrics in the text format of Prometheus, on a listener of their own (`--metrics-listen`).
//!
//! Here: what is counted and measured, and the response of `/metrics`. Never here: what a request
//! names. Each label has few values that the program knows beforehand (endpoints, reasons, kinds of
//! events, operations), so that no request can make a new time series, and nothing about clients,
//! users or addresses can be read from them.
//!
//! Counters and histograms are registered once, at the start, so that a request only adds to a
//! number. Without the flag, nothing is registered and nothing is measured.

mod catalog;
mod events;
mod http;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use grantcore::Event;
use grantcore_axum::TrustedProxies;
use metrics_exporter_prometheus::{
    BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::catalog::{BUCKETS, Kind, METRICS};
use self::events::EventMetrics;
pub(crate) use self::http::{HttpMetrics, Measured};
pub(crate) use self::store::{Call, Meter};
use crate::app::App;
use crate::config::Network;
use crate::network::{self, connections::Connections};
use crate::stop::Stop;

/// How often samples of histograms are added to their buckets. They take memory until then.
const UPKEEP: Duration = Duration::from_secs(5);

/// The media type of the text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one server. A clone is another handle of the same metrics.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    handle: PrometheusHandle,
    http: HttpMetrics,
    events: EventMetrics,
    meter: Meter,
    connections: Gauge,
    queue: [(&'static str, Gauge); 2],
    dropped: Counter,
}

impl Metrics {
    /// Registers all metrics. A consent page is pending for `consent_lifetime` at most.
    pub(crate) fn new(consent_lifetime: Duration) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.build_recorder();
        for metric in METRICS {
            let name = metric.name.into();
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, metric.meaning.into()),
                Kind::Gauge => recorder.describe_gauge(name, None, metric.meaning.into()),
                Kind::Histogram => recorder.describe_histogram(name, None, metric.meaning.into()),
            }
        }
        let register = Register(recorder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        register.gauge("grantcore_build_info", &version).set(1.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        register.gauge("process_start_time_seconds", &[]).set(now.as_secs_f64());
        let queue = ["attributed", "unattributed"].map(|class| {
            (class, register.gauge("grantcore_audit_queue_events", &[("class", class)]))
        });
        Ok(Self(Arc::new(Inner {
            http: HttpMetrics::new(&register),
            events: EventMetrics::new(&register, consent_lifetime),
            meter: Meter::new(&register),
            connections: register.gauge("grantcore_http_connections", &[]),
            queue,
            dropped: register.counter("grantcore_audit_events_dropped_total", &[]),
            handle: register.0.handle(),
        })))
    }

    /// Counts an event of the library.
    pub(crate) fn observe(&self, event: &Event) {
        self.0.events.observe(event);
    }

    /// Returns what measures the calls of the database.
    pub(crate) fn meter(&self) -> Meter {
        self.0.meter.clone()
    }

    /// Returns what measures the requests of the public listener.
    pub(crate) fn http(&self) -> &HttpMetrics {
        &self.0.http
    }

    /// Returns the route of the metrics. It reads the values that are not counted as they change.
    fn router(&self, app: &Arc<App>, connections: &Arc<Connections>) -> Router {
        let metrics = self.clone();
        let app = Arc::clone(app);
        let connections = Arc::clone(connections);
        let text = move || {
            let text = metrics.render(&app, &connections);
            async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], text) }
        };
        Router::new().route("/metrics", get(text))
    }

    fn render(&self, app: &App, connections: &Connections) -> String {
        let Inner { handle, events, connections: open, queue, dropped, .. } = &*self.0;
        open.set(count(connections.count()));
        let (attributed, unattributed) = app.audit_log.queued();
        for ((_, gauge), queued) in queue.iter().zip([attributed, unattributed]) {
            gauge.set(count(queued));
        }
        dropped.absolute(app.audit_log.dropped());
        events.expire(SystemTime::now().into());
        handle.render()
    }

    /// Answers requests for the metrics until the listener is stopped. It has the time-outs and the
    /// limits of connections of the public listener, counted apart.
    pub(crate) fn listen(
        &self,
        listener: TcpListener,
        app: &Arc<App>,
        connections: &Arc<Connections>,
        settings: &Network,
    ) -> std::io::Result<Listener> {
        let address = listener.local_addr()?;
        tracing::info!(%address, "metrics are exported at /metrics");
        let stop = Stop::default();
        let router = self.router(app, connections);
        let own = Connections::new(settings, TrustedProxies::default(), network::most_files());
        tokio::spawn(network::serve(listener, router, Arc::new(own), stop.clone()));
        tokio::spawn(self.clone().keep_up(stop.ending().clone()));
        Ok(Listener { address, stop })
    }

    /// Keeps the memory of histograms bounded if nobody asks for the metrics.
    async fn keep_up(self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(UPKEEP);
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            self.0.handle.run_upkeep();
        }
    }
}

/// The listener of the metrics.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
}

/// Registers metrics by their names.
struct Register(PrometheusRecorder);

const METADATA: Metadata<'static> = Metadata::new("grantcore_server", Level::INFO, None);

impl Register {
    fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.0.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.0.register_gauge(&key(name, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        self.0.register_histogram(&key(name, labels), &METADATA)
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(name, labels)
}

/// Converts a number of things for a gauge.
fn count(things: usize) -> f64 {
    u32::try_from(things).map_or(f64::from(u32::MAX), f64::from)
}
