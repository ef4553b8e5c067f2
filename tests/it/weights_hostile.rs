//! Files of weights that are cut off, contradict themselves, or want to do harm.
//!
//! The outcome is always an error that names the file, without a panic, and with memory in
//! proportion to the file. The recursion of a deep file would end the whole test binary.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use allocation_counter::measure;
use tempfile::TempDir;
use timesclip::weights::{Checkpoint, WeightsError};

use crate::pictures::Random;
use crate::support::Cpu;
use crate::weights_parity::data;

/// Memory that opening may take beside that for the file: buffers, and messages.
const MEMORY: u64 = 1 << 20;
/// The same for each byte of the file: a value of a pickle is one byte there, and a hundred here.
const MEMORY_PER_BYTE: u64 = 150;

/// A folder with the `config.json` of a fixture, and a file of weights that changes.
struct Bench {
    folder: TempDir,
    file: PathBuf,
    sound: Vec<u8>,
}

impl Bench {
    fn new(fixture: &str, file: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.json");
        fs::copy(data(fixture).join("config.json"), config).expect("a copy");
        Self {
            file: folder.path().join(file),
            sound: fs::read(data(fixture).join(file)).expect("a fixture"),
            folder,
        }
    }

    fn safetensors() -> Self {
        Self::new("vision", "model.safetensors")
    }

    fn torch() -> Self {
        Self::new("vision_bin", "pytorch_model.bin")
    }

    /// Opens and loads a file of these bytes.
    fn load(&self, bytes: &[u8]) -> Result<(), WeightsError> {
        fs::write(&self.file, bytes).expect("a file in a new folder");
        let mut outcome = Ok(());
        let taken = measure(|| outcome = load(self.folder.path()));
        let allowed = MEMORY + MEMORY_PER_BYTE * bytes.len() as u64;
        assert!(
            taken.bytes_max <= allowed,
            "{} bytes of memory for a file of {}",
            taken.bytes_max,
            bytes.len()
        );
        outcome
    }

    /// The message of the error, with its causes; it names the file.
    fn refused(&self, bytes: &[u8]) -> String {
        let error = self.load(bytes).expect_err("a file that must be refused");
        let mut message = error.to_string();
        assert!(message.contains("model"), "no file is named: {message}");
        let mut cause = error.source();
        while let Some(error) = cause {
            message += &format!(": {error}");
            cause = error.source();
        }
        assert!(message.len() < 4096, "{} bytes of message", message.len());
        message
    }

    fn assert_refused(&self, bytes: &[u8], expected: &str) {
        let message = self.refused(bytes);
        assert!(
            message.contains(expected),
            "{expected:?} is not in {message:?}"
        );
    }
}

fn load(folder: &Path) -> Result<(), WeightsError> {
    let checkpoint = Checkpoint::open(folder)?;
    let config = checkpoint.vision_config()?;
    checkpoint.load_vision::<Cpu>(&config, &Default::default())?;
    Ok(())
}

/// A safetensors file of this header and as many bytes of data.
fn safetensors(header: &str, n_bytes: usize) -> Vec<u8> {
    let len = header.len() as u64;
    [&len.to_le_bytes(), header.as_bytes(), &vec![0; n_bytes]].concat()
}

