//! Ink tokens: a line plot is blank paper for the most part, and the blocks need not look at it.
//!
//! Patches without ink are dropped before they are painted and embedded; the tokens of the others
//! keep their positions. Pictures are then sequences of different lengths: they run in groups of
//! about equal length, filled up with tokens that nothing attends to. What is taken of the last
//! block is a weighted sum of tokens, so that the place of a token in its picture is not lost with
//! the blank ones around it.

use std::fmt;
use std::str::FromStr;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::patches::PatchEmbedding;
use super::tap::TokenPooling;
use crate::model::fused;

/// Tokens of a group at least: fewer do not keep a matrix product busy, which reads all weights
/// for every group.
const GROUP_TOKENS: usize = 512;
/// Tokens of a larger group that only fill it up: at most one of so many.
const MOST_FILLED: usize = 8;

/// Which patches of a picture become tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchTokens {
    /// All, as encoders of photographs have it.
    #[default]
    All,
    /// Those with ink: of a line plot, a tenth to a half. The others are dropped before the first
    /// block; means are over the tokens that are left, and zero where there are none.
    Ink,
}

impl PatchTokens {
    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ink => "ink",
        }
    }
}

impl fmt::Display for PatchTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PatchTokens {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "all" => Ok(Self::All),
            "ink" => Ok(Self::Ink),
            _ => Err(format!("unknown tokens `{name}`: expected ink or all")),
        }
    }
}

/// Patches of pictures that have any ink, one variate after the other and each picture by picture.
pub(super) struct InkPatches {
    /// Of each picture, the numbers of its patches, ascending.
    pictures: Vec<Vec<usize>>,
    /// Of each picture, how many patches of all are before its own.
    firsts: Vec<usize>,
    n_variates: usize,
    /// Rows and columns of patches.
    grid: usize,
    /// Pixels of a picture's side, and of a patch's.
    side: usize,
    size: usize,
}

/// Pictures of about as many tokens.
pub(super) struct InkGroup<'a> {
    patches: &'a InkPatches,
    /// Numbers of the pictures.
    pub(super) pictures: Vec<usize>,
    /// Tokens of each, those that fill up among them.
    length: usize,
    has_class: bool,
}

impl InkPatches {
    /// Looks for ink in every patch of `size` pixels.
    ///
    /// # Shapes
    /// - coverage: `[batch, n_variates, side, side]`
    pub(super) fn find(coverage: &[u8], [n_variates, side]: [usize; 2], size: usize) -> Self {
        let grid = side / size;
        let of_picture = |picture: &[u8]| {
            let mut inked = vec![false; grid * grid];
            for (y, row) in picture.chunks_exact(side).take(grid * size).enumerate() {
                for (x, patch) in row.chunks_exact(size).enumerate() {
                    inked[y / size * grid + x] |= patch.iter().any(|coverage| *coverage != 0);
                }
            }
            let numbers = inked.iter().enumerate().filter(|(_, inked)| **inked);
            numbers.map(|(number, _)| number).collect()
        };
        let pictures = coverage.chunks_exact((side * side).max(1)).map(of_picture);
        let pictures: Vec<Vec<usize>> = pictures.collect();
        let mut firsts = vec![0; pictures.len()];
        let mut first = 0;
        for variate in 0..n_variates {
            for picture in (variate..pictures.len()).step_by(n_variates) {
                firsts[picture] = first;
                first += pictures[picture].len();
            }
        }
        Self {
            pictures,
            firsts,
            n_variates,
            grid,
            side,
            size,
        }
    }

    /// Numbers of a variate's pictures.
    fn of_variate(&self, variate: usize) -> impl Iterator<Item = usize> + use<> {
        (variate..self.n_pictures()).step_by(self.n_variates)
    }

    /// Embeds the patches, and no others.
    ///
    /// # Shapes
    /// - coverage: as for [`find`](Self::find)
    /// - masks: the same as a tensor
    /// - output: `[n_patches, d_model]`, none where there is no ink
    pub(super) fn embed<B: Backend>(
        &self,
        coverage: &[u8],
        masks: &Tensor<B, 4, Int>,
        embedding: &PatchEmbedding<B>,
        colors: &Tensor<B, 3>,
    ) -> Option<Tensor<B, 2>> {
        let (device, dtype) = (masks.device(), masks.dtype());
        let (n_variates, n_colors) = (self.n_variates, colors.dims()[0]);
        assert_eq!(
            n_variates, n_colors,
            "{n_variates} variates, but colors of {n_colors}"
        );
        let variates = (0..self.n_variates).filter_map(|variate| {
            let cut = self.cut(coverage, variate);
            let n = cut.len() / (self.size * self.size);
            let cut = TensorData::new(cut, [n, 1, self.size, self.size]).convert_dtype(dtype);
            let colors = colors.clone().narrow(0, variate, 1);
            (n > 0).then(|| {
                let cut = Tensor::from_data(cut, (&device, dtype));
                embedding.forward_masks(cut, colors)
            })
        });
        let variates: Vec<Tensor<B, 2>> = variates.collect();
        (!variates.is_empty()).then(|| fused::concat(variates, 0))
    }

