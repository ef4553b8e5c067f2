//! Shows how a fit goes, on stderr: a bar in a terminal, a line now and then elsewhere, or JSON; and
//! cancels it on Ctrl-C.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use timesclip::classifier::FoldReport;
use timesclip::train::EpochRecord;
use timesclip::{FitEvent, FitObserver, Phase};

use crate::closing::curves;

/// Where there is no terminal, at most one line of progress in this time.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// What is said while the work goes on.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LogFlags {
    /// Print no progress and no epochs, only results and errors
    #[arg(long)]
    pub(crate) quiet: bool,
    /// text for people, json for one JSON line an epoch
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = parse_format)]
    pub(crate) log_format: LogFormat,
}

/// How progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

fn parse_format(name: &str) -> Result<LogFormat, String> {
    match name {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("unknown format `{name}`: expected text or json")),
    }
}

/// Watches a fit.
#[derive(Debug)]
pub(crate) struct Progress {
    flags: LogFlags,
    terminal: bool,
    bar: Option<(Phase, ProgressBar)>,
    last_line: Instant,
    has_head: bool,
    cancel: Arc<AtomicBool>,
}

impl Progress {
    /// Starts to watch.
    pub(crate) fn new(flags: LogFlags) -> Self {
        Self {
            flags,
            terminal: std::io::stderr().is_terminal(),
            bar: None,
            last_line: Instant::now(),
            has_head: false,
            cancel: Arc::default(),
        }
    }

    /// Cancels the work on Ctrl-C, instead of ending the process.
    pub(crate) fn cancel_on_interrupt(self) -> Result<Self> {
        let cancel = Arc::clone(&self.cancel);
        ctrlc::set_handler(move || cancel.store(true, Ordering::Relaxed))?;
        Ok(self)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says something beside the progress, unless nobody wants to know.
    pub(crate) fn inform(&mut self, text: &str) {
        if !self.flags.quiet {
            self.say(text);
        }
    }

    /// Draws the learning curves, if a person is watching a terminal.
    pub(crate) fn draw_curves(&mut self, folds: &[FoldReport]) {
        if self.terminal && self.flags.log_format == LogFormat::Text {
            for line in curves(folds) {
                self.inform(&line);
            }
        }
    }

    /// Says something that matters.
    pub(crate) fn say(&mut self, text: &str) {
        match self.flags.log_format {
            LogFormat::Json => say!("{}", json!({ "note": text })),
            LogFormat::Text => match &self.bar {
                Some((_, bar)) => bar.println(text),
                None => say!("{text}"),
            },
        }
        self.last_line = Instant::now();
    }

    fn progress(&mut self, phase: Phase, (done, total): (usize, usize), eta: Option<Duration>) {
        if self.flags.quiet || total == 0 {
            return;
        }
        match (self.terminal, self.flags.log_format) {
            (true, LogFormat::Text) => self.move_bar(phase, (done, total), eta),
            _ if self.last_line.elapsed() < LINE_EVERY => {}
            (_, LogFormat::Text) => self.say(&format!(
                "{}: {done} of {total}{}",
                phase.name(),
                eta.map_or_else(String::new, |eta| format!(", about {} left", duration(eta)))
            )),
            (_, LogFormat::Json) => {
                let eta = eta.map(|eta| eta.as_secs_f64().round());
                let line = json!({ "phase": phase.name(), "done": done, "total": total, "eta_seconds": eta });
                say!("{line}");
                self.last_line = Instant::now();
            }
        }
    }

    fn move_bar(&mut self, phase: Phase, (done, total): (usize, usize), eta: Option<Duration>) {
        if self.bar.as_ref().is_some_and(|(of, _)| *of != phase) {
            self.finish();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total as u64);
            let style = ProgressStyle::with_template("{prefix:12} {bar:32} {pos}/{len} {msg}");
            (
                phase,
                style.map_or(bar.clone(), |style| bar.with_style(style)),
            )
        });
        bar.set_prefix(phase.name());
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if let Some(eta) = eta {
            bar.set_message(format!("{} left", duration(eta)));
        }
    }

    fn epoch(&mut self, (fold, n_folds): (usize, usize), n_epochs: usize, record: &EpochRecord) {
        if self.flags.log_format == LogFormat::Json {
            let line =
                json!({ "fold": fold, "folds": n_folds, "epochs": n_epochs, "record": record });
            say!("{line}");
            self.last_line = Instant::now();
            return;
        }
        // Many short epochs are shown now and then, and always the last.
        let every = n_epochs.div_ceil(10);
        if self.flags.quiet || !record.epoch.is_multiple_of(every) && record.epoch != n_epochs {
            return;
        }
        // Once: folds that are trained side by side take turns in every other line.
        if !std::mem::replace(&mut self.has_head, true) {
            self.say("fold  epoch        train loss  accuracy   valid loss  accuracy   rate");
        }
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
        self.say(&format!(
            "{fold:>2}/{n_folds}  {:>4}/{n_epochs:<4}     {:>8.4}    {:.4}     {:>8}    {:>6}   {:.1e}",
            record.epoch,
            record.train_loss,
            record.train_accuracy,
            number(record.valid_loss),
            number(record.valid_accuracy),
            record.learning_rate
        ));
    }
}

impl FitObserver for Progress {
    fn on_event(&mut self, event: &FitEvent) -> ControlFlow<()> {
        match event {
            FitEvent::Progress {
                phase,
                done,
                total,
                eta,
            } => self.progress(*phase, (*done, *total), *eta),
            FitEvent::Epoch {
                fold,
                n_folds,
                n_epochs,
                record,
            } => self.epoch((*fold, *n_folds), *n_epochs, record),
            FitEvent::Note(text) => self.inform(text),
            _ => {}
        }
        match self.cancel.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// A duration for people: `8 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = (time + Duration::from_millis(500)).as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
