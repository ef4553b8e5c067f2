//! Image stores: any file is the store that was written, or an error.
//!
//! The first byte of the input chooses how a file is made of the rest: the bytes themselves; a
//! sound store with some bytes changed; or that with all checksums made right again, which
//! reaches the checks behind them. In the first two no picture may differ from what was drawn.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use timesclip::cache::disk::StoreFile;
use timesclip::cache::{BuildOptions, CachedImageDataset, OnDiskImages};
use timesclip::raster::PlotStyle;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const N_SAMPLES: usize = 3;
const N_VARIATES: usize = 2;
const SIDE_PX: usize = 16;
const MASKS: usize = N_VARIATES * SIDE_PX * SIDE_PX;

/// A sound store and the pictures in it.
struct Sound {
    folder: TempDir,
    bytes: Vec<u8>,
    masks: Vec<Vec<u8>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let samples = (0..N_SAMPLES).map(|i| LabeledSeries {
        id: i as u64,
        series: Series::new(vec![0.0, 1.0, i as f32, 3.0, 2.0, 0.5], 3, N_VARIATES)
            .expect("a sound series"),
        label: 0,
    });
    let set = SeriesDataset::new("fuzz", vec!["only".to_owned()], samples.collect());
    let style = PlotStyle {
        side_px: SIDE_PX,
        ..PlotStyle::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let set = set.expect("a sound set");
    let images = OnDiskImages::open_or_build(folder.path(), set, &style, BuildOptions::new());
    let images = images.expect("a store");
    let masks = (0..N_SAMPLES).map(|index| {
        let mut masks = vec![0; MASKS];
        images.masks_into(index, &mut masks).expect("pictures");
        masks
    });
    Sound {
        masks: masks.collect(),
        bytes: fs::read(images.path()).expect("the file of the store"),
        folder,
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, edits)) = data.split_first() else {
        return;
    };
    let bytes = match choice % 3 {
        0 => edits.to_vec(),
        1 => edited(edits),
        _ => with_right_checksums(edited(edits)),
    };
    let path = SOUND.folder.path().join("edited");
    fs::write(&path, &bytes).expect("a file");
    let Ok(store) = StoreFile::open(PathBuf::from(&path)) else {
        return;
    };
    let header = store.header();
    if choice % 3 < 2 {
        assert!(bytes == SOUND.bytes, "a changed store was opened");
    }
    let mask_bytes = header.side_px.checked_pow(2);
    let n_bytes = mask_bytes.and_then(|bytes| bytes.checked_mul(header.n_variates));
    let Some(n_bytes) = n_bytes.filter(|&n_bytes| n_bytes <= 1 << 20) else {
        return;
    };
    let mut masks = vec![0; n_bytes];
    for index in 0..header.n_samples {
        let read = store.masks_into(index, &mut masks);
        if choice % 3 < 2 {
            read.expect("a sound store");
            assert!(masks == SOUND.masks[index], "another picture was read");
        }
    }
});

/// The sound store with bytes changed: three bytes of input are a place and what to do there.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = SOUND.bytes.clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        match at & 0x8000 {
            0 if !bytes.is_empty() => {
                let len = bytes.len();
                bytes[at % len] = edit[2];
            }
            _ if edit[2] < 8 => bytes.truncate(at & 0x7fff),
            _ => bytes.push(edit[2]),
        }
    }
    bytes
}

/// Makes every checksum right that can be found; `docs/store-format.md` draws where they are.
fn with_right_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    sign_header_and_records(&mut bytes);
    sign_index_and_footer(&mut bytes);
    bytes
}

fn sign_header_and_records(bytes: &mut [u8]) -> Option<()> {
    let header_len = bytes.get(12..16)?.try_into().ok()?;
    let mut at = u32::from_le_bytes(header_len) as usize;
    sign(bytes, 0, at.checked_sub(8)?, None)?;
    for position in 0.. {
        let codes_len = bytes.get(at + 8..at + 16)?.try_into().ok()?;
        let len = usize::try_from(u64::from_le_bytes(codes_len)).ok()?;
        let end = at.checked_add(16)?.checked_add(len)?;
        sign(bytes, at, end, Some(position))?;
        at = end + 8;
    }
    Some(())
}

fn sign_index_and_footer(bytes: &mut [u8]) -> Option<()> {
    let footer_at = bytes.len().checked_sub(40)?;
    let file_len = bytes.len() as u64;
    let index_at = bytes[footer_at..footer_at + 8].try_into().ok()?;
    let index_at = usize::try_from(u64::from_le_bytes(index_at)).ok()?;
    let checksum = xxh3_64(bytes.get(index_at..footer_at)?);
    bytes[footer_at + 8..footer_at + 16].copy_from_slice(&file_len.to_le_bytes());
    bytes[footer_at + 16..footer_at + 24].copy_from_slice(&checksum.to_le_bytes());
    sign(bytes, footer_at, footer_at + 24, None)
}

/// Writes the checksum of `bytes[start..end]` behind them.
fn sign(bytes: &mut [u8], start: usize, end: usize, seed: Option<u64>) -> Option<()> {
    let body = bytes.get(start..end)?;
    let checksum = seed.map_or_else(|| xxh3_64(body), |seed| xxh3_64_with_seed(body, seed));
    let place = bytes.get_mut(end..end.checked_add(8)?)?;
    place.copy_from_slice(&checksum.to_le_bytes());
    Some(())
}