    /// The masks of a variate's patches, `[n_patches, size, size]`.
    fn cut(&self, coverage: &[u8], variate: usize) -> Vec<u8> {
        let (side, size) = (self.side, self.size);
        let mut cut = Vec::new();
        for picture in self.of_variate(variate) {
            let plane = &coverage[picture * side * side..][..side * side];
            for patch in &self.pictures[picture] {
                let corner = patch / self.grid * size * side + patch % self.grid * size;
                for row in 0..size {
                    cut.extend_from_slice(&plane[corner + row * side..][..size]);
                }
            }
        }
        cut
    }

    /// Their rows among those of all patches; none where there is no ink.
    ///
    /// # Shapes
    /// - all: `[n_pictures * grid * grid, width]`
    /// - output: `[n_patches, width]`
    pub(super) fn select<B: Backend>(&self, all: Tensor<B, 2>) -> Option<Tensor<B, 2>> {
        let of_picture = self.grid * self.grid;
        self.rows(all, |picture, patch| picture * of_picture + patch)
    }

    /// For each patch the row of its place in a picture.
    ///
    /// # Shapes
    /// - rows: `[grid * grid, width]`
    /// - output: `[n_patches, width]`
    pub(super) fn places<B: Backend>(&self, rows: Tensor<B, 2>) -> Option<Tensor<B, 2>> {
        self.rows(rows, |_, patch| patch)
    }

    fn rows<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
        of: impl Fn(usize, usize) -> usize,
    ) -> Option<Tensor<B, 2>> {
        let pictures = (0..self.n_variates).flat_map(|variate| self.of_variate(variate));
        let numbers: Vec<i32> = pictures
            .flat_map(|picture| {
                let patches = self.pictures[picture].iter();
                patches.map(move |patch| (picture, *patch))
            })
            .map(|(picture, patch)| place(of(picture, patch)))
            .collect();
        let (n, device) = (numbers.len(), rows.device());
        (n > 0).then(|| {
            let numbers = TensorData::new(numbers, [n]);
            rows.select(0, Tensor::from_data(numbers, &device))
        })
    }

    /// Number of pictures.
    pub(super) fn n_pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Tokens of a picture: a class token, if the encoder has one, and those of its ink; without
    /// either, one that counts for nothing.
    fn length(&self, picture: usize, has_class: bool) -> usize {
        (self.pictures[picture].len() + usize::from(has_class)).max(1)
    }

    /// All pictures, in groups of about one length. Tokens that fill up have no part in any sum: the
    /// numbers of a picture do not depend on its group.
    pub(super) fn groups(&self, has_class: bool) -> Vec<InkGroup<'_>> {
        let mut order: Vec<usize> = (0..self.n_pictures()).collect();
        order.sort_by_key(|&picture| self.length(picture, has_class));
        let mut groups: Vec<InkGroup<'_>> = Vec::new();
        // Tokens of the last group that do not fill up.
        let mut tokens = 0;
        for picture in order {
            let length = self.length(picture, has_class);
            if let Some(group) = groups.last_mut() {
                let filled_up = (group.pictures.len() + 1) * length;
                let few = filled_up < GROUP_TOKENS;
                if few || (filled_up - tokens - length) * MOST_FILLED <= filled_up {
                    group.pictures.push(picture);
                    group.length = length;
                    tokens += length;
                    continue;
                }
            }
            groups.push(InkGroup {
                patches: self,
                pictures: vec![picture],
                length,
                has_class,
            });
            tokens = length;
        }
        groups
    }
}

