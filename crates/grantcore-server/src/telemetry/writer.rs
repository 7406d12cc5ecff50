//! The output of the log: lines are copied to a buffer in memory, and a thread writes them to
//! standard error.
//!
//! A request that logs copies its line, and neither makes a system call nor waits for the reader of
//! the log. The thread writes what has gathered for some milliseconds at once. The buffer is
//! bounded: if the reader is slower than the log, lines are dropped, counted, and their number is
//! logged. When the program ends, the rest is written.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait to be written: several thousand lines.
const ROOM: usize = 1 << 20;
/// The time for which lines gather before they are written.
const GATHER: Duration = Duration::from_millis(5);

/// Takes lines for the thread.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Shared>);

/// Writes what is left when it is dropped.
#[must_use = "the log ends when this is dropped"]
pub(crate) struct LogEnd {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    has_ended: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, and moves them to `lines`. Returns how many lines were dropped, or `None`
    /// if the log has ended and nothing is left.
    fn take(&self, lines: &mut Vec<u8>) -> Option<u64> {
        let mut waiting = self.waiting();
        while waiting.lines.is_empty() && !waiting.has_ended {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let gathered = self.changed.wait_timeout_while(waiting, GATHER, |all| !all.has_ended);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.is_empty() {
            return None;
        }
        std::mem::swap(lines, &mut waiting.lines);
        Some(std::mem::take(&mut waiting.dropped))
    }
}

/// Starts the thread that writes to `output`.
///
/// # Errors
/// An error if the system starts no thread.
pub(crate) fn start(mut output: impl Write + Send + 'static) -> io::Result<(LogWriter, LogEnd)> {
    let shared = Arc::new(Shared::default());
    let taken = Arc::clone(&shared);
    let write = move || {
        let mut lines = Vec::new();
        while let Some(dropped) = taken.take(&mut lines) {
            // A log that nobody reads is no reason to stop the server.
            let _ = output.write_all(&lines);
            let _ = output.flush();
            lines.clear();
            if dropped > 0 {
                tracing::warn!(dropped, "log lines were dropped: their reader is too slow");
            }
        }
    };
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(write)?;
    let end = LogEnd { shared: Arc::clone(&shared), thread: Some(thread) };
    Ok((LogWriter(shared), end))
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        self.shared.waiting().has_ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        let was_empty = waiting.lines.is_empty();
        if waiting.lines.len() + line.len() > ROOM {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        if was_empty {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> &'w Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// An output whose reader is slow: each write waits for a signal of the test.
    struct Slow {
        written: Arc<Mutex<Vec<u8>>>,
        next: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.next.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Slow, Arc<Mutex<Vec<u8>>>, Sender<()>) {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (go, next) = channel();
        (Slow { written: Arc::clone(&written), next }, written, go)
    }

    #[test]
    fn lines_are_written_in_order_and_the_rest_at_the_end() {
        let (output, written, go) = slow();
        drop(go);
        let (writer, end) = start(output).unwrap();
        for number in 0..1000 {
            writeln!(&writer, "{number}").unwrap();
        }
        drop(end);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let numbers: Vec<usize> = written.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_reader_costs_lines_which_are_counted_and_no_wait() {
        let (output, written, go) = slow();
        let (writer, end) = start(output).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..4 * ROOM / line.len() {
            (&writer).write_all(&line).unwrap();
        }
        let dropped = writer.0.waiting().dropped;
        assert!(dropped > 0, "{dropped}");
        assert!(writer.0.waiting().lines.len() <= ROOM);
        drop(go);
        drop(end);
        let kept = written.lock().unwrap().len() / line.len();
        assert!(kept > 0 && kept < 4 * ROOM / line.len(), "{kept}");
    }
}
