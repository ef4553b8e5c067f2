//! Painting as a fused operation of its colour table.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{self, Cut};
use super::{Fused, numbers, tensor};

/// Patches of masks in colour: input the table, `[n_variates, n_levels, 3]`.
#[derive(Clone, Debug)]
pub(crate) struct Paint {
    /// `[batch, n_variates, height, width]`, contiguous bytes.
    pub(crate) masks: FlexTensor,
    /// Width and height of a patch.
    pub(crate) patch: usize,
}

impl Paint {
    fn cut(&self) -> Cut {
        let [.., height, width] = self.masks.shape().dims::<4>();
        let patch = self.patch;
        Cut {
            height,
            width,
            patch,
        }
    }
}

impl Fused<1> for Paint {
    fn forward(&self, [colors]: [FlexTensor; 1], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let colors = colors.to_contiguous();
        let [_, n_levels, channels] = colors.shape().dims::<3>();
        let masks = self.masks.storage();
        let painted = kernels::paint(masks, numbers(&colors), n_levels, self.cut());
        let width = self.patch * self.patch * channels;
        let shape = Shape::new([painted.len() / width, width]);
        (tensor(painted, shape), vec![colors])
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let shape = kept[0].shape();
        let [n_variates, n_levels, _] = shape.dims::<3>();
        let gradient = gradient.to_contiguous();
        let masks = self.masks.storage();
        let sizes = [n_variates, n_levels];
        let table = kernels::paint_backward(numbers(&gradient), masks, sizes, self.cut());
        [Some(tensor(table, shape))]
    }
}
