//! Learning curves as TensorBoard's event files.
//!
//! A file is a sequence of records: the length of the data in 8 bytes, a masked CRC-32C of these, the
//! data, a masked CRC-32C of them; numbers are little-endian. The data are protocol buffers of
//! TensorBoard's `Event`, of which scalars need five fields.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::classifier::{FitEvent, FitObserver};
use crate::files::IoError;

/// What the first event of a file says.
const VERSION: &[u8] = b"brain.Event:2";
/// Added to a rotated CRC, so that one of data with a CRC inside is no fixed point.
const MASK: u32 = 0xa282_ead8;
/// Castagnoli's polynomial, its bits turned around.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Writes scalars into one event file.
#[derive(Debug)]
pub struct ScalarWriter {
    path: PathBuf,
    file: File,
}

impl ScalarWriter {
    /// Starts a new event file in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`IoError`] if it cannot be made or written.
    pub fn create(folder: &Path) -> Result<Self, IoError> {
        let time = now();
        fs::create_dir_all(folder).map_err(IoError::at("make", folder))?;
        let path = folder.join(format!("events.out.tfevents.{time:010.0}.timesclip"));
        let file = File::create(&path).map_err(IoError::at("create", &path))?;
        let mut writer = Self { path, file };
        writer.write(&version(time))?;
        Ok(writer)
    }

    /// Adds a scalar at a step.
    ///
    /// # Errors
    /// [`IoError`] if it cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<(), IoError> {
        self.write(&scalar(now(), tag, step, value))
    }

    fn write(&mut self, event: &[u8]) -> Result<(), IoError> {
        let written = self.file.write_all(&record(event));
        written.map_err(IoError::at("write", &self.path))
    }
}

/// Passes events on, and writes those of epochs for TensorBoard: a folder for each fold.
pub struct TensorBoard<'a> {
    observer: &'a mut dyn FitObserver,
    folder: PathBuf,
    folds: BTreeMap<usize, ScalarWriter>,
    failed: Option<IoError>,
}

impl std::fmt::Debug for TensorBoard<'_> {
    // Not the observer.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorBoard")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<'a> TensorBoard<'a> {
    /// Writes into folders `fold-N` of this folder.
    pub fn new(folder: impl Into<PathBuf>, observer: &'a mut dyn FitObserver) -> Self {
        Self {
            observer,
            folder: folder.into(),
            folds: BTreeMap::new(),
            failed: None,
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`IoError`] of the first event that could not be written; none were written after it.
    pub fn finish(self) -> Result<(), IoError> {
        self.failed.map_or(Ok(()), Err)
    }

    fn epoch(&mut self, event: &FitEvent) -> Result<(), IoError> {
        let FitEvent::Epoch { fold, record, .. } = event else {
            return Ok(());
        };
        if !self.folds.contains_key(fold) {
            let folder = self.folder.join(format!("fold-{fold}"));
            self.folds.insert(*fold, ScalarWriter::create(&folder)?);
        }
        let Some(writer) = self.folds.get_mut(fold) else {
            return Ok(());
        };
        let scalars = [
            ("loss/train", Some(record.train_loss)),
            ("accuracy/train", Some(record.train_accuracy)),
            ("loss/valid", record.valid_loss),
            ("accuracy/valid", record.valid_accuracy),
            ("contrastive/train", record.train_contrastive),
            ("learning_rate", Some(record.learning_rate)),
        ];
        for (tag, value) in scalars {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "TensorBoard's scalars are of single precision"
            )]
            if let Some(value) = value {
                writer.scalar(tag, record.epoch as u64, value as f32)?;
            }
        }
        Ok(())
    }
}

impl FitObserver for TensorBoard<'_> {
    fn on_event(&mut self, event: &FitEvent) -> ControlFlow<()> {
        if self.failed.is_none() {
            self.failed = self.epoch(event).err();
        }
        self.observer.on_event(event)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0.0, |time| time.as_secs_f64())
}

/// The event that every file begins with: wall time (field 1), version (field 3).
fn version(time: f64) -> Vec<u8> {
    let mut event = time_field(time);
    bytes_field(&mut event, 3, VERSION);
    event
}

/// An event of one scalar: wall time (field 1), step (field 2), a summary (field 5) of one value
/// (field 1), which has a tag (field 1) and a number (field 2).
fn scalar(time: f64, tag: &str, step: u64, number: f32) -> Vec<u8> {
    let mut value = Vec::new();
    bytes_field(&mut value, 1, tag.as_bytes());
    value.push((2 << 3) | 5);
    value.extend(number.to_le_bytes());
    let mut summary = Vec::new();
    bytes_field(&mut summary, 1, &value);
    let mut event = time_field(time);
    event.push(2 << 3);
    varint(&mut event, step);
    bytes_field(&mut event, 5, &summary);
    event
}

fn time_field(time: f64) -> Vec<u8> {
    let mut event = vec![(1 << 3) | 1];
    event.extend(time.to_le_bytes());
    event
}

fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push((field << 3) | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// A record of a file.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(MASK)
}

fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            crc = (crc >> 1) ^ carry;
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        // RFC 3720, appendix B.4, and the check value of the catalog of CRCs.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_file_has_the_bytes_that_tensorboard_reads() {
        // `check.py` beside the file reads it by TensorBoard's own reader.
        let path = "tests/fixtures/tensorboard/events.out.tfevents.0000000001.timesclip";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut bytes = record(&version(1.0));
        for (step, loss) in [(1, 2.5), (2, 1.25), (300, 0.125)] {
            bytes.extend(record(&scalar(1.0 + step as f64, "loss/train", step, loss)));
        }
        if std::env::var_os("TIMESCLIP_FIXTURES").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        assert!(
            fs::read(&path).unwrap() == bytes,
            "other bytes than the fixture"
        );
    }

    #[test]
    fn events_of_epochs_are_written_and_all_are_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut n = 0;
        let mut count = |_: &FitEvent| {
            n += 1;
            ControlFlow::Continue(())
        };
        let mut board = TensorBoard::new(folder.path().join("board"), &mut count);
        let record = crate::train::EpochRecord {
            epoch: 1,
            train_loss: 0.5,
            train_accuracy: 0.75,
            train_contrastive: None,
            valid_loss: None,
            valid_accuracy: None,
            valid_balanced_accuracy: None,
            learning_rate: 1e-3,
        };
        let event = FitEvent::Epoch {
            fold: 2,
            n_folds: 2,
            n_epochs: 1,
            record,
        };
        assert!(board.on_event(&event).is_continue());
        assert!(
            board
                .on_event(&FitEvent::Note("on".to_owned()))
                .is_continue()
        );
        board.finish().unwrap();
        assert_eq!(n, 2);
        let fold = folder.path().join("board/fold-2");
        let files: Vec<PathBuf> = fs::read_dir(fold)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1);
        let bytes = fs::read(&files[0]).unwrap();
        let has = |tag: &[u8]| bytes.windows(tag.len()).any(|part| part == tag);
        assert!(has(b"loss/train") && has(b"learning_rate"), "scalars");
        assert!(!has(b"loss/valid"), "a score that is not there");
    }
}