#[test]
fn headers_of_safetensors_that_cannot_be_are_refused() {
    let bench = Bench::safetensors();
    bench.load(&bench.sound).expect("a sound file");
    bench.assert_refused(b"", "0 bytes are no safetensors file");
    bench.assert_refused(&[0; 7], "7 bytes are no safetensors file");
    bench.assert_refused(
        b"version https://git-lfs.github.com/spec/v1\n",
        "git lfs pull",
    );
    for len in [u64::MAX, 1 << 40, 17 << 20] {
        let file = [len.to_le_bytes().as_slice(), b"{}"].concat();
        bench.assert_refused(&file, "its header is");
    }
    bench.assert_refused(&[3, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'], "in a file of 10");
    let deep = "[".repeat(100_000);
    bench.assert_refused(&safetensors(&deep, 0), "header");
    bench.assert_refused(&safetensors(&format!(r#"{{"a":{deep}"#), 0), "header");
    let tensor = |shape: &str, offsets: &str| {
        let info = format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}"#);
        safetensors(&format!(r#"{{"a":{info}}}"#), 16)
    };
    for (shape, offsets) in [
        ("[NaN]", "[0,16]"),
        ("[2.0,2]", "[0,16]"),
        ("[-2,-2]", "[0,16]"),
        ("[4611686018427387904,4]", "[0,16]"),
        ("[1099511627776]", "[0,4398046511104]"),
        ("[2,2]", "[0,8]"),
        ("[2,2]", "[4,20]"),
        ("[2,2]", "[16,0]"),
        ("[2,2]", "[0,18446744073709551616]"),
        ("[1,1]", "[0,4]"),
    ] {
        bench.assert_refused(&tensor(shape, offsets), "header");
    }
    let dimensions = format!("[{}4]", "1,".repeat(20_000));
    bench.assert_refused(&tensor(&dimensions, "[0,16]"), "dimensions");
    let name = "n".repeat(5000);
    let long = format!(r#"{{"{name}":{{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}}}"#);
    bench.assert_refused(&safetensors(&long, 16), "5000 bytes long");
}

#[test]
fn tensors_of_safetensors_that_share_bytes_are_refused() {
    let bench = Bench::safetensors();
    for second in ["[8,24]", "[0,16]", "[20,36]"] {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[4],"data_offsets":[0,16]}},
                "b":{{"dtype":"F32","shape":[4],"data_offsets":{second}}}}}"#
        );
        bench.assert_refused(&safetensors(&header, 36), "header");
    }
}

#[test]
fn files_cut_off_anywhere_are_refused() {
    for bench in [Bench::safetensors(), Bench::torch()] {
        let n = bench.sound.len();
        let everywhere = (0..100).chain((100..n).step_by(487)).chain(n - 60..n);
        for len in everywhere {
            bench.refused(&bench.sound[..len]);
        }
        let longer = [bench.sound.as_slice(), b"x"].concat();
        bench.refused(&longer);
    }
}

#[test]
fn changed_bytes_are_other_weights_or_an_error_and_never_a_panic() {
    for bench in [Bench::safetensors(), Bench::torch()] {
        let mut random = Random(5);
        let described = bench.sound.len().min(5000);
        for i in 0..1500 {
            let mut bytes = bench.sound.clone();
            // In the descriptions, which are first or last, and seldom elsewhere.
            let at = match i % 5 {
                0 | 1 => random.below(described),
                2 | 3 => bytes.len() - 1 - random.below(described),
                _ => random.below(bytes.len()),
            };
            for place in &mut bytes[at..] {
                *place = random.next().to_le_bytes()[0];
                if random.below(3) > 0 {
                    break;
                }
            }
            let _ = bench.load(&bytes);
        }
    }
}

#[test]
fn a_flipped_bit_in_an_archive_is_found_by_its_checksum() {
    let bench = Bench::torch();
    bench.load(&bench.sound).expect("a sound file");
    // The first storage of the archive lies behind the local header of its name.
    let name = b"pytorch_model/data/0";
    let at = bench
        .sound
        .windows(name.len())
        .position(|bytes| bytes == name);
    let at = at.expect("an entry of that name");
    let padding = u16::from_le_bytes([bench.sound[at - 2], bench.sound[at - 1]]);
    let mut bytes = bench.sound.clone();
    bytes[at + name.len() + usize::from(padding)] ^= 1;
    bench.assert_refused(&bytes, "checksum");
}

/// A stored entry of an archive; the checksum zero says that there is none.
struct Entry<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

/// An archive as PyTorch writes it.
fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let le = |n: usize| u32::try_from(n).expect("a small archive").to_le_bytes();
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Entry { name, bytes } in entries {
        let sizes = [[0; 4], le(bytes.len()), le(bytes.len())].concat();
        let names = [&le(name.len())[..2], &[0; 2]].concat();
        directory.extend([b"PK\x01\x02".as_slice(), &[0; 12], &sizes, &names].concat());
        directory.extend([[0; 10].as_slice(), &le(file.len()), name.as_bytes()].concat());
        file.extend([b"PK\x03\x04".as_slice(), &[0; 10], &sizes, &names].concat());
        file.extend([name.as_bytes(), bytes].concat());
    }
    let end = [le(directory.len()), le(file.len())].concat();
    let end = [b"PK\x05\x06".as_slice(), &[0; 8], &end, &[0; 2]].concat();
    [file, directory, end].concat()
}

/// An archive of this pickle, and a storage of four numbers.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    let entry = |name, bytes| Entry { name, bytes };
    archive(&[entry("m/data.pkl", pickle), entry("m/data/0", &[0; 16])])
}

