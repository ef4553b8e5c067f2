//! The encoders that come with the crate, pretrained on synthetic curves: `docs/encoders.md` says
//! how, and what they are good for.

use burn::tensor::backend::Backend;

use super::checkpoint::Checkpoint;
use crate::model::{ReadingEncoder, VisionEncoder};

/// The vision encoder's file, safetensors in half precision.
pub const VISION: &[u8] = include_bytes!("../../assets/vision.safetensors");
/// The reading encoder's file, likewise.
pub const READING: &[u8] = include_bytes!("../../assets/reading.safetensors");

/// The vision encoder of line plots: 64 px of ink in, a grid of cells of 128 numbers out.
///
/// # Panics
/// Never: a test holds that the file in the program is whole.
pub fn vision<B: Backend>(device: &B::Device) -> VisionEncoder<B> {
    let encoder = vision_file().load_own_vision(device);
    encoder.expect("the encoder in the program is whole")
}

/// The reading encoder: 256 points on the axes of a picture in, 16 tokens of 128 numbers out.
///
/// # Panics
/// Never: a test holds that the file in the program is whole.
pub fn reading<B: Backend>(device: &B::Device) -> ReadingEncoder<B> {
    let encoder = reading_file().load_own_reading(device);
    encoder.expect("the encoder in the program is whole")
}

/// The vision encoder's file, opened.
pub(crate) fn vision_file() -> Checkpoint {
    let file = Checkpoint::of_bytes("builtin-vision.safetensors", VISION);
    file.expect("the encoder in the program is whole")
}

/// The reading encoder's file, opened.
pub(crate) fn reading_file() -> Checkpoint {
    let file = Checkpoint::of_bytes("builtin-reading.safetensors", READING);
    file.expect("the encoder in the program is whole")
}
