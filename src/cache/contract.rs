//! The test that every [`CachedImageDataset`] must pass, ours and those of other crates.

mod violation;

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

pub use violation::ContractViolation;

use super::build::rasterizer;
use super::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use crate::data::LabeledSeries;
use crate::raster::{PlotStyle, Rasterizer, Scratch};

/// Threads that read at once.
const N_THREADS: usize = 4;
/// What a buffer holds before masks are read into it: no mask is full of this.
const GARBAGE: u8 = 0xa5;

/// Checks that `images` are the pictures of its own samples in `style`, however they are read.
///
/// - the side is that of the style, every sample has as many variates as the data set says, every
///   id is there once;
/// - an index that is out of range is [`CacheError::IndexOutOfRange`] with both numbers, a buffer
///   of another length [`CacheError::BufferLength`] with both numbers;
/// - the masks of an index are, byte for byte, those of drawing the series that `sample` returns
///   for it: in order, in reverse, scattered, twice in a row, and from several threads at once;
/// - `sample` returns the same every time;
/// - the key is [`ImageKey::of_samples`] of the samples and the style, before and after;
/// - the statistics count all pictures, and never go back.
///
/// Reads every sample some ten times and draws it once: meant for tests, on small sets.
///
/// # Errors
///
/// The first [`ContractViolation`] that is met.
///
/// # Examples
///
/// ```
/// use timesclip::cache::{UncachedImages, check_contract};
/// use timesclip::raster::PlotStyle;
/// # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// # let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// # let samples = vec![LabeledSeries { id: 0, series, label: 0 }];
/// # let dataset = SeriesDataset::new("one", vec!["only".into()], samples)?;
///
/// let style = PlotStyle::default();
/// check_contract(&UncachedImages::new(dataset, &style)?, &style)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_contract(
    images: &dyn CachedImageDataset,
    style: &PlotStyle,
) -> Result<(), ContractViolation> {
    let reference = Reference::draw(images, style)?;
    let stats = images.stats();
    check_stats(images, None, &stats)?;
    check_refusals(images)?;

    let n = images.n_samples();
    let mut buffer = vec![GARBAGE; n_bytes(images)];
    let orders: [(&'static str, Vec<usize>); 4] = [
        ("in order", (0..n).collect()),
        ("in reverse", (0..n).rev().collect()),
        ("scattered", scattered(n, n / 3 + 1)),
        ("twice in a row", (0..2 * n).map(|i| i / 2).collect()),
    ];
    for (order, indices) in orders {
        reference.check_all(images, order, indices, &mut buffer)?;
    }
    check_threads(images, &reference)?;
    reference.check_key(images)?;
    check_stats(images, Some(&stats), &images.stats())
}

/// What every read must give: fingerprints, so that all pictures need not fit in memory.
struct Reference {
    key: ImageKey,
    /// Id, fingerprint of the sample, fingerprint of its masks.
    samples: Vec<(u64, u128, u128)>,
}

impl Reference {
    fn draw(images: &dyn CachedImageDataset, style: &PlotStyle) -> Result<Self, ContractViolation> {
        let (found, expected) = (images.side_px(), style.side_px);
        if found != expected {
            return Err(ContractViolation::Side { found, expected });
        }
        let rasterizer = rasterizer(style, images.n_variates())
            .map_err(|source| ContractViolation::Style { source })?;
        let mut pen = Pen {
            scratch: rasterizer.scratch(),
            rasterizer,
            masks: Vec::new(),
        };
        let mut samples = Vec::new();
        let mut ids = HashSet::new();
        let mut violation = Ok(());
        let drawn = (0..images.n_samples()).map_while(|index| {
            let sample = images
                .sample(index)
                .map_err(|source| failed(index, source.into()));
            let sample = sample.and_then(|sample| {
                samples.push(pen.draw(images, index, &sample)?);
                let id = sample.id;
                let new = ids.insert(id);
                new.then_some(sample)
                    .ok_or(ContractViolation::DuplicateId { index, id })
            });
            sample.map_err(|found| violation = Err(found)).ok()
        });
        let key = ImageKey::of_samples(drawn, style);
        violation.map(|()| Self { key, samples })
    }

    fn check_all(
        &self,
        images: &dyn CachedImageDataset,
        order: &'static str,
        indices: Vec<usize>,
        buffer: &mut [u8],
    ) -> Result<(), ContractViolation> {
        for index in indices {
            let (id, expected_sample, expected_masks) = self.samples[index];
            let sample = images
                .sample(index)
                .map_err(|source| failed(index, source.into()))?;
            if fingerprint(&sample) != expected_sample {
                return Err(ContractViolation::SampleChanged { index, order });
            }
            buffer.fill(GARBAGE);
            images
                .masks_into(index, buffer)
                .map_err(|source| failed(index, source))?;
            if xxh3_128(buffer) != expected_masks {
                return Err(ContractViolation::Masks { index, id, order });
            }
        }
        Ok(())
    }

    fn check_key(&self, images: &dyn CachedImageDataset) -> Result<(), ContractViolation> {
        let (found, expected) = (images.key(), self.key);
        if found == expected {
            Ok(())
        } else {
            Err(ContractViolation::Key { found, expected })
        }
    }
}

/// Draws the reference pictures.
struct Pen {
    rasterizer: Rasterizer,
    scratch: Scratch,
    masks: Vec<u8>,
}

impl Pen {
    fn draw(
        &mut self,
        images: &dyn CachedImageDataset,
        index: usize,
        sample: &LabeledSeries,
    ) -> Result<(u64, u128, u128), ContractViolation> {
        let (found, expected) = (sample.series.n_variates(), images.n_variates());
        if found != expected {
            return Err(ContractViolation::VariateCount {
                index,
                found,
                expected,
            });
        }
        self.masks.resize(n_bytes(images), 0);
        self.rasterizer
            .draw_series(&mut self.scratch, &sample.series, &mut self.masks);
        Ok((sample.id, fingerprint(sample), xxh3_128(&self.masks)))
    }
}

fn failed(index: usize, source: CacheError) -> ContractViolation {
    ContractViolation::Failed { index, source }
}

fn n_bytes(images: &dyn CachedImageDataset) -> usize {
    images.n_variates() * images.side_px().pow(2)
}

/// A number for a sample as a whole, its label included.
fn fingerprint(sample: &LabeledSeries) -> u128 {
    let key = ImageKey::of_samples([sample], &PlotStyle::default());
    xxh3_128(
        &[
            key.series().to_le_bytes(),
            (sample.label as u128).to_le_bytes(),
        ]
        .concat(),
    )
}

/// All numbers below `n`, each once, about `step` apart.
fn scattered(n: usize, step: usize) -> Vec<usize> {
    (0..step)
        .flat_map(|first| (first..n).step_by(step))
        .collect()
}

fn check_threads(
    images: &dyn CachedImageDataset,
    reference: &Reference,
) -> Result<(), ContractViolation> {
    let n = images.n_samples();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut buffer = vec![GARBAGE; n_bytes(images)];
                    let indices = scattered(n, 1 + thread);
                    reference.check_all(images, "from several threads", indices, &mut buffer)
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

fn check_refusals(images: &dyn CachedImageDataset) -> Result<(), ContractViolation> {
    let n_samples = images.n_samples();
    let mut masks = vec![0; n_bytes(images)];
    for index in [n_samples, n_samples + 1, usize::MAX] {
        let expected = CacheError::IndexOutOfRange { index, n_samples };
        let result = images.sample(index).map(drop).map_err(CacheError::from);
        check_refused(format!("sample({index})"), &expected, result)?;
        let result = images.masks_into(index, &mut masks);
        check_refused(format!("masks_into({index}, ..)"), &expected, result)?;
    }
    let expected_len = masks.len();
    for found in [0, expected_len.saturating_sub(1), expected_len + 1] {
        if n_samples == 0 || found == expected_len {
            continue;
        }
        masks.resize(found, 0);
        let expected = CacheError::BufferLength {
            found,
            expected: expected_len,
        };
        let call = format!("masks_into(0, a buffer of {found} bytes)");
        check_refused(call, &expected, images.masks_into(0, &mut masks))?;
    }
    Ok(())
}

fn check_refused(
    call: String,
    expected: &CacheError,
    result: Result<(), CacheError>,
) -> Result<(), ContractViolation> {
    // The message tells both numbers, and errors with a cause cannot be compared.
    let expected = expected.to_string();
    let found = match result {
        Err(error) if error.to_string() == expected => return Ok(()),
        Err(error) => format!("`{error}`"),
        Ok(()) => "no error".to_owned(),
    };
    Err(ContractViolation::NotRefused {
        call,
        expected,
        found,
    })
}

/// Checks statistics, and that they did not go back since `before`.
fn check_stats(
    images: &dyn CachedImageDataset,
    before: Option<&CacheStats>,
    now: &CacheStats,
) -> Result<(), ContractViolation> {
    let wrong = |field, found: &dyn ToString, expected: String| {
        Err(ContractViolation::Stats {
            field,
            found: found.to_string(),
            expected,
        })
    };
    let n_images = images.n_samples() * images.n_variates();
    if now.kind.is_empty() {
        return wrong("kind", &"empty", "a name".to_owned());
    }
    if now.images != n_images {
        return wrong("images", &now.images, n_images.to_string());
    }
    if !(now.build_seconds.is_finite() && now.build_seconds >= 0.0) {
        return wrong("build_seconds", &now.build_seconds, "a time".to_owned());
    }
    let Some(before) = before else {
        return Ok(());
    };
    let counts = [
        ("hits", before.hits, now.hits),
        ("drawn", before.drawn, now.drawn),
    ];
    for (field, before, now) in counts {
        if now < before {
            return wrong(field, &now, format!("at least {before} as before"));
        }
    }
    Ok(())
}