/// The pickle of a tensor `a`: a storage of `len` elements, offset, shape and strides as pickles.
fn tensor(len: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage = b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu";
    let start = b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((";
    let end = b"\x89}tRs.";
    [
        start.as_slice(),
        storage,
        len,
        b"tQ",
        offset,
        shape,
        strides,
        end,
    ]
    .concat()
}

#[test]
fn pickles_run_nothing() {
    let bench = Bench::torch();
    let trace = bench.folder.path().join("ran");
    let command = format!("cposix\nsystem\n(S'touch {}'\ntR.", trace.display());
    let command = [b"\x80\x02", command.as_bytes()].concat();
    bench.assert_refused(&pickled(&command), "asks for `posix.system`");
    for name in [
        "builtins\neval",
        "os\nsystem",
        "torch\nload",
        "collections\nCounter",
    ] {
        let pickle = format!("\u{2}c{name}\n)R.");
        let pickle = [b"\x80", pickle.as_bytes()].concat();
        bench.assert_refused(&pickled(&pickle), &name.replace('\n', "."));
    }
    for instruction in [b'i', b'o', 0x81, 0x92, 0x93, 0x82, b'P'] {
        let message = format!("instruction {instruction:#04x}");
        bench.assert_refused(&pickled(&[0x80, 2, instruction, b'.']), &message);
    }
    assert!(!trace.exists(), "a pickle ran something");
}

#[test]
fn pickles_that_cannot_be_state_dicts_are_refused() {
    let bench = Bench::torch();
    let deep = [b"\x80\x02)".as_slice(), &[0x85].repeat(200_000), b"."].concat();
    bench.assert_refused(&pickled(&deep), "no dictionary of tensors");
    let marks = [b"\x80\x02".as_slice(), &b"(".repeat(200_000), b"."].concat();
    bench.assert_refused(&pickled(&marks), "takes what is not there");
    // Every tuple holds the one before it twice: 2^60 values for who copies them.
    let double = [
        b"\x80\x02)q\0".as_slice(),
        &b"h\0h\0\x86q\0".repeat(60),
        b".",
    ]
    .concat();
    bench.assert_refused(&pickled(&double), "no dictionary of tensors");
    // A dictionary that holds itself.
    let own = b"\x80\x02}q\0X\x01\0\0\0ah\0s.";
    bench.assert_refused(&pickled(own), "`a` is no tensor");
    for (pickle, expected) in [
        (b"\x80\x02".as_slice(), "cut off"),
        (b"\x80\x02}", "cut off"),
        (b"\x80\x02.", "takes what is not there"),
        (b"\x80\x04}.", "protocol 4"),
        (b"\x80\x02N.", "no dictionary of tensors"),
        (b"\x80\x02}K\x01K\x02s.", "a key that is no text"),
        (b"\x80\x02}K\x01(K\x02u.", "adds to what is no dictionary"),
        (b"\x80\x02h\x05.", "never made value 5"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "cut off"),
        (b"\x80\x02X\x01\0\0\0\xff.", "broken text"),
        (b"\x80\x02\x8a\xff.", "cut off"),
        (b"\x80\x02\x8a\x09123456789.", "integer of 9 bytes"),
        (b"\x80\x02(NQ.", "no storage"),
    ] {
        bench.assert_refused(&pickled(pickle), expected);
    }
}

const ZERO: &[u8] = b"K\0";
const ONE: &[u8] = b"K\x01";
const FOUR: &[u8] = b"K\x04";
const FIVE: &[u8] = b"K\x05";
const NEGATIVE: &[u8] = b"J\xff\xff\xff\xff";
const MAX: &[u8] = b"\x8a\x07\xff\xff\xff\xff\xff\xff\x7f";
/// Two by two.
const PAIR: &[u8] = b"K\x02K\x02\x86";
const ROW_MAJOR: &[u8] = b"K\x02K\x01\x86";
/// Every element is the first.
const REPEATED: &[u8] = b"K\0K\0\x86";

#[test]
fn tensors_outside_of_their_storage_are_refused() {
    let bench = Bench::torch();
    let huge = [MAX, MAX, b"\x86"].concat();
    let five = [FIVE, ONE, b"\x86"].concat();
    let single = [ONE, b"\x85"].concat();
    let larger = "larger than its storage";
    for (len, offset, shape, strides, expected) in [
        (FIVE, ZERO, PAIR, ROW_MAJOR, "should hold 5 elements"),
        (MAX, ZERO, PAIR, ROW_MAJOR, "should hold"),
        (NEGATIVE, ZERO, PAIR, ROW_MAJOR, "a size of -1"),
        (FOUR, ONE, PAIR, ROW_MAJOR, larger),
        (FOUR, MAX, PAIR, ROW_MAJOR, larger),
        (FOUR, ZERO, &huge, REPEATED, larger),
        (FOUR, ZERO, &five, REPEATED, larger),
        (FOUR, ZERO, PAIR, &huge, larger),
        (FOUR, ZERO, PAIR, &single, "strides that do not fit"),
        (FOUR, ZERO, FOUR, ROW_MAJOR, "a shape that is no tuple"),
        (FOUR, ZERO, b"N", ROW_MAJOR, "a shape that is no tuple"),
        (FOUR, b"N", PAIR, ROW_MAJOR, "a size that is no integer"),
    ] {
        let pickle = tensor(len, offset, shape, strides);
        bench.assert_refused(&pickled(&pickle), expected);
    }
}

#[test]
fn storages_that_are_not_there_and_names_that_are_too_many_are_refused() {
    let bench = Bench::torch();
    // This one is sound, and that it is there is all that is wrong with it.
    let sound = tensor(FOUR, ZERO, PAIR, ROW_MAJOR);
    bench.assert_refused(&pickled(&sound), "`a` [2, 2] is used by nothing");
    let alone = Entry {
        name: "m/data.pkl",
        bytes: &sound,
    };
    bench.assert_refused(&archive(&[alone]), "storage 0, which is not there");
    let ranks = [b"(".as_slice(), &b"K\x01".repeat(9), b"t"].concat();
    bench.assert_refused(
        &pickled(&tensor(FOUR, ZERO, &ranks, ROW_MAJOR)),
        "9 dimensions",
    );
}

#[test]
fn archives_that_pytorch_does_not_write_are_refused() {
    let bench = Bench::torch();
    let sound = pickled(b"\x80\x02}.");
    bench.assert_refused(&sound, "is missing");
    let directory = sound.windows(4).position(|bytes| bytes == b"PK\x01\x02");
    let directory = directory.expect("a directory");
    let changed = |at: usize, value: u32| {
        let mut bytes = sound.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    let end = sound.len() - 22;
    for (bytes, expected) in [
        (changed(directory + 10, 8), "compressed or encrypted"),
        (changed(directory + 8, 1), "compressed or encrypted"),
        (changed(directory + 24, 1 << 30), "two lengths"),
        (changed(directory + 20, u32::MAX), "no length"),
        (changed(directory + 42, 1 << 30), "are asked for"),
        (changed(directory + 42, 1), "no entry"),
        (changed(directory + 28, 60_000), "cut off"),
        (changed(end + 12, u32::MAX), "does not end at"),
        (changed(end + 16, 0), "does not end at"),
        (changed(end, 0), "cut off"),
        (b"PK".to_vec(), "too short"),
        (b"no archive at all".to_vec(), "no archive of PyTorch"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF".to_vec(), "PyTorch before 1.6"),
    ] {
        bench.assert_refused(&bytes, expected);
    }
    // Two entries whose lengths are equal, and both in the place of the first.
    let entry = |name| Entry { name, bytes: b"12" };
    let mut twice = archive(&[entry("m/data/0"), entry("m/data/1")]);
    let second = twice.windows(4).rposition(|bytes| bytes == b"PK\x01\x02");
    let second = second.expect("a directory") + 42;
    twice[second..second + 4].fill(0);
    bench.assert_refused(&twice, "overlap");
    bench.assert_refused(&archive(&[entry("m/data/0")]), "no data.pkl");
}
