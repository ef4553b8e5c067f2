//! Pictures against matplotlib's, and against our own of earlier versions.
//!
//! `tests/fixtures/raster` holds what matplotlib and Pillow draw, within tolerances; `tests/golden`
//! what this crate draws, to the byte. What a wrong implementation would trip over there: rows
//! upside down, margins on the wrong side of the division, butt caps, mitred joins, a line over a
//! gap, lone points drawn, a constant off centre or blurred, pixel rows shifted by half, another
//! filter, double counting where a line crosses itself, blending that rounds down, two colours
//! swapped.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use timesclip::data::Series;
use timesclip::raster::{PlotStyle, Rasterizer, XSpan, YScale, rgb8};

/// Mean difference over all bytes of a picture, in 1/255, below 128 steps. Agg computes coverage in
/// 1/256 of a pixel, matplotlib blends and Pillow rounds between its two passes in whole levels: a
/// tenth of the bytes are ink, and a fifth of those come out one level away.
const MEAN_TOLERANCE: f64 = 0.05;
/// Largest difference of one byte below 128 steps. Where strokes overlap, Agg draws the arcs of
/// round joins with other vertices than we do.
const MAX_TOLERANCE: u8 = 6;
/// Mean difference from 128 steps on, where matplotlib leaves out points that move the line by
/// less than a ninth of a canvas pixel (its `PathSimplifier`); we draw them all.
const MEAN_TOLERANCE_SIMPLIFIED: f64 = 0.1;
/// Largest difference from 128 steps on: a ninth of a canvas pixel is 28 levels on the canvas,
/// of which the filter leaves two thirds.
const MAX_TOLERANCE_SIMPLIFIED: u8 = 20;
/// The length from which matplotlib simplifies.
const SIMPLIFIED_STEPS: usize = 128;

