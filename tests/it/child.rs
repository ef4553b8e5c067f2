//! Processes for tests: the test binary runs itself, and [`child_entry`] does what it is told.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use timesclip::cache::BuildOptions;
use timesclip::cache::store::StoreError;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::raster::PlotStyle;
use xxhash_rust::xxh3::Xxh3;

use crate::pictures::{small_style, walks};
use crate::stores::{Kind, OpenStore};

/// Carries the job to the child.
const JOB: &str = "TIMESCLIP_TEST_JOB";

/// What a child does: opens or builds the store of a set, and reads all of it; or a part of that.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// `whole`, `join`, or a shard.
    part: String,
    text: String,
    file_limit_kib: Option<u64>,
}

impl Job {
    /// The store of `walks(n_samples, n_variates, seed)`.
    pub(crate) fn build(
        kind: Kind,
        folder: &Path,
        [n_samples, n_variates]: [usize; 2],
        seed: u64,
        side_px: usize,
    ) -> Self {
        let folder = folder.display();
        let text = format!("{kind:?} {n_samples} {n_variates} {seed} {side_px} {folder}");
        Self {
            part: "whole".to_owned(),
            text,
            file_limit_kib: None,
        }
    }

    /// A store of at least so many bytes: pictures that are nearly all ink.
    pub(crate) fn build_heavy(folder: &Path, bytes: u64) -> Self {
        let n_samples = bytes / HEAVY_PICTURE;
        Self {
            part: "whole".to_owned(),
            text: format!("Images {n_samples} 0 0 0 {}", folder.display()),
            file_limit_kib: None,
        }
    }

    /// One shard of that store, `whole` for all of it, or `join` for joining its shards.
    pub(crate) fn part(&self, part: &str) -> Self {
        Self {
            part: part.to_owned(),
            ..self.clone()
        }
    }

    /// No file may grow beyond so many KiB.
    pub(crate) fn with_file_limit(self, kib: u64) -> Self {
        Self {
            file_limit_kib: Some(kib),
            ..self
        }
    }

