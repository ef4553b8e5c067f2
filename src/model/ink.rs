//! Ink tokens: a line plot is blank paper for the most part, and the blocks need not look at it.
//!
//! Tokens of patches without ink are dropped before the first block; the others keep their
//! positions. Pictures are then sequences of different lengths: they run in groups of about equal
//! length, filled up with tokens that nothing attends to. What is taken of the last block is a
//! weighted sum of tokens, so that the place of a token in its picture is not lost with the blank
//! ones around it.

use std::fmt;
use std::str::FromStr;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::tap::TokenPooling;

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

/// Patches of pictures that have any ink.
pub(super) struct InkPatches {
    /// Of each picture, the numbers of its patches, ascending.
    pictures: Vec<Vec<usize>>,
    /// Rows and columns of patches.
    grid: usize,
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
    /// - masks: `[batch, n_variates, side, side]`
    pub(super) fn find<B: Backend>(masks: &Tensor<B, 4, Int>, size: usize) -> Self {
        let [batch, n_variates, side, _] = masks.dims();
        let grid = side / size;
        let data = masks.clone().into_data();
        let coverage: Vec<bool> = data.iter::<i32>().map(|coverage| coverage != 0).collect();
        let of_picture = |picture: &[bool]| {
            let mut inked = vec![false; grid * grid];
            for (y, row) in picture.chunks_exact(side).take(grid * size).enumerate() {
                for (x, patch) in row.chunks_exact(size).enumerate() {
                    inked[y / size * grid + x] |= patch.contains(&true);
                }
            }
            let numbers = inked.iter().enumerate().filter(|(_, inked)| **inked);
            numbers.map(|(number, _)| number).collect()
        };
        let pictures = coverage.chunks_exact((side * side).max(1)).map(of_picture);
        let pictures: Vec<Vec<usize>> = pictures.collect();
        debug_assert_eq!(pictures.len(), batch * n_variates, "pictures");
        Self { pictures, grid }
    }

    /// Number of pictures.
    pub(super) fn n_pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Tokens of a picture: a class token, if the encoder has one, and those of its ink; without
    /// either, that of the first patch, which counts for nothing.
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
    /// - x: `[n_pictures, seq, d_model]`, all tokens of all pictures
    /// - output: `[group, length, d_model]`, `[group, 1, 1, length]`
    pub(super) fn take<B: Backend>(
        &self,
        x: &Tensor<B, 3>,
    ) -> (Tensor<B, 3>, Option<Tensor<B, 4, Bool>>) {
        let ([n, seq, d_model], device) = (x.dims(), x.device());
        let first = usize::from(self.has_class);
        let mut places = Vec::with_capacity(self.pictures.len() * self.length);
        let mut filled = Vec::with_capacity(places.capacity());
        for &picture in &self.pictures {
            let patches = self.patches.pictures[picture].iter();
            let class = self.has_class.then_some(0);
            let tokens = class.into_iter().chain(patches.map(|patch| first + patch));
            let start = places.len();
            places.extend(tokens.map(|token| place(picture * seq + token)));
            let end = start + self.length;
            filled.resize(places.len().max(start + 1), false);
            filled.resize(end, true);
            places.resize(end, place(picture * seq));
        }
        let shape = [self.pictures.len(), self.length];
        let masked = filled.contains(&true).then(|| {
            let masked = TensorData::new(filled, [shape[0], 1, 1, shape[1]]);
            Tensor::from_data(masked, &device)
        });
        let places =
            Tensor::<B, 1, Int>::from_data(TensorData::new(places, [shape[0] * shape[1]]), &device);
        let tokens = x.clone().reshape([n * seq, d_model]).select(0, places);
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
                Tensor::cat(vec![class(&x), means(x, [1, 1])], 1)
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
