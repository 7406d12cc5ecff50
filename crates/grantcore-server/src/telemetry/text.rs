//! The text format of the log without colors: that of `tracing-subscriber`, byte for byte.
//!
//! Each request writes two lines. The formatter of `tracing-subscriber` passes each part of a line
//! through `core::fmt`, which took most of the log's time. This one copies texts that need no
//! escape, and formats the date once in a second. What is rare is left to the other one. A terminal
//! gets colors, and so all of it from there.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::VisitOutput as _;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::request::with_current;

/// Formats a line: the time, the level, the request or the spans with their fields, the target and
/// the fields.
pub(super) struct TextLine;

thread_local! {
    /// The memory of the latest line of this thread. The line is put together in a text, because
    /// each call of a writer goes through a table of functions.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = LINE.take();
        line.clear();
        push_time(&mut line, SystemTime::now());
        line.push_str(padded(*event.metadata().level()));
        push_scope(&mut line, context);
        line.push_str(event.metadata().target());
        line.push_str(": ");
        let mut fields = Fields { line: &mut line, is_empty: true, result: Ok(()) };
        event.record(&mut fields);
        let result = fields.result;
        line.push('\n');
        let written = result.and_then(|()| writer.write_str(&line));
        LINE.set(line);
        written
    }
}

/// Returns the name of a level with the spaces around it.
fn padded(level: Level) -> &'static str {
    match level {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    }
}

/// Appends the request and the spans that a line belongs to.
fn push_scope<S, N>(line: &mut String, context: &FmtContext<'_, S, N>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let before = line.len();
    with_current(|fields| {
        if !fields.is_empty() {
            line.push_str("request{");
            line.push_str(fields);
            line.push_str("}:");
        }
    });
    let scope = context.event_scope();
    for span in scope.into_iter().flat_map(Scope::from_root) {
        line.push_str(span.metadata().name());
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>();
        if let Some(fields) = fields.filter(|own| !own.is_empty()) {
            line.push('{');
            line.push_str(fields);
            line.push('}');
        }
        line.push(':');
    }
    if line.len() > before {
        line.push(' ');
    }
}

/// Appends a time in UTC with its microseconds (RFC 3339).
fn push_time(line: &mut String, now: SystemTime) {
    thread_local! {
        /// The latest second that this thread wrote, and its text.
        static LATEST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    LATEST.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            *second = since.as_secs();
            let at = OffsetDateTime::from(now);
            let (date, month) = (at.date(), u8::from(at.month()));
            *text = format!(
                "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.",
                date.year(),
                date.day(),
                at.hour(),
                at.minute(),
                at.second()
            );
        }
        line.push_str(text);
    });
    // Six digits: those after the first of a number of seven.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1_000_000 + since.subsec_micros());
    line.push_str(digits.get(1..).unwrap_or_default());
    line.push('Z');
}

/// Returns the fields of the span of a request, as they are written.
pub(super) fn request_fields(method: &str, path: &str, source: Option<IpAddr>) -> String {
    let mut fields = String::with_capacity(128);
    fields.push_str("method=");
    push_quoted(&mut fields, method);
    fields.push_str(" path=");
    push_quoted(&mut fields, path);
    if let Some(source) = source {
        fields.push_str(" source=");
        push_address(&mut fields, source);
    }
    fields
}

/// Appends a text between quotation marks, escaped as by `Debug`.
fn push_quoted(line: &mut String, value: &str) {
    let is_plain =
        value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte));
    if is_plain {
        line.push('"');
        line.push_str(value);
        line.push('"');
    } else {
        // A `String` takes all that is written.
        let _ = write!(line, "{value:?}");
    }
}

fn push_address(line: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        let _ = write!(line, "{address}");
        return;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            line.push('.');
        }
        line.push_str(itoa::Buffer::new().format(octet));
    }
}

/// Appends the fields of a line, separated by spaces.
struct Fields<'l> {
    line: &'l mut String,
    /// Whether nothing was written yet.
    is_empty: bool,
    result: fmt::Result,
}

/// The field that is written without its name.
const MESSAGE: &str = "message";

