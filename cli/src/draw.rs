//! `timesclip draw`: series as the vision encoder sees them, as PNG files.
//!
//! One file for each variate of the first samples, and for each of these samples a sheet of all its
//! variates in their colors; with `--views K` a sheet of augmented views as well: the sample in the
//! first row, then a row for each view.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use timesclip::data::augment::{AugmentConfig, Augmenter};
use timesclip::data::read::Labels;
use timesclip::data::{LabeledSeries, SeriesDataset};
use timesclip::raster::{PlotStyle, Rasterizer, XSpan, YScale, rgb8};

use crate::output::visible;
use crate::read::{ReadFlags, read};

/// Width of the gray lines between the pictures of a sheet.
const GUTTER_PX: usize = 2;
/// Their level.
const GUTTER_LEVEL: u8 = 224;

/// What is drawn, and how.
#[derive(Debug, Args)]
pub(crate) struct DrawArgs {
    /// Series, in any format that `train` reads
    file: PathBuf,
    /// Directory of the pictures; it is made if need be
    #[arg(long)]
    out: PathBuf,
    /// How many samples to draw, from the first one on
    #[arg(long, default_value_t = 3)]
    samples: usize,
    /// Width and height of a picture in pixels
    #[arg(long, default_value_t = 224)]
    side: usize,
    /// Draw all samples on one scale, so that levels and lengths can be compared
    #[arg(long)]
    same_scale: bool,
    /// Draw this many augmented views of each sample, too
    #[arg(long, default_value_t = 0)]
    views: usize,
    /// Seed of the views
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    read: ReadFlags,
}

/// Draws series as line plots.
///
/// # Errors
/// If the series cannot be read or the pictures cannot be written.
pub(crate) fn run(args: &DrawArgs) -> Result<()> {
    let options = args.read.options(Labels::Optional);
    let dataset = read(&args.file, &options, false)?.dataset;
    let rasterizer = Rasterizer::new(style(args, &dataset))?;
    let augmenter = Augmenter::new(AugmentConfig::default(), args.seed)?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make `{}`", args.out.display()))?;
    for sample in dataset.samples().iter().take(args.samples) {
        let class = &dataset.class_names()[sample.label];
        let mut n_files = draw(&rasterizer, sample, class, &args.out)?;
        if args.views > 0 {
            draw_views(&rasterizer, &augmenter, sample, args.views, &args.out)?;
            n_files += 1;
        }
        let n_steps = sample.series.n_steps();
        say!(
            "sample {} (class {}, {n_steps} steps): {n_files} files",
            sample.id,
            visible(class)
        );
    }
    say!("pictures are in {}", args.out.display());
    Ok(())
}

fn style(args: &DrawArgs, dataset: &SeriesDataset) -> PlotStyle {
    let mut style = PlotStyle {
        side_px: args.side,
        ..PlotStyle::default()
    };
    if args.same_scale {
        style.y_scale = YScale::fitted(dataset);
        style.x_span = XSpan::Steps(dataset.max_steps().max(2));
    }
    style
}

/// Writes the pictures of one sample and their sheet; how many files these are.
fn draw(rasterizer: &Rasterizer, sample: &LabeledSeries, class: &str, out: &Path) -> Result<usize> {
    let PlotStyle {
        side_px, palette, ..
    } = rasterizer.style();
    let n_variates = sample.series.n_variates();
    let mut masks = vec![0; n_variates * side_px * side_px];
    rasterizer.draw_series(&mut rasterizer.scratch(), &sample.series, &mut masks);
    let stem = format!("sample{:05}_class{}", sample.id, file_name(class));
    for (variate, mask) in masks.chunks_exact(side_px * side_px).enumerate() {
        let ink = palette.color(variate);
        let rgb: Vec<u8> = mask.iter().flat_map(|&a| ink.map(|c| rgb8(c, a))).collect();
        let file = out.join(format!("{stem}_variate{variate:02}.png"));
        write_rgb(&file, [*side_px; 2], &rgb)?;
    }
    let n_columns = (1..).find(|n| n * n >= n_variates).unwrap_or(1);
    let (size, rgb) = sheet(&masks, *side_px, n_columns, |variate| {
        palette.color(variate)
    });
    write_rgb(&out.join(format!("{stem}_sheet.png")), size, &rgb)?;
    Ok(n_variates + 1)
}

/// Writes the sheet of one sample and its views, a row each.
fn draw_views(
    rasterizer: &Rasterizer,
    augmenter: &Augmenter,
    sample: &LabeledSeries,
    n_views: usize,
    out: &Path,
) -> Result<()> {
    let PlotStyle {
        side_px, palette, ..
    } = rasterizer.style();
    let n_variates = sample.series.n_variates();
    let mut masks = vec![0; (n_views + 1) * n_variates * side_px * side_px];
    let views: Vec<_> = (0..=n_views)
        .map(|v| augmenter.view(sample, v).series)
        .collect();
    rasterizer.draw_all(&views.iter().collect::<Vec<_>>(), &mut masks);
    let (size, rgb) = sheet(&masks, *side_px, n_variates, |i| {
        palette.color(i % n_variates)
    });
    write_rgb(
        &out.join(format!("sample{:05}_views.png", sample.id)),
        size,
        &rgb,
    )
}

/// What of a class name may stand in the name of a file.
fn file_name(class: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() { c } else { '_' };
    class.chars().map(safe).take(40).collect()
}

/// Pictures in rows of `n_columns`, each in its ink: width and height, RGB bytes.
fn sheet(
    masks: &[u8],
    side: usize,
    n_columns: usize,
    ink: impl Fn(usize) -> [u8; 3],
) -> ([usize; 2], Vec<u8>) {
    let n_rows = (masks.len() / (side * side)).div_ceil(n_columns);
    let pitch = side + GUTTER_PX;
    let [width, height] = [n_columns, n_rows].map(|n| n * pitch - GUTTER_PX);
    let mut rgb = vec![GUTTER_LEVEL; width * height * 3];
    for (i, mask) in masks.chunks_exact(side * side).enumerate() {
        let ink = ink(i);
        let (left, top) = (i % n_columns * pitch, i / n_columns * pitch);
        for (y, row) in mask.chunks_exact(side).enumerate() {
            let to = &mut rgb[((top + y) * width + left) * 3..][..side * 3];
            for (pixel, &coverage) in to.as_chunks_mut().0.iter_mut().zip(row) {
                *pixel = ink.map(|c| rgb8(c, coverage));
            }
        }
    }
    ([width, height], rgb)
}

fn write_rgb(path: &Path, [width, height]: [usize; 2], rgb: &[u8]) -> Result<()> {
    ensure!(!rgb.is_empty(), "no picture for `{}`", path.display());
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let size = |n: usize| u32::try_from(n).context("the picture is too large for a PNG file");
    let mut encoder = png::Encoder::new(BufWriter::new(file), size(width)?, size(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(())
}