    fn command(&self) -> Command {
        let test = std::env::current_exe().expect("the path of the test binary");
        let mut command = match self.file_limit_kib {
            None => Command::new(&test),
            Some(kib) => {
                // Without the signal, writing beyond the limit is an error like a full disk.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
                let mut command = Command::new("sh");
                command.args(["-c", &script]).arg(&test);
                command
            }
        };
        command
            .args(["--exact", "child::child_entry", "--ignored", "--nocapture"])
            .env(JOB, format!("{} {}", self.part, self.text))
            .env("RAYON_NUM_THREADS", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// What the encoder of a child takes: long enough to be killed in the middle.
const TIME_OF_SAMPLE: Duration = Duration::from_millis(1);
/// Bytes that a picture of [`heavy`] takes at least.
const HEAVY_PICTURE: u64 = 120_000;

/// Pictures of 400 pixels whose line is half as thick as they are wide.
fn heavy(n_samples: usize) -> (SeriesDataset, PlotStyle) {
    let samples = (0..n_samples).map(|i| {
        let values = vec![0.0, i as f32, -1.0];
        let series = Series::new(values, 3, 1).expect("finite values");
        LabeledSeries {
            id: i as u64,
            series,
            label: 0,
        }
    });
    let dataset = SeriesDataset::new("heavy", vec!["one".to_owned()], samples.collect());
    let style = PlotStyle {
        side_px: 400,
        stroke_width: 0.5,
        ..PlotStyle::default()
    };
    (dataset.expect("a sound set"), style)
}

/// What a child found.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Pictures it drew, or features it computed.
    pub(crate) made: u64,
    /// Checksum of all samples, in order; 0 if only a part was built, or shards joined.
    pub(crate) contents: u64,
    /// Most bytes of memory it ever held; 0 where the system does not tell.
    pub(crate) peak: u64,
}

/// A running child; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Child(Mutex<std::process::Child>);

impl Child {
    pub(crate) fn start(job: &Job) -> Self {
        Self(Mutex::new(
            job.command().spawn().expect("the test binary runs"),
        ))
    }

    pub(crate) fn ended(&self) -> bool {
        let mut child = self.0.lock().expect("no thread panics here");
        child.try_wait().expect("a child of this process").is_some()
    }

    /// Kills the child without warning (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let child = self.0.get_mut().expect("no thread panics here");
        child.kill().expect("a child of this process");
        child.wait().expect("a child of this process");
    }

    /// Waits for a child that must end well.
    pub(crate) fn report(self) -> Report {
        let text = self.output();
        let line = text
            .lines()
            .find_map(|line| line.split_once("report ").map(|(_, rest)| rest));
        let line = line.unwrap_or_else(|| panic!("the child failed: {text}"));
        let numbers: Vec<u64> = line
            .split(' ')
            .map(|n| n.parse().expect("a number"))
            .collect();
        let [made, contents, peak] = numbers[..] else {
            panic!("{line}")
        };
        Report {
            made,
            contents,
            peak,
        }
    }

    /// Waits for a child that must meet an error; its messages, the causes behind it.
    pub(crate) fn error(self) -> String {
        let text = self.output();
        let line = text
            .lines()
            .find_map(|line| line.split_once("error ").map(|(_, rest)| rest));
        line.unwrap_or_else(|| panic!("the child met no error: {text}"))
            .to_owned()
    }

    fn output(mut self) -> String {
        use std::io::Read;

        let child = self.0.get_mut().expect("no thread panics here");
        let mut text = String::new();
        for stream in [
            child
                .stdout
                .take()
                .map(|stream| Box::new(stream) as Box<dyn Read>),
            child
                .stderr
                .take()
                .map(|stream| Box::new(stream) as Box<dyn Read>),
        ] {
            stream
                .expect("a pipe")
                .read_to_string(&mut text)
                .expect("text");
        }
        let status = child.wait().expect("a child of this process");
        assert!(status.success(), "the child ended with {status}: {text}");
        text
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let child = self.0.get_mut().expect("no thread panics here");
        // Both fail for a child that has ended, which is as well.
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[test]
#[ignore = "what the children of other tests run"]
fn child_entry() {
    let job = std::env::var(JOB).expect("a job");
    let (part, job) = job.split_once(' ').expect("a part");
    let (kind, job) = job.split_once(' ').expect("a kind");
    let kind = [Kind::Images, Kind::Features]
        .into_iter()
        .find(|known| format!("{known:?}") == kind)
        .expect("a kind");
    let mut words = job.splitn(5, ' ');
    let mut number = || {
        words
            .next()
            .expect("a number")
            .parse::<usize>()
            .expect("a number")
    };
    let (n_samples, n_variates, seed, side_px) = (number(), number(), number(), number());
    let folder = words.next().expect("a folder");
    let (dataset, style) = match n_variates {
        0 => heavy(n_samples),
        _ => (
            walks(n_samples, n_variates, seed as u64),
            PlotStyle {
                side_px,
                ..small_style()
            },
        ),
    };
    match run(kind, part, Path::new(folder), (&dataset, &style)) {
        Ok((made, contents)) => println!("report {made} {contents} {}", peak_memory()),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            println!("error {error}: {}", cause.unwrap_or_default());
        }
    }
}

/// What was made, and a checksum of it.
fn run(
    kind: Kind,
    part: &str,
    folder: &Path,
    (dataset, style): (&SeriesDataset, &PlotStyle),
) -> Result<(u64, u64), StoreError> {
    let options = BuildOptions::new();
    match part {
        "whole" => {
            let store = kind.build_slowly(folder, dataset, style, TIME_OF_SAMPLE)?;
            Ok((store.made(), checksum(&*store)))
        }
        "join" => {
            kind.join(&kind.path(folder, dataset, style), options)?;
            Ok((0, 0))
        }
        shard => {
            let shard = shard.parse().expect("a shard");
            let how = (options, TIME_OF_SAMPLE);
            let built = kind.build_shard(folder, (dataset, style), shard, how)?;
            Ok((built.n_made as u64, 0))
        }
    }
}

fn checksum(store: &dyn OpenStore) -> u64 {
    let mut hash = Xxh3::new();
    for index in 0..store.n_samples() {
        hash.update(&store.read(index).expect("a sample of the set"));
    }
    hash.digest()
}

/// `VmHWM` of this process in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}