impl Fields<'_> {
    /// Appends the name of a field and the sign after it.
    fn begin(&mut self, field: &Field) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.line.push(' ');
        }
        let name = field.name();
        if name != MESSAGE {
            self.line.push_str(name.strip_prefix("r#").unwrap_or(name));
            self.line.push('=');
        }
    }

    /// Appends the message. Returns whether it needed no escape; otherwise nothing is appended.
    fn message(&mut self, message: &dyn Debug) -> bool {
        let before = self.line.len();
        if !self.is_empty {
            self.line.push(' ');
        }
        let written = write!(self.line, "{message:?}");
        let is_plain = self.line.bytes().skip(before).all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain && written.is_ok() {
            self.is_empty = false;
        } else {
            self.line.truncate(before);
        }
        is_plain && written.is_ok()
    }

    /// Leaves a field to the visitor of `tracing-subscriber`, which escapes what it writes.
    fn leave(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let is_empty = std::mem::replace(&mut self.is_empty, false);
        let mut visitor = DefaultVisitor::new(Writer::new(self.line), is_empty);
        record(&mut visitor);
        self.result = self.result.and(visitor.finish());
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.begin(field);
            push_quoted(self.line, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.leave(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != MESSAGE {
            self.begin(field);
            self.result = self.result.and(write!(self.line, "{value:?}"));
        } else if !self.message(value) {
            self.leave(|visitor| visitor.record_debug(field, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::{Dispatch, info_span};

    use super::super::tests::Captured;
    use super::*;

    /// Returns what these lines are in both formats, without their times.
    fn both(log: impl Fn()) -> [Vec<String>; 2] {
        let builder = || tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
        let [own, default] = [Captured::default(), Captured::default()];
        let (own_writer, default_writer) = (own.clone(), default.clone());
        let subscribers: [Dispatch; 2] = [
            builder().event_format(TextLine).with_writer(move || own_writer.clone()).into(),
            builder().with_writer(move || default_writer.clone()).into(),
        ];
        for subscriber in &subscribers {
            tracing::dispatcher::with_default(subscriber, &log);
        }
        [own, default].map(|captured| {
            let without_time = |line: &str| {
                let (time, rest) = line.split_once(' ').unwrap();
                assert_eq!(time.len(), "2026-11-28T09:37:08.123456Z".len(), "{line}");
                rest.to_owned()
            };
            captured.text().lines().map(without_time).collect()
        })
    }

    #[test]
    fn lines_are_those_of_the_default_format() {
        let [own, default] = both(|| {
            let failed = std::io::Error::other("it \u{1b}[31m failed");
            let hostile = "a \"quoted\" \\ \u{1b}[2J line \u{7f}\u{9b} and ünïcode";
            tracing::info!("a message");
            tracing::warn!("a message of {} parts", 2);
            tracing::error!(error = %failed, source = &failed as &dyn Error, "failed");
            tracing::debug!(kind = "refreshed", reason = None::<&str>, client = Some("app"));
            tracing::trace!(status = 200, ratio = 0.5, signed = -1, yes = true, r#type = "a");
            tracing::info!(hostile, shown = %hostile, debug = ?hostile, "{hostile}");
            tracing::info!(message = hostile, other = "x", broken = "a line\nbreak");
            tracing::info!(target: "other::target", empty = "", "");
            let outer = info_span!(
                "request",
                method = "POST",
                path = hostile,
                later = tracing::field::Empty
            );
            let _outer = outer.enter();
            tracing::info!(status = 404, "answered");
            outer.record("later", 7);
            let _inner = info_span!("inner").entered();
            tracing::info!("within");
        });
        assert_eq!(own.len(), 10, "{own:?}");
        assert_eq!(own, default);
    }

    #[test]
    fn the_fields_of_a_request_are_those_of_its_span() {
        let paths = ["/oauth/token", "/a\"b\\c", "/\u{1b}[2J\u{9b}", "/ünïcode"];
        let sources = ["127.0.0.1", "203.0.113.255", "2001:db8::1"];
        for (path, source) in paths.into_iter().flat_map(|path| sources.map(|own| (path, own))) {
            let source: IpAddr = source.parse().unwrap();
            let shown = tracing::field::display(source);
            let [own, default] = both(|| {
                let span = info_span!("request", method = "POST", path, source = shown);
                span.in_scope(|| tracing::info!("answered"));
                let message = request_fields("POST", path, Some(source));
                info_span!("request", message).in_scope(|| tracing::info!("answered"));
            });
            assert_eq!(own, default);
            assert_eq!(own[0], own[1], "{path}");
        }
    }

    #[test]
    fn a_time_is_written_to_the_microsecond() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (1_795_858_628, 7, "2026-11-28T09:37:08.000007Z"),
            (1_795_858_628, 999_999, "2026-11-28T09:37:08.999999Z"),
            (1_795_858_629, 0, "2026-11-28T09:37:09.000000Z"),
            (951_782_399, 500_000, "2000-02-28T23:59:59.500000Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
            let mut text = String::new();
            push_time(&mut text, time);
            assert_eq!(text, expected);
        }
    }
}
