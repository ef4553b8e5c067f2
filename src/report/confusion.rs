//! The confusion matrix as a picture: shaded cells, counts, class names.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};
use png::EncodingError;
use tiny_skia::{Color, Paint, Pixmap, PremultipliedColorU8, Rect, Transform};

/// Side of a cell in pixels.
const CELL: usize = 48;
/// Side of a glyph in pixels.
const GLYPH: usize = 8;
/// Space around things in pixels.
const GAP: usize = 8;
/// Characters of a class name that are shown.
const MAX_NAME: usize = 16;
/// Width in pixels of the longest count that fits a cell.
const MAX_COUNT: usize = CELL / GLYPH;
/// Darkest cell: tab10's blue.
const INK: [u8; 3] = [0x1f, 0x77, 0xb4];

/// Draws a confusion matrix and codes it as PNG: rows are true classes, columns predicted ones,
/// a cell's shade its share of its row. Above 50 classes a picture is wider than most screens.
///
/// # Errors
/// [`EncodingError`] if the picture cannot be coded.
///
/// # Panics
/// If the matrix is not square with one class name a row.
pub fn draw_confusion(
    matrix: &[Vec<u64>],
    class_names: &[String],
) -> Result<Vec<u8>, EncodingError> {
    let n = class_names.len();
    assert!(
        matrix.len() == n && matrix.iter().all(|row| row.len() == n),
        "a matrix of {} rows for {n} classes",
        matrix.len()
    );
    let names: Vec<String> = class_names
        .iter()
        .map(|name| shortened(name, MAX_NAME))
        .collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        * GLYPH;
    let left = longest.max(GLYPH * "true".len()) + 2 * GAP;
    let top = longest.max(GLYPH) + 3 * GAP + GLYPH;
    let side = n * CELL;
    let mut canvas = Canvas::new(left + side + GAP, top + side + GAP);
    canvas.text((GAP, top - GAP - GLYPH), "true", Lettering::default());
    canvas.text((left, GAP), "predicted", Lettering::default());
    for (i, name) in names.iter().enumerate() {
        let middle = i * CELL + (CELL - GLYPH) / 2;
        let indent = left - GAP - name.chars().count() * GLYPH;
        canvas.text((indent, top + middle), name, Lettering::default());
        canvas.text(
            (left + middle, top - GAP),
            name,
            Lettering {
                white: false,
                upwards: true,
            },
        );
    }
    for (i, row) in matrix.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (j, count) in row.iter().enumerate() {
            let share = if total == 0 {
                0.0
            } else {
                *count as f32 / total as f32
            };
            let (x, y) = (left + j * CELL, top + i * CELL);
            canvas.cell(x, y, share);
            if *count > 0 {
                let text = shortened(&count.to_string(), MAX_COUNT);
                let x = x + (CELL - text.chars().count() * GLYPH) / 2;
                let style = Lettering {
                    white: share > 0.6,
                    upwards: false,
                };
                canvas.text((x, y + (CELL - GLYPH) / 2), &text, style);
            }
        }
    }
    canvas.png()
}

/// The first characters of a text, with a mark where something is left out.
fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let start: String = text.chars().take(max - 1).collect();
    start + "~"
}

/// How a line of text is set.
#[derive(Clone, Copy, Default)]
struct Lettering {
    white: bool,
    upwards: bool,
}

struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let size = |px: usize| u32::try_from(px).expect("a picture's side fits 32 bits");
        let mut pixmap = Pixmap::new(size(width), size(height)).expect("a picture has an area");
        pixmap.fill(Color::WHITE);
        Self { pixmap }
    }

    /// Fills one cell, a pixel smaller than its room, with ink of some strength in `0..=1`.
    fn cell(&mut self, x: usize, y: usize, share: f32) {
        let shade = |ink: u8| (255.0 - (255.0 - f32::from(ink)) * (0.04 + 0.96 * share)).round();
        let [r, g, b] = INK.map(|ink| shade(ink) / 255.0);
        let mut paint = Paint::default();
        paint.set_color(Color::from_rgba(r, g, b, 1.0).expect("shares are within 0..=1"));
        let side = (CELL - 1) as f32;
        let rect = Rect::from_xywh(x as f32, y as f32, side, side).expect("a cell has an area");
        self.pixmap
            .fill_rect(rect, &paint, Transform::identity(), None);
    }

    /// Writes a line whose first glyph's upper left corner is at (x, y); upwards, its lower left.
    fn text(&mut self, (x, y): (usize, usize), text: &str, style: Lettering) {
        let Lettering { white, upwards } = style;
        for (i, character) in text.chars().enumerate() {
            let glyph = BASIC_FONTS
                .get(character)
                .or_else(|| LATIN_FONTS.get(character));
            let glyph = glyph.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default();
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..GLYPH).filter(|column| bits & (1 << column) != 0) {
                    let along = i * GLYPH + column;
                    match upwards {
                        false => self.dot(x + along, y + row, white),
                        true => self.dot(x + row, y - 1 - along, white),
                    }
                }
            }
        }
    }

    fn dot(&mut self, x: usize, y: usize, white: bool) {
        let width = self.pixmap.width() as usize;
        let value = if white { 255 } else { 32 };
        let pixel = PremultipliedColorU8::from_rgba(value, value, value, 255);
        let place = self.pixmap.pixels_mut().get_mut(y * width + x);
        if let (Some(place), Some(pixel)) = (place, pixel) {
            *place = pixel;
        }
    }

    fn png(&self) -> Result<Vec<u8>, EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.pixmap.width(), self.pixmap.height());
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        // Every pixel is opaque, so premultiplied and straight colour are the same.
        writer.write_image_data(self.pixmap.data())?;
        writer.finish()?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagonal_of_a_perfect_matrix_is_inked_and_the_rest_is_not() {
        let names: Vec<String> = ["a", "b"].map(str::to_owned).into();
        let bytes = draw_confusion(&[vec![3, 0], vec![0, 5]], &names).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (info.width as usize, info.height as usize);
        let corner = |i: usize, j: usize| {
            let x = width - GAP - (2 - j) * CELL + 2;
            let y = height - GAP - (2 - i) * CELL + 2;
            [0, 1, 2].map(|c| pixels[(y * width + x) * 4 + c])
        };
        assert_eq!([corner(0, 0), corner(1, 1)], [INK, INK]);
        assert!(
            corner(0, 1)[0] > 240 && corner(1, 0)[0] > 240,
            "{:?}",
            corner(0, 1)
        );
    }

    #[test]
    fn long_and_foreign_names_are_drawn() {
        let names: Vec<String> = ["一", "a name that goes on and on", "Äpfel"]
            .map(str::to_owned)
            .into();
        assert!(draw_confusion(&vec![vec![1_234_567, 0, 1]; 3], &names).is_ok());
    }
}
