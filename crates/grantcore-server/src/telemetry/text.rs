//! The text format of the log without colors: that of `tracing-subscriber`, byte for byte.
//!
//! Each request writes two lines. With the formatter of `tracing-subscriber`, which passes each
//! part of a line through `core::fmt`, the log took 5 of the 26 µs of a refresh over HTTP. This one
//! copies texts that need no escape, and formats the date once in a second. What is rare is left to
//! the other one. A terminal gets colors, and so all of it from there.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats a line: the time, the level, the spans with their fields, the target and the fields.
pub(super) struct TextLine;

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
        write_time(&mut writer, SystemTime::now())?;
        writer.write_str(padded(*event.metadata().level()))?;
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                writer.write_str(span.metadata().name())?;
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<N>>();
                if let Some(fields) = fields.filter(|own| !own.is_empty()) {
                    writer.write_char('{')?;
                    writer.write_str(fields)?;
                    writer.write_char('}')?;
                }
                writer.write_char(':')?;
            }
            writer.write_char(' ')?;
        }
        writer.write_str(event.metadata().target())?;
        writer.write_str(": ")?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
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

/// Writes a time in UTC with its microseconds (RFC 3339).
fn write_time(writer: &mut Writer<'_>, now: SystemTime) -> fmt::Result {
    thread_local! {
        /// The latest second that this thread wrote, and its text.
        static LATEST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    LATEST.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            *second = since.as_secs();
            text.clear();
            let at = OffsetDateTime::from(now);
            let (date, month) = (at.date(), u8::from(at.month()));
            write!(text, "{:04}-{month:02}-{:02}T", date.year(), date.day())?;
            write!(text, "{:02}:{:02}:{:02}.", at.hour(), at.minute(), at.second())?;
        }
        writer.write_str(text)
    })?;
    write!(writer, "{:06}Z", since.subsec_micros())
}

/// Formats the fields of a line or a span.
pub(super) struct TextFields;

impl<'w> MakeVisitor<Writer<'w>> for TextFields {
    type Visitor = TextVisitor<'w>;

    fn make_visitor(&self, writer: Writer<'w>) -> TextVisitor<'w> {
        TextVisitor { writer, is_empty: true, result: Ok(()) }
    }
}

/// Writes fields, separated by spaces.
pub(super) struct TextVisitor<'w> {
    writer: Writer<'w>,
    /// Whether nothing was written yet.
    is_empty: bool,
    result: fmt::Result,
}

/// The field that is written without its name.
const MESSAGE: &str = "message";

impl TextVisitor<'_> {
    /// Writes the name of a field and the sign after it.
    fn begin(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.write_char(' ')?;
        }
        let name = field.name();
        if name != MESSAGE {
            self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
            self.writer.write_char('=')?;
        }
        Ok(())
    }

    fn text(&mut self, field: &Field, value: &str) -> fmt::Result {
        self.begin(field)?;
        if field.name() == MESSAGE {
            return self.writer.write_str(value);
        }
        self.writer.write_char('"')?;
        self.writer.write_str(value)?;
        self.writer.write_char('"')
    }

    fn debug(&mut self, field: &Field, value: &dyn Debug) -> fmt::Result {
        self.begin(field)?;
        write!(self.writer, "{value:?}")
    }

    /// Leaves a field to the visitor of `tracing-subscriber`, which escapes what it writes.
    fn leave(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) -> fmt::Result {
        let is_empty = std::mem::replace(&mut self.is_empty, false);
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), is_empty);
        record(&mut visitor);
        visitor.finish()
    }
}

impl Visit for TextVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // In a message, a quotation mark or a backslash would need no escape. Few have one.
        let is_plain =
            value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte));
        let written = if is_plain {
            self.text(field, value)
        } else {
            self.leave(|visitor| visitor.record_str(field, value))
        };
        self.result = self.result.and(written);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let written = self.leave(|visitor| visitor.record_error(field, value));
        self.result = self.result.and(written);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = if field.name() == MESSAGE {
            self.leave(|visitor| visitor.record_debug(field, value))
        } else {
            self.debug(field, value)
        };
        self.result = self.result.and(written);
    }
}

impl VisitOutput<fmt::Result> for TextVisitor<'_> {
    fn finish(self) -> fmt::Result {
        self.result
    }
}

impl VisitFmt for TextVisitor<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        &mut self.writer
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
            builder()
                .fmt_fields(TextFields)
                .event_format(TextLine)
                .with_writer(move || own_writer.clone())
                .into(),
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
            write_time(&mut Writer::new(&mut text), time).unwrap();
            assert_eq!(text, expected);
        }
    }
}
