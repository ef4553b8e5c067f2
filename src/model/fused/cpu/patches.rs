//! Patch embedding: pictures are cut a few at a time, and multiplied before they leave the cache.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{self, Cut};
use super::groups::{Gradients, each, matrix, sequences_of_group, summed};
use super::{Fused, contiguous, numbers, product, tensor};

/// Patches times weights, `[n * n_patches, d_model]`: inputs the pixels, `[n, 3, height, width]`,
/// or the color table of masks, `[n_variates, n_levels, 3]`; and the weights,
/// `[d_model, 3, patch, patch]`.
#[derive(Clone, Debug)]
pub(crate) struct EmbedPatches {
    /// `[batch, n_variates, height, width]`, contiguous bytes.
    pub(crate) masks: Option<FlexTensor>,
}

/// What all groups share.
struct Pictures<'a> {
    source: &'a FlexTensor,
    /// `[d_model, 3 * patch * patch]`
    weight: FlexTensor,
    masks: Option<&'a [u8]>,
    cut: Cut,
    /// All pictures.
    n: usize,
    /// Pictures of a group.
    in_group: usize,
}

impl EmbedPatches {
    fn pictures<'a>(&'a self, source: &'a FlexTensor, weight: &FlexTensor) -> Pictures<'a> {
        let [d_model, .., patch] = weight.shape().dims::<4>();
        let shape = self.masks.as_ref().unwrap_or(source).shape();
        let [batch, planes, height, width] = shape.dims();
        let cut = Cut {
            height,
            width,
            patch,
        };
        let masks = self.masks.as_ref().map(FlexTensor::storage);
        let n = if masks.is_some() {
            batch * planes
        } else {
            batch
        };
        Pictures {
            source,
            weight: weight.reshape(Shape::new([d_model, cut.depth()])),
            masks,
            cut,
            n,
            in_group: sequences_of_group(n, cut.n_patches(), d_model),
        }
    }
}

impl Pictures<'_> {
    /// Levels of the table and number of its variates.
    fn table(&self) -> [usize; 2] {
        let [n_variates, n_levels, _] = self.source.shape().dims();
        [n_variates, n_levels]
    }

    /// The masks of a group.
    fn masks<'a>(&self, masks: &'a [u8], group: usize, n: usize) -> &'a [u8] {
        let plane = self.cut.plane();
        &masks[group * self.in_group * plane..][..n * plane]
    }

    /// The patches of a group of `n` pictures.
    fn patches(&self, group: usize, n: usize) -> FlexTensor {
        let (cut, source) = (self.cut, numbers(self.source));
        let first = group * self.in_group;
        let patches = match self.masks {
            Some(masks) => {
                let [_, n_levels] = self.table();
                kernels::paint(self.masks(masks, group, n), first, source, n_levels, cut)
            }
            None => {
                let size = 3 * cut.plane();
                kernels::cut(&source[first * size..][..n * size], cut)
            }
        };
        matrix(patches, cut.depth())
    }

    /// Gradients of the weights and of the table; that of pixels goes to `out`.
    fn backward(
        &self,
        group: usize,
        gradient: &FlexTensor,
        out: &mut [f32],
        [source_wanted, weight_wanted]: [bool; 2],
    ) -> Gradients<2> {
        let n = gradient.shape()[0] / self.cut.n_patches();
        let of_table = source_wanted.then(|| {
            let d_patches = product(gradient, &self.weight);
            let Some(masks) = self.masks else {
                kernels::uncut(numbers(&d_patches), self.cut, out);
                return None;
            };
            let masks = self.masks(masks, group, n);
            let first = group * self.in_group;
            let table =
                kernels::paint_backward(numbers(&d_patches), masks, first, self.table(), self.cut);
            Some(tensor(table, self.source.shape()))
        });
        let of_weight =
            weight_wanted.then(|| product(&gradient.transpose(0, 1), &self.patches(group, n)));
        [of_table.flatten(), of_weight]
    }
}

impl Fused<2> for EmbedPatches {
    fn forward(&self, inputs: [FlexTensor; 2], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [source, weight] = inputs.map(contiguous);
        let pictures = self.pictures(&source, &weight);
        let (cut, d_model) = (pictures.cut, weight.shape()[0]);
        let size = cut.n_patches() * d_model;
        let mut embedded = vec![0.0; pictures.n * size];
        each(&mut embedded, pictures.in_group * size, |group, out| {
            let patches = pictures.patches(group, out.len() / size);
            out.copy_from_slice(numbers(&product(
                &patches,
                &pictures.weight.transpose(0, 1),
            )));
            Vec::new()
        });
        (matrix(embedded, d_model), vec![source, weight])
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [source, weight] = kept.try_into().expect("what forward kept");
        let pictures = self.pictures(&source, &weight);
        let (cut, d_model) = (pictures.cut, weight.shape()[0]);
        let gradient = gradient.to_contiguous();
        // Only pixels have a gradient a picture; otherwise there is a place and nothing to fill it.
        let of_pixels = wanted[0] && self.masks.is_none();
        let size = if of_pixels { 3 * cut.plane() } else { 1 };
        let mut out = vec![0.0; pictures.n * size];
        let group = |group: usize, out: &mut [f32]| {
            let rows = out.len() / size * cut.n_patches();
            let first = group * pictures.in_group * cut.n_patches();
            let gradient = &numbers(&gradient)[first * d_model..][..rows * d_model];
            let gradient = matrix(gradient.to_vec(), d_model);
            pictures.backward(group, &gradient, out, wanted)
        };
        let [of_table, of_weight] = summed(&mut out, pictures.in_group * size, 0, &group);
        let of_source = match of_pixels {
            true => Some(tensor(out, source.shape())),
            false => of_table,
        };
        [of_source, of_weight.map(|of| of.reshape(weight.shape()))]
    }
}
