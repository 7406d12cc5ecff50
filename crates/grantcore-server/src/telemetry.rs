//! The operator's log: one line per answered request, and further lines of its processing.
//!
//! Here: the set-up of the log, and the line of a request. Never here: a query string, a header or
//! a body. Authorization codes and states travel in queries and in the `Location` header, tokens and
//! client secrets in headers and bodies, and a reader of the log must not get them. So the method,
//! the path, the source and the status are read, and nothing else. The events of the audit log come
//! from the library; they have no secret.

mod request;
mod text;
mod writer;

use std::error::Error;
use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

pub(crate) use self::request::LoggedRequest;
use self::request::SPAN_TARGET;
use self::text::TextLine;
pub(crate) use self::writer::LogEnd;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// Starts logging to standard error. `filter` is what `RUST_LOG` holds; empty means `info`. The
/// rest of the log is written when the returned value is dropped.
///
/// Fails if the filter is malformed, or logging has been started before.
pub(crate) fn init(
    format: LogFormat,
    filter: &str,
) -> Result<LogEnd, Box<dyn Error + Send + Sync>> {
    let colors = std::io::stderr().is_terminal();
    let (writer, end) = writer::start(std::io::stderr())?;
    let log = subscriber(format, filter, colors, writer)
        .map_err(|error| format!("log filter `{filter}`: {error}"))?;
    tracing::dispatcher::set_global_default(log)?;
    Ok(end)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colors: bool,
    writer: W,
) -> Result<Dispatch, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // A directive for a span needs the span.
    let is_plain = format == LogFormat::Text && !colors && !filter.contains('[');
    let mut filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(filter)?;
    if is_plain {
        filter = filter.add_directive(format!("{SPAN_TARGET}=off").parse()?);
    }
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        LogFormat::Text if colors => log.with_ansi(true).into(),
        LogFormat::Text => log.with_ansi(false).event_format(TextLine).into(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).into(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use axum::Router;
    use axum::body::{Body, Bytes, HttpBody};
    use axum::extract::Request;
    use axum::http::{StatusCode, header};
    use axum::response::Response;
    use axum::routing::post;
    use grantcore_axum::{Source, Tasks};
    use http_body::Frame;
    use tokio::sync::oneshot;
    use tokio::time::timeout;
    use tower::ServiceExt;

    use super::request::Answering;
    use super::*;

    #[derive(Clone, Default)]
    pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Answers a request as the server does.
    async fn respond(app: Router, request: Request) -> Response {
        LoggedRequest::of(&request).answer(async { app.oneshot(request).await.unwrap() }).await
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the log of one request that is answered with `status`. Every part of the request but
    /// its path has a secret.
    async fn log_of(format: LogFormat, filter: &str, status: StatusCode) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = subscriber(format, filter, false, move || writer.clone()).unwrap();
        let _guard = tracing::dispatcher::set_default(&log);

        let answer = move |body: String| async move {
            assert_eq!(body, "refresh_token=SECRET");
            tracing::trace!("deciding");
            (status, [(header::LOCATION, "https://app.example/cb?code=SECRET")], "SECRET")
        };
        let app = Router::new().route("/oauth/token", post(answer));
        let request = Request::post("/oauth/token?code=SECRET&state=SECRET")
            .header(header::AUTHORIZATION, "Bearer SECRET")
            .header(header::COOKIE, "session=SECRET")
            .body(Body::from("refresh_token=SECRET"))
            .unwrap();
        let response = respond(app, request).await;
        assert_eq!(response.status(), status);
        axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        captured.text()
    }

    #[tokio::test]
    async fn no_secret_of_a_request_or_its_answer_is_logged_at_any_level() {
        for format in [LogFormat::Text, LogFormat::Json] {
            for status in [StatusCode::FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
                let log = log_of(format, "trace", status).await;
                assert!(log.contains("deciding"), "the log is captured: {log}");
                assert!(!log.contains("SECRET"), "{log}");
                assert!(!log.contains("code="), "{log}");
            }
        }
    }

    #[tokio::test]
    async fn a_text_line_has_method_path_and_status() {
        let log = log_of(LogFormat::Text, "", StatusCode::OK).await;
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("INFO"), "{log}");
        assert!(log.contains(r#"request{method="POST" path="/oauth/token"}"#), "{log}");
        assert!(log.contains("answered status=200 latency_us="), "{log}");
    }

    #[tokio::test]
    async fn a_json_line_is_one_object_with_numbers_as_numbers() {
        let log = log_of(LogFormat::Json, "", StatusCode::SERVICE_UNAVAILABLE).await;
        let line: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["status"], 503);
        assert!(line["latency_us"].is_u64());
        assert_eq!(line["span"]["method"], "POST");
        assert_eq!(line["span"]["path"], "/oauth/token");
    }

    #[tokio::test]
    async fn f20_a_line_has_the_source_of_the_request() {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = subscriber(LogFormat::Json, "", false, move || writer.clone()).unwrap();
        let _guard = tracing::dispatcher::set_default(&log);
        let refuse = || async {
            tracing::info!(reason = "rate_exceeded", "oauth");
            StatusCode::TOO_MANY_REQUESTS
        };
        let app = Router::new().route("/oauth/register", post(refuse));
        let mut request = Request::post("/oauth/register").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Source::from(std::net::IpAddr::from([203, 0, 113, 9])));
        respond(app, request).await;
        let log = captured.text();
        assert_eq!(log.lines().count(), 2, "{log}");
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["span"]["source"], "203.0.113.9");
        }
    }

    /// A stream that logs when its next part is asked for.
    struct Noisy;

    impl HttpBody for Noisy {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            tracing::warn!("the stream broke");
            Poll::Ready(None)
        }
    }

    #[tokio::test]
    async fn a_line_of_a_stream_has_the_path_of_its_request() {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = subscriber(LogFormat::Text, "", false, move || writer.clone()).unwrap();
        let _guard = tracing::dispatcher::set_default(&log);
        let app = Router::new().route("/mcp", post(async || Body::new(Noisy)));
        let response = respond(app, Request::post("/mcp").body(Body::empty()).unwrap()).await;
        axum::body::to_bytes(response.into_body(), 10).await.unwrap();
        let log = captured.text();
        let line = log.lines().find(|line| line.contains("the stream broke")).unwrap();
        assert!(line.contains(r#"path="/mcp""#), "{log}");
    }

    /// Answers a request whose work goes on in a task of its own: `leave` ends the wait for it.
    /// Returns the log.
    async fn log_of_rest<F>(
        format: LogFormat,
        filter: &str,
        leave: impl AsyncFnOnce(Pin<Box<Answering<F>>>),
        answer: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
    ) -> String
    where
        F: Future<Output = Response>,
    {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = subscriber(format, filter, false, move || writer.clone()).unwrap();
        let _guard = tracing::dispatcher::set_default(&log);
        let mut request = Request::post("/oauth/%22token").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Source::from(std::net::IpAddr::from([203, 0, 113, 9])));
        let tasks = Tasks::default();
        let (go, wait) = oneshot::channel::<()>();
        let running = tasks.clone();
        let work = async move {
            let work = async move {
                tracing::info!("begun");
                wait.await.unwrap();
                tracing::info!("ended");
            };
            running.run(work).await;
        };
        leave(Box::pin(LoggedRequest::of(&request).answer(answer(Box::pin(work))))).await;
        tracing::info!("outside");
        go.send(()).unwrap();
        assert!(tasks.finish(Duration::from_secs(10)).await);
        captured.text()
    }

    /// Returns what a line says about its request.
    fn request_of<'l>(log: &'l str, message: &str) -> Option<&'l str> {
        let line = log.lines().find(|line| line.contains(message)).unwrap();
        let at = line.find("request{").or_else(|| line.find("\"span\":"))?;
        line[at..].split(": ").next()
    }

    #[tokio::test]
    async fn i45_a_line_of_what_goes_on_in_a_task_has_its_request() {
        let text = LogFormat::Text;
        for (format, filter) in [(text, ""), (text, "info,x[y]=info"), (LogFormat::Json, "")] {
            // The client hangs up.
            let hung_up = log_of_rest(
                format,
                filter,
                async |mut answering| {
                    let mut context = Context::from_waker(Waker::noop());
                    assert!(answering.as_mut().poll(&mut context).is_pending());
                },
                async |work| {
                    work.await;
                    Response::default()
                },
            );
            // The time of the request is over.
            let late = log_of_rest(
                format,
                filter,
                async |answering| _ = answering.await,
                async |work| {
                    assert!(timeout(Duration::from_millis(1), work).await.is_err());
                    Response::default()
                },
            );
            for log in [hung_up.await, late.await] {
                let begun = request_of(&log, "begun").unwrap();
                assert!(begun.contains("/oauth/%22token") && begun.contains("203.0.113.9"));
                assert_eq!(request_of(&log, "ended"), Some(begun), "{log}");
                assert_eq!(request_of(&log, "outside"), None, "{log}");
            }
        }
    }

    #[tokio::test]
    async fn the_filter_is_applied() {
        assert_eq!(log_of(LogFormat::Text, "off", StatusCode::OK).await, "");
        let error = init(LogFormat::Text, "tower=loudly").err().unwrap();
        assert!(error.to_string().starts_with("log filter `tower=loudly`: "), "{error}");
    }
}