impl InkGroup<'_> {
    /// The tokens of the group, and what must not be attended to; none if nothing is filled up.
    ///
    /// # Shapes
    /// - x: `[1 + n_patches, d_model]`, the class token, or what fills up where there is none, and
    ///   the tokens of all patches
    /// - output: `[group, length, d_model]`, `[group, 1, 1, length]`
    pub(super) fn take<B: Backend>(
        &self,
        x: &Tensor<B, 2>,
    ) -> (Tensor<B, 3>, Option<Tensor<B, 4, Bool>>) {
        let ([_, d_model], device) = (x.dims(), x.device());
        let mut places = Vec::with_capacity(self.pictures.len() * self.length);
        let mut filled = Vec::with_capacity(places.capacity());
        for &picture in &self.pictures {
            let first = 1 + self.patches.firsts[picture];
            let n_patches = self.patches.pictures[picture].len();
            let class = self.has_class.then_some(0);
            let tokens = class.into_iter().chain(first..first + n_patches);
            let start = places.len();
            places.extend(tokens.map(place));
            let end = start + self.length;
            // Something is attended to, even where there is nothing to see.
            filled.resize(places.len().max(start + 1), false);
            filled.resize(end, true);
            places.resize(end, 0);
        }
        let shape = [self.pictures.len(), self.length];
        let masked = filled.contains(&true).then(|| {
            let masked = TensorData::new(filled, [shape[0], 1, 1, shape[1]]);
            Tensor::from_data(masked, &device)
        });
        let places =
            Tensor::<B, 1, Int>::from_data(TensorData::new(places, [shape[0] * shape[1]]), &device);
        let tokens = x.clone().select(0, places);
        (tokens.reshape([shape[0], shape[1], d_model]), masked)
    }

    /// Takes out of the group's tokens what stands for each picture. An empty cell, or a picture
    /// without ink, has zeros for the mean of its tokens.
    ///
    /// # Shapes
    /// - x: `[group, length, d_model]`; for the class token alone `[group, 1, d_model]`
    /// - output: `[group, width]`
    pub(super) fn pool<B: Backend>(
        &self,
        pooling: TokenPooling,
        x: Tensor<B, 3>,
        norm: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 2> {
        let ([n, _, d_model], device, dtype) = (x.dims(), x.device(), x.dtype());
        let class = |x: &Tensor<B, 3>| x.clone().narrow(1, 0, 1).reshape([n, d_model]);
        let means = |x: Tensor<B, 3>, cells: [usize; 2]| {
            let weights = Tensor::<B, 3>::from_data(self.weights(cells), &device).cast(dtype);
            let n_cells = cells[0] * cells[1];
            weights.matmul(x).reshape([n, n_cells * d_model])
        };
        match pooling {
            TokenPooling::Class => class(&norm(x.narrow(1, 0, 1))),
            TokenPooling::Mean => means(norm(x), [1, 1]),
            TokenPooling::Both => {
                let x = norm(x);
                fused::concat(vec![class(&x), means(x, [1, 1])], 1)
            }
            TokenPooling::Grid { rows, columns } => means(norm(x), [rows, columns]),
        }
    }

    /// `[group, rows * columns, length]`: what each token counts in the mean of each cell.
    fn weights(&self, [rows, columns]: [usize; 2]) -> TensorData {
        let (grid, length) = (self.patches.grid, self.length);
        let n_cells = rows * columns;
        let cell = |patch: usize| {
            let (row, column) = (patch / grid, patch % grid);
            row * rows / grid * columns + column * columns / grid
        };
        let mut weights = vec![0.0_f32; self.pictures.len() * n_cells * length];
        let pictures = weights.chunks_exact_mut(n_cells * length);
        for (weights, &picture) in pictures.zip(&self.pictures) {
            let patches = &self.patches.pictures[picture];
            let mut counts = vec![0_u16; n_cells];
            for &patch in patches {
                counts[cell(patch)] += 1;
            }
            for (token, &patch) in (usize::from(self.has_class)..).zip(patches) {
                let cell = cell(patch);
                weights[cell * length + token] = 1.0 / f32::from(counts[cell]);
            }
        }
        TensorData::new(weights, [self.pictures.len(), n_cells, length])
    }
}

/// Rows in the order of `pictures`, back in the order of their numbers.
///
/// # Shapes
/// - rows: `[n_pictures, width]`
pub(super) fn in_order<B: Backend>(rows: Tensor<B, 2>, pictures: &[usize]) -> Tensor<B, 2> {
    if pictures.is_sorted() {
        return rows;
    }
    let mut places = vec![0; pictures.len()];
    for (row, &picture) in pictures.iter().enumerate() {
        places[picture] = place(row);
    }
    let places = TensorData::new(places, [pictures.len()]);
    let places = Tensor::<B, 1, Int>::from_data(places, &rows.device());
    rows.select(0, places)
}

/// A place of a tensor's row, as indices are given to a device.
fn place(index: usize) -> i32 {
    i32::try_from(index).expect("fewer tokens in a pass than 2^31")
}
