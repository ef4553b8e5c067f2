//! What is said on stderr while a query runs, and when it has.

use std::fs;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use timesclip_datafusion::Models;

/// How often a terminal is told.
const TERMINAL_EVERY: Duration = Duration::from_millis(500);
/// How often a pipe or a file is told.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// How often the watcher looks whether the work is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Watches a query.
#[derive(Debug)]
pub(crate) struct Progress {
    counts: Arc<Counts>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Counts {
    models: Arc<Models>,
    start: Instant,
    /// Rows of the result that are written.
    written: AtomicU64,
    /// Rows that the result will have, 0 if nobody knows.
    total: AtomicU64,
    done: AtomicBool,
}

impl Progress {
    /// Starts to watch, and to tell unless `quiet`.
    pub(crate) fn new(models: &Arc<Models>, quiet: bool) -> Arc<Self> {
        let counts = Arc::new(Counts {
            models: Arc::clone(models),
            start: Instant::now(),
            written: AtomicU64::new(0),
            total: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        let watched = Arc::clone(&counts);
        let watcher = (!quiet).then(|| thread::spawn(move || watched.watch()));
        let watcher = Mutex::new(watcher);
        Arc::new(Self { counts, watcher })
    }

    /// Rows that the result will have.
    pub(crate) fn expect(&self, rows: usize) {
        self.counts.total.store(rows as u64, Ordering::Relaxed);
    }

    /// More rows are written.
    pub(crate) fn wrote(&self, rows: usize) {
        self.counts
            .written
            .fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Stops to watch, and sums up if all went well.
    pub(crate) fn finish(&self, well: bool) {
        self.counts.done.store(true, Ordering::Relaxed);
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watcher) = watcher.take() else {
            return;
        };
        // A watcher that has panicked has nothing more to say.
        let _ = watcher.join();
        if well {
            eprintln!("{}", self.counts.summary());
        }
    }
}

impl Counts {
    fn watch(&self) {
        let terminal = std::io::stderr().is_terminal();
        let every = if terminal { TERMINAL_EVERY } else { LINE_EVERY };
        let mut last = Instant::now();
        while !self.done.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
            if last.elapsed() >= every && !self.done.load(Ordering::Relaxed) {
                last = Instant::now();
                match terminal {
                    true => eprint!("\r\x1b[K{}", self.line()),
                    false => eprintln!("{}", self.line()),
                }
            }
        }
        if terminal {
            eprint!("\r\x1b[K");
        }
    }

    /// How far it is: rows of the result, or, while there are none, series answered for.
    fn line(&self) -> String {
        let elapsed = self.start.elapsed().as_secs_f64();
        let written = self.written.load(Ordering::Relaxed);
        let answered = self.models.n_answered();
        let total = self.total.load(Ordering::Relaxed);
        let done = written.max(answered.min(total));
        let rate = done as f64 / elapsed;
        if total > 0 && done > 0 {
            let left = total.saturating_sub(done) as f64 / rate;
            return format!("{done} of {total} rows, {rate:.0} rows/s, about {left:.0} s left");
        }
        match (written, answered) {
            (0, 0) => format!("{elapsed:.0} s"),
            (0, answered) => format!("{answered} series, {:.0}/s", answered as f64 / elapsed),
            _ => format!("{written} rows, {rate:.0} rows/s"),
        }
    }

    fn summary(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let rows = self.written.load(Ordering::Relaxed);
        let memory = peak_memory().map(|mb| format!(", at most {mb} MB of memory"));
        format!(
            "{rows} rows in {seconds:.1} s, {:.0} rows/s{}",
            rows as f64 / seconds,
            memory.unwrap_or_default()
        )
    }
}

/// The most memory that the process has had, in megabytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024 / 1_000_000)
}
