//! `ImageKey`: the identity of a set of pictures, made from all that decides their pixels.

use std::borrow::Borrow;
use std::fmt::{self, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::data::{LabeledSeries, SeriesDataset};
use crate::raster::{PlotStyle, RENDERER_VERSION, XSpan, YScale};

/// Identity of the pictures of a data set: equal keys, equal pictures.
///
/// One half is a hash of the samples (their ids, shapes, values, and their order), the other a
/// hash of every setting that changes a pixel and of the renderer's version. Labels and names are
/// left out: they change no picture. Not meant against a forger.
///
/// Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageKey {
    series: u128,
    style: u128,
}

impl ImageKey {
    /// The key of all pictures of `dataset` in `style`.
    pub fn of(dataset: &SeriesDataset, style: &PlotStyle) -> Self {
        Self::of_samples(dataset.samples(), style)
    }

    /// The key of the pictures of these samples, in their order.
    pub fn of_samples<S: Borrow<LabeledSeries>>(
        samples: impl IntoIterator<Item = S>,
        style: &PlotStyle,
    ) -> Self {
        Self {
            series: hash_samples(samples),
            style: xxh3_128(style_text(style).as_bytes()),
        }
    }

    /// The key of other samples in the same style.
    #[must_use]
    pub fn with_samples<S: Borrow<LabeledSeries>>(
        self,
        samples: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            series: hash_samples(samples),
            ..self
        }
    }

    /// The key that was written down as its two halves.
    pub(crate) fn from_halves(series: u128, style: u128) -> Self {
        Self { series, style }
    }

    /// The half that stands for the samples.
    pub fn series(self) -> u128 {
        self.series
    }

    /// The half that stands for the style and the renderer.
    pub fn style(self) -> u128 {
        self.style
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut both = [0; 32];
        both[..16].copy_from_slice(&self.series.to_le_bytes());
        both[16..].copy_from_slice(&self.style.to_le_bytes());
        write!(f, "{:032x}", xxh3_128(&both))
    }
}

/// Every setting that changes a pixel, as one line of text that is the same on every machine.
pub(super) fn style_text(style: &PlotStyle) -> String {
    // Taken apart, so that a new setting does not compile until it is written here.
    let PlotStyle {
        side_px,
        stroke_width,
        margin,
        y_scale,
        x_span,
        palette,
    } = style;
    let mut text = format!(
        "renderer {RENDERER_VERSION}; side {side_px}; stroke {stroke_width:?}; margin {margin:?}"
    );
    match y_scale {
        YScale::Series => text.push_str("; y series"),
        YScale::Fixed(ranges) => {
            text.push_str("; y fixed");
            for [low, high] in ranges {
                push(&mut text, format_args!(" {low:?}..{high:?}"));
            }
        }
    }
    match x_span {
        XSpan::Finite => text.push_str("; x finite"),
        XSpan::Steps(n_steps) => push(&mut text, format_args!("; x steps {n_steps}")),
    }
    text.push_str("; palette");
    for &[red, green, blue] in palette.colors() {
        push(&mut text, format_args!(" {red:02x}{green:02x}{blue:02x}"));
    }
    text
}

fn push(text: &mut String, piece: fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("a String takes any text");
}

fn hash_samples<S: Borrow<LabeledSeries>>(samples: impl IntoIterator<Item = S>) -> u128 {
    let mut hash = Xxh3::new();
    let mut bytes = Vec::new();
    for sample in samples {
        sample.borrow().content(&mut bytes);
        hash.update(&bytes);
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Series;

    fn sample(id: u64, values: Vec<f32>, n_variates: usize) -> LabeledSeries {
        let n_steps = values.len() / n_variates;
        LabeledSeries {
            id,
            series: Series::new(values, n_steps, n_variates).unwrap(),
            label: 0,
        }
    }

    fn key(samples: &[LabeledSeries]) -> ImageKey {
        ImageKey::of_samples(samples, &PlotStyle::default())
    }

    #[test]
    fn every_part_of_a_sample_changes_the_key() {
        let base = key(&[sample(1, vec![1.0, 2.0, 3.0, 4.0], 2)]);

        assert_eq!(base, key(&[sample(1, vec![1.0, 2.0, 3.0, 4.0], 2)]));
        let others = [
            key(&[sample(2, vec![1.0, 2.0, 3.0, 4.0], 2)]),
            key(&[sample(1, vec![1.0, 2.0, 3.0, 4.5], 2)]),
            key(&[sample(1, vec![1.0, 2.0, 3.0, f32::NAN], 2)]),
            key(&[sample(1, vec![1.0, 2.0, 3.0, 4.0], 1)]),
            key(&[sample(1, vec![1.0, 2.0], 2)]),
        ];
        for (case, other) in others.into_iter().enumerate() {
            assert_ne!(base.series(), other.series(), "case {case}");
            assert_eq!(base.style(), other.style(), "case {case}");
        }
    }

    #[test]
    fn the_order_of_samples_is_part_of_the_key() {
        let (a, b) = (sample(1, vec![1.0], 1), sample(2, vec![2.0], 1));

        assert_ne!(key(&[a.clone(), b.clone()]), key(&[b, a]));
    }

    #[test]
    fn labels_and_the_bits_of_a_missing_value_do_not_matter() {
        let one = sample(1, vec![1.0, f32::NAN], 1);
        let mut other = sample(1, vec![1.0, f32::from_bits(0x7fc0_1234)], 1);
        other.label = 3;

        assert_eq!(key(&[one]), key(&[other]));
    }

    #[test]
    fn every_setting_of_the_style_changes_the_key() {
        let base = PlotStyle::default;
        let styles = [
            base(),
            PlotStyle {
                side_px: 112,
                ..base()
            },
            PlotStyle {
                stroke_width: base().stroke_width * 1.5,
                ..base()
            },
            PlotStyle {
                margin: 0.1,
                ..base()
            },
            PlotStyle {
                y_scale: YScale::Fixed(vec![[0.0, 1.0]]),
                ..base()
            },
            PlotStyle {
                y_scale: YScale::Fixed(vec![[0.0, 1.5]]),
                ..base()
            },
            PlotStyle {
                x_span: XSpan::Steps(37),
                ..base()
            },
            PlotStyle {
                x_span: XSpan::Steps(38),
                ..base()
            },
        ];
        let keys = styles.map(|style| ImageKey::of_samples([sample(1, vec![1.0], 1)], &style));

        for (i, a) in keys.iter().enumerate() {
            for b in &keys[i + 1..] {
                assert_ne!(a.style(), b.style(), "{a} {b}");
                assert_ne!(a.to_string(), b.to_string());
            }
        }
    }

    #[test]
    fn a_key_of_other_samples_keeps_the_style() {
        let (a, b) = (sample(1, vec![1.0], 1), sample(2, vec![2.0], 1));
        let style = PlotStyle {
            margin: 0.2,
            ..PlotStyle::default()
        };

        let of_a = ImageKey::of_samples([&a], &style);

        assert_eq!(of_a.with_samples([&b]), ImageKey::of_samples([&b], &style));
    }
}
