//! Line plots as small PNG pictures inside the page.

use super::theme::{HEAT, Rgb};
use crate::page::Plot;
use crate::raster::rgb8;

/// Levels of coverage of a picture that is colored by importance: 16 of them and 16 of importance
/// fill a palette.
const SHADES: usize = 16;

/// A plot as the model saw it, pixel for pixel, as a data URI. With importance, the line has the
/// colors of heat instead of its ink; `most` is the importance that is hottest.
///
/// # Panics
///
/// If the mask is not square.
pub(super) fn data_uri(plot: &Plot, most: f32) -> String {
    let (side, pixels) = (plot.side_px, plot.mask.len());
    assert_eq!(pixels, side * side, "{pixels} pixels for a side of {side}");
    let png = match plot.importance.is_empty() {
        true => inked(plot),
        false => heated(plot, most),
    };
    format!("data:image/png;base64,{}", base64(&png))
}

/// The picture in the ink of its variate: a palette of all coverages.
fn inked(plot: &Plot) -> Vec<u8> {
    let palette = (0..=u8::MAX).flat_map(|coverage| plot.ink.map(|ink| rgb8(ink, coverage)));
    png(plot.side_px, &palette.collect::<Vec<u8>>(), &plot.mask)
}

/// The picture in the colors of heat, each column in that of its window.
fn heated(plot: &Plot, most: f32) -> Vec<u8> {
    let coverage = |shade: usize| u8::try_from(shade * 17).unwrap_or(u8::MAX);
    let palette = (0..SHADES).flat_map(|heat| {
        let ink = heat_color(heat);
        (0..SHADES).flat_map(move |shade| ink.map(|ink| rgb8(ink, coverage(shade))))
    });
    let columns: Vec<u8> = (0..plot.side_px)
        .map(|x| {
            let middle = (x as f32 + 0.5) / plot.side_px as f32;
            let window = plot.importance.iter().find(|window| middle < window.end);
            let window = window.filter(|window| middle >= window.start);
            16 * heat_level(window.map_or(0.0, |window| window.value / most))
        })
        .collect();
    let shade = |coverage: u8| (coverage.saturating_add(8)) / 17;
    let rows = plot.mask.chunks(plot.side_px.max(1));
    let indices = rows.flat_map(|row| row.iter().zip(&columns).map(|(c, heat)| heat + shade(*c)));
    png(
        plot.side_px,
        &palette.collect::<Vec<u8>>(),
        &indices.collect::<Vec<u8>>(),
    )
}

/// Which of 16 colors a relative importance has.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is clamped to 0..=1"
)]
pub(super) fn heat_level(share: f32) -> u8 {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    (share * 15.0).round() as u8
}

/// The color of one of 16 levels: that of [`HEAT`], or the middle of two.
pub(super) fn heat_color(level: usize) -> Rgb {
    let [low, high] = [level / 2, level.div_ceil(2)].map(|i| HEAT[i.min(HEAT.len() - 1)]);
    [0, 1, 2].map(|channel| low[channel].midpoint(high[channel]))
}

/// A square picture of a palette and one index a pixel.
fn png(side: usize, palette: &[u8], indices: &[u8]) -> Vec<u8> {
    let side = u32::try_from(side).expect("a picture's side fits 32 bits");
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(indices))
        .expect("writing to memory cannot fail, and the sizes agree");
    bytes
}

/// Bytes in the standard alphabet of base 64, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [0, 1, 2].map(|i| u32::from(*chunk.get(i).unwrap_or(&0)));
        let bits = three[0] << 16 | three[1] << 8 | three[2];
        for i in 0..4 {
            let six = (bits >> (18 - 6 * i) & 63) as usize;
            let padded = i > chunk.len();
            out.push(if padded {
                '='
            } else {
                char::from(ALPHABET[six])
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::page::HeatWindow;

    /// Colors of a picture, row by row.
    fn pixels(png: Vec<u8>) -> Vec<Rgb> {
        let mut decoder = png::Decoder::new(Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.chunks(3).map(|p| [p[0], p[1], p[2]]).collect()
    }

    fn plot(importance: Vec<HeatWindow>) -> Plot {
        Plot {
            ink: [31, 119, 180],
            side_px: 2,
            mask: vec![0, 255, 128, 7],
            importance,
            ..Plot::default()
        }
    }

    #[test]
    fn a_picture_has_the_colors_that_the_model_saw() {
        let expected = [0, 255, 128, 7].map(|a| [31, 119, 180].map(|c| rgb8(c, a)));
        assert_eq!(pixels(inked(&plot(vec![]))), expected);
    }

    #[test]
    fn a_line_is_hot_where_it_mattered() {
        let windows = [(0.0, 0.5, 0.0), (0.5, 1.0, 2.0)].map(|(start, end, value)| HeatWindow {
            start,
            end,
            value,
        });
        let drawn = pixels(heated(&plot(windows.into()), 2.0));
        assert_eq!(drawn[..2], [[255; 3], HEAT[7]]);
        assert_eq!(drawn[2], HEAT[0].map(|c| rgb8(c, 8 * 17)));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let coded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        let known = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        assert_eq!(coded, known);
    }
}