/// A series and the picture matplotlib drew of it.
struct Case {
    name: String,
    kind: String,
    series: Series,
    variate: usize,
    style: PlotStyle,
    rgb: Vec<u8>,
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn read_png(path: &Path) -> (usize, Vec<u8>) {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let decoder = png::Decoder::new(std::io::BufReader::new(file));
    let mut reader = decoder.read_info().expect("a PNG file");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a picture that fits")];
    let info = reader.next_frame(&mut pixels).expect("a whole PNG file");
    pixels.truncate(info.buffer_size());
    (info.width as usize, pixels)
}

fn write_gray(path: &Path, side: usize, mask: &[u8]) {
    let file = fs::File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let side = u32::try_from(side).expect("a small picture");
    let mut encoder = png::Encoder::new(file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().expect("the folder can be written");
    writer
        .write_image_data(mask)
        .expect("the folder can be written");
}

fn style_of(case: &Value) -> PlotStyle {
    let mut style = PlotStyle::default();
    if let Some(side) = case["side"].as_u64() {
        style.side_px = usize::try_from(side).expect("a small picture");
    }
    if let Some(points) = case["line_width"].as_f64() {
        style.stroke_width = points / 288.0;
    }
    if let Ok(range) = serde_json::from_value::<[f32; 2]>(case["y_limits"].clone()) {
        style.y_scale = YScale::Fixed(vec![range]);
    }
    if let Some(last) = case["x_limits"][1].as_u64() {
        style.x_span = XSpan::Steps(usize::try_from(last).expect("few steps") + 1);
    }
    style
}

fn cases() -> Vec<Case> {
    let folder = tests_folder().join("fixtures/raster");
    let text = fs::read_to_string(folder.join("cases.json")).expect("the list of cases");
    let listed: Vec<Value> = serde_json::from_str(&text).expect("a list");
    let bytes = fs::read(folder.join("series.f32")).expect("the series");
    let mut values = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&value| f32::from_le_bytes(value));
    let number =
        |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("a small number");
    let cases: Vec<Case> = listed
        .iter()
        .map(|case| {
            let n_steps = number(&case["n_steps"]);
            let series = values.by_ref().take(n_steps).collect();
            let name = case["name"].as_str().expect("a name").to_owned();
            Case {
                series: Series::new(series, n_steps, 1).expect("a series without infinities"),
                variate: number(&case["variate"]),
                kind: case["kind"].as_str().expect("a kind").to_owned(),
                style: style_of(case),
                rgb: read_png(&folder.join(format!("{name}.png"))).1,
                name,
            }
        })
        .collect();
    assert_eq!(values.next(), None, "values without a case");
    cases
}

fn draw(style: &PlotStyle, series: &Series) -> Vec<u8> {
    let rasterizer = Rasterizer::new(style.clone()).expect("a sound style");
    let mut mask = vec![0xaa; style.side_px * style.side_px];
    rasterizer.draw(&mut rasterizer.scratch(), series, 0, &mut mask);
    mask
}

/// Mean and largest difference between our picture and matplotlib's, over all RGB bytes.
fn difference(case: &Case) -> (f64, u8) {
    let mask = draw(&case.style, &case.series);
    let ink = case.style.palette.color(case.variate);
    let ours = mask.iter().flat_map(|&a| ink.map(|c| rgb8(c, a)));
    assert_eq!(mask.len() * 3, case.rgb.len(), "bytes of {}", case.name);
    let differences = ours
        .zip(&case.rgb)
        .map(|(ours, theirs)| ours.abs_diff(*theirs));
    let total: u64 = differences.clone().map(u64::from).sum();
    (
        total as f64 / case.rgb.len() as f64,
        differences.max().unwrap_or_default(),
    )
}

#[test]
fn pictures_are_those_of_matplotlib() {
    let mut failures = Vec::new();
    for case in cases() {
        let simplified = case.series.n_steps() >= SIMPLIFIED_STEPS;
        let (most_mean, most) = if simplified {
            (MEAN_TOLERANCE_SIMPLIFIED, MAX_TOLERANCE_SIMPLIFIED)
        } else {
            (MEAN_TOLERANCE, MAX_TOLERANCE)
        };
        let (mean, largest) = difference(&case);
        println!("{:<14} mean {mean:.4}, largest {largest}", case.name);
        if mean > most_mean || largest > most {
            failures.push(format!("{}: mean {mean:.4}, largest {largest}", case.name));
        }
    }
    assert!(
        failures.is_empty(),
        "differs from matplotlib:\n{}",
        failures.join("\n")
    );
}

#[test]
fn series_without_neighbouring_values_are_white_in_matplotlib_too() {
    let white: Vec<String> = cases()
        .into_iter()
        .filter(|case| case.rgb.iter().all(|&byte| byte == 255))
        .inspect(|case| assert!(draw(&case.style, &case.series).iter().all(|&a| a == 0)))
        .map(|case| case.name)
        .collect();

    assert_eq!(white, ["single_point", "all_missing", "lone_points"]);
}

#[test]
fn the_fixture_covers_every_kind_at_every_length() {
    let cases = cases();
    for kind in [
        "walk", "sine", "season", "noise", "spikes", "steps", "constant", "gaps",
    ] {
        let lengths = cases
            .iter()
            .filter(|case| case.kind == kind)
            .map(|c| c.series.n_steps());
        assert_eq!(
            lengths.collect::<Vec<_>>(),
            [12, 37, 100, 1000],
            "lengths of {kind}"
        );
    }
}

/// Series of whole numbers, so that every machine reads the same.
fn golden_cases() -> Vec<(&'static str, PlotStyle, Vec<f32>)> {
    let small = |side_px: usize| PlotStyle {
        side_px,
        ..PlotStyle::default()
    };
    let walk = |n: u32| {
        (0..n)
            .map(|i| (i * i * 37 % 101) as f32)
            .collect::<Vec<_>>()
    };
    let gap = f32::NAN;
    vec![
        ("walk_224", small(224), walk(37)),
        ("walk_32", small(32), walk(12)),
        ("dense_96", small(96), walk(400)),
        ("constant_64", small(64), vec![2.5; 9]),
        (
            "gaps_64",
            small(64),
            vec![gap, 1.0, 4.0, gap, 2.0, gap, 0.0, 3.0, 1.0, gap],
        ),
        ("two_points_32", small(32), vec![0.0, 1.0]),
        (
            "fixed_64",
            PlotStyle {
                y_scale: YScale::Fixed(vec![[0.0, 10.0]]),
                x_span: XSpan::Steps(12),
                ..small(64)
            },
            vec![0.0, 5.0, 30.0, -1e30, 4.0, 4.0, 10.0],
        ),
        (
            "wide_64",
            PlotStyle {
                stroke_width: 0.08,
                margin: 0.2,
                ..small(64)
            },
            vec![0.0, 3.0, 1.0, 1.0, 4.0],
        ),
        ("upscaled_449", small(449), vec![0.0, 2.0, 1.0]),
    ]
}

#[test]
fn pictures_do_not_change_by_a_byte() {
    let folder = tests_folder().join("golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    for (name, style, values) in golden_cases() {
        let series = Series::new(values.clone(), values.len(), 1).expect("finite values");
        let mask = draw(&style, &series);
        let golden = folder.join(format!("raster_{name}.png"));
        if update {
            write_gray(&golden, style.side_px, &mask);
            failures.push(format!("{name}: rewritten"));
            continue;
        }
        let (side, expected) = read_png(&golden);
        assert_eq!(side, style.side_px, "side of {name}");
        if mask != expected {
            let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("raster_{name}.png"));
            write_gray(&seen, side, &mask);
            let largest = mask
                .iter()
                .zip(&expected)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            failures.push(format!(
                "{name}: differs by up to {largest:?}, see {}",
                seen.display()
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "a changed picture needs a new RENDERER_VERSION and UPDATE_GOLDEN=1:\n{}",
        failures.join("\n")
    );
}

#[test]
fn pictures_are_the_same_on_any_number_of_threads() {
    let all: Vec<Series> = (0..40_u32)
        .map(|i| {
            let n_steps = 2 + (i as usize * 7) % 60;
            let values = (0..n_steps * 3).map(|k| (k * k * (i as usize + 3) % 97) as f32);
            Series::new(values.collect(), n_steps, 3).expect("finite values")
        })
        .collect();
    let series: Vec<&Series> = all.iter().collect();
    let rasterizer = Rasterizer::new(PlotStyle::default()).expect("a sound style");
    let draw_on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build();
        let mut masks = vec![0; series.len() * 3 * 224 * 224];
        pool.expect("threads")
            .install(|| rasterizer.draw_all(&series, &mut masks));
        masks
    };

    let alone = draw_on(1);

    assert!(alone.iter().any(|&a| a > 0), "nothing drawn");
    for n_threads in [2, 3, 8] {
        assert!(draw_on(n_threads) == alone, "{n_threads} threads");
    }
}
