//! The attention sublayer of a pre-norm block.

use std::borrow::Cow;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::kernels::{self, Mask, Masked, Norm, Scratch, Sizes};
use super::groups::{Gradients, each, matrix, sequences_of_group, sum_of_rows, summed};
use super::{Fused, contiguous, norm, numbers, product, tensor};

/// `x + dropout(attention(layer_norm(x)))`: inputs x; scale and shift of the norm; weight and bias
/// of queries, keys, values and output.
#[derive(Clone, Debug)]
pub(crate) struct AddAttention {
    /// Added to the variance.
    pub(crate) epsilon: f64,
    pub(crate) n_heads: usize,
    /// Number of the first tokens, which attend and are given out.
    pub(crate) queries: usize,
    /// `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to.
    pub(crate) masked: Option<FlexTensor>,
    pub(crate) dropout: Option<Mask>,
}

/// What all groups share.
struct Sublayer<'a> {
    norm: Norm<'a>,
    beta: &'a [f32],
    /// Weight and bias of queries, keys, values and output.
    linear: [Affine<'a>; 4],
    sizes: Sizes,
    masked: Option<&'a FlexTensor>,
    dropout: Option<Mask>,
    /// Inputs whose gradient is wanted.
    wanted: [bool; 11],
}

/// Weight and bias of a layer.
#[derive(Clone, Copy)]
struct Affine<'a>(&'a FlexTensor, &'a [f32]);

impl Affine<'_> {
    fn forward(self, x: &FlexTensor) -> FlexTensor {
        let mut y = product(x, self.0);
        kernels::add_bias(y.storage_mut(), self.1);
        y
    }

    fn backward(self, gradient: &FlexTensor) -> FlexTensor {
        product(gradient, &self.0.transpose(0, 1))
    }
}

/// The tokens of sequences that attend.
fn queries(rows: &[f32], sizes: Sizes) -> Cow<'_, [f32]> {
    if sizes.queries == sizes.seq {
        return rows.into();
    }
    let sequences = rows.chunks_exact(sizes.seq * sizes.width());
    let taken = sizes.queries * sizes.width();
    sequences.flat_map(|rows| &rows[..taken]).copied().collect()
}

/// Adds to the tokens of sequences that attend.
fn add_to_queries(rows: &mut [f32], queries: &[f32], sizes: Sizes) {
    let sequences = rows.chunks_exact_mut(sizes.seq * sizes.width());
    let size = sizes.queries * sizes.width();
    for (rows, queries) in sequences.zip(queries.chunks_exact(size)) {
        kernels::add(&mut rows[..size], queries);
    }
}

/// One of the sequences of a matrix.
fn sequence(rows: &FlexTensor, i: usize, seq: usize) -> &[f32] {
    let size = seq * rows.shape()[1];
    &numbers(rows)[i * size..][..size]
}

impl Sublayer<'_> {
    /// The mask of a sequence.
    fn masked(&self, sequence: usize) -> Option<Masked<'_>> {
        let masked = self.masked?;
        let [batch, _, queries, keys] = masked.shape().dims();
        let size = queries * keys;
        let keys = &masked.storage::<u8>()[sequence % batch * size..][..size];
        Some(Masked { keys })
    }

    /// What the norm gives: for keys and values, and for queries.
    fn normal(&self, x: &[f32]) -> [FlexTensor; 2] {
        let mut normal = x.to_vec();
        kernels::layer_norm(&mut normal, self.norm, self.beta);
        let width = self.sizes.width();
        let normal = matrix(normal, width);
        let of_queries = match queries(numbers(&normal), self.sizes) {
            Cow::Borrowed(_) => normal.clone(),
            Cow::Owned(rows) => matrix(rows, width),
        };
        [normal, of_queries]
    }

    fn forward(&self, first: usize, x: &[f32], out: &mut [f32]) -> Vec<FlexTensor> {
        let Self { sizes, .. } = *self;
        let width = sizes.width();
        let [normal, of_queries] = self.normal(x);
        let [of_q, of_k, of_v, of_out] = self.linear;
        let (q, k, v) = (
            of_q.forward(&of_queries),
            of_k.forward(&normal),
            of_v.forward(&normal),
        );
        let mut attended = vec![0.0; out.len()];
        let sequences = attended.par_chunks_mut(sizes.queries * width).enumerate();
        sequences.for_each_init(
            || Scratch::new(sizes),
            |scratch, (i, out)| {
                let given = [
                    sequence(&q, i, sizes.queries),
                    sequence(&k, i, sizes.seq),
                    sequence(&v, i, sizes.seq),
                ];
                kernels::attend(given, self.masked(first + i), scratch, out);
            },
        );
        let attended = matrix(attended, width);
        let mut y = of_out.forward(&attended);
        if let Some(mask) = self.dropout {
            mask.apply(y.storage_mut(), width, first * sizes.queries);
        }
        kernels::sum(out, &queries(x, sizes), numbers(&y));
        vec![q, k, v, attended]
    }

    /// Gradients of queries, keys and values from that of what was attended to.
    fn attend_backward(
        &self,
        first: usize,
        [q, k, v, gradient]: [&FlexTensor; 4],
    ) -> [FlexTensor; 3] {
        let Self { sizes, .. } = *self;
        let width = sizes.width();
        let [mut d_q, mut d_k, mut d_v] = [q, k, v].map(|x| vec![0.0; numbers(x).len()]);
        let places = d_q
            .par_chunks_mut(sizes.queries * width)
            .zip(d_k.par_chunks_mut(sizes.seq * width))
            .zip(d_v.par_chunks_mut(sizes.seq * width));
        places.enumerate().for_each_init(
            || Scratch::new(sizes),
            |scratch, (i, ((d_q, d_k), d_v))| {
                let given = [
                    sequence(q, i, sizes.queries),
                    sequence(k, i, sizes.seq),
                    sequence(v, i, sizes.seq),
                    sequence(gradient, i, sizes.queries),
                ];
                let masked = self.masked(first + i);
                kernels::attend_backward(given, masked, scratch, [d_q, d_k, d_v]);
            },
        );
        [d_q, d_k, d_v].map(|rows| matrix(rows, width))
    }

    fn backward(
        &self,
        first: usize,
        [x, gradient]: [&[f32]; 2],
        kept: &[FlexTensor],
        d_x: &mut [f32],
    ) -> Gradients<10> {
        let [q, k, v, attended] = kept else {
            panic!("a group of attention keeps 4 tensors, not {}", kept.len())
        };
        let Self { sizes, wanted, .. } = *self;
        let [of_q, of_k, of_v, of_out] = self.linear;
        let width = sizes.width();
        let mut d_y = gradient.to_vec();
        if let Some(mask) = self.dropout {
            mask.apply(&mut d_y, width, first * sizes.queries);
        }
        let d_y = matrix(d_y, width);
        let d_attended = of_out.backward(&d_y);
        let [d_q, d_k, d_v] = self.attend_backward(first, [q, k, v, &d_attended]);
        let mut d_normal = of_k.backward(&d_k);
        kernels::add(d_normal.storage_mut(), numbers(&of_v.backward(&d_v)));
        let d_queries = of_q.backward(&d_q);
        add_to_queries(d_normal.storage_mut(), numbers(&d_queries), sizes);
        let sums = kernels::layer_norm_backward(d_normal.storage_mut(), x, self.norm);
        d_x.copy_from_slice(numbers(&d_normal));
        add_to_queries(d_x, gradient, sizes);
        let [normal, of_queries] = self.normal(x);
        [
            Some(tensor(sums.gamma, Shape::new([width]))),
            Some(tensor(sums.beta, Shape::new([width]))),
            wanted[3].then(|| product(&of_queries.transpose(0, 1), &d_q)),
            wanted[4].then(|| sum_of_rows(&d_q)),
            wanted[5].then(|| product(&normal.transpose(0, 1), &d_k)),
            wanted[6].then(|| sum_of_rows(&d_k)),
            wanted[7].then(|| product(&normal.transpose(0, 1), &d_v)),
            wanted[8].then(|| sum_of_rows(&d_v)),
            wanted[9].then(|| product(&attended.transpose(0, 1), &d_y)),
            wanted[10].then(|| sum_of_rows(&d_y)),
        ]
    }
}

impl AddAttention {
    fn sublayer<'a>(
        &'a self,
        x: &FlexTensor,
        params: &'a [FlexTensor; 10],
        wanted: [bool; 11],
    ) -> Sublayer<'a> {
        let [gamma, beta, q, q_bias, k, k_bias, v, v_bias, out, out_bias] = params;
        let [_, seq, width] = x.shape().dims();
        Sublayer {
            norm: norm(gamma, self.epsilon),
            beta: numbers(beta),
            linear: [(q, q_bias), (k, k_bias), (v, v_bias), (out, out_bias)]
                .map(|(weight, bias)| Affine(weight, numbers(bias))),
            sizes: Sizes {
                seq,
                queries: self.queries,
                n_heads: self.n_heads,
                d_head: width / self.n_heads,
            },
            masked: self.masked.as_ref(),
            dropout: self.dropout,
            wanted,
        }
    }
}

impl Fused<11> for AddAttention {
    fn forward(&self, inputs: [FlexTensor; 11], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [x, params @ ..] = inputs.map(contiguous);
        let sublayer = self.sublayer(&x, &params, [false; 11]);
        let Sublayer { sizes, .. } = sublayer;
        let [n, ..] = x.shape().dims::<3>();
        let sequences = sequences_of_group(n, sizes.seq, sizes.width());
        let [size, out_size] = [sizes.seq, sizes.queries].map(|n| sequences * n * sizes.width());
        let group = |i: usize, out: &mut [f32]| {
            let x = &numbers(&x)[i * size..][..out.len() / sizes.queries * sizes.seq];
            let kept = sublayer.forward(i * sequences, x, out);
            if keep { kept } else { Vec::new() }
        };
        let mut y = vec![0.0; n * sizes.queries * sizes.width()];
        let of_groups = each(&mut y, out_size, group);
        let y = tensor(y, Shape::new([n, sizes.queries, sizes.width()]));
        let mut kept = Vec::new();
        if keep {
            kept.push(x);
            kept.extend(params);
            kept.extend(of_groups);
        }
        (y, kept)
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 11],
    ) -> [Option<FlexTensor>; 11] {
        let (inputs, of_groups) = kept.split_at(11);
        let params = inputs[1..].try_into().expect("eleven inputs but one");
        let x = &inputs[0];
        let sublayer = self.sublayer(x, params, wanted);
        let Sublayer { sizes, .. } = sublayer;
        let [n, ..] = x.shape().dims::<3>();
        let sequences = sequences_of_group(n, sizes.seq, sizes.width());
        let [size, out_size] = [sizes.seq, sizes.queries].map(|n| sequences * n * sizes.width());
        let gradient = gradient.to_contiguous();
        let group = |i: usize, d_x: &mut [f32]| {
            let given = [
                &numbers(x)[i * size..][..d_x.len()],
                &numbers(&gradient)[i * out_size..][..d_x.len() / sizes.seq * sizes.queries],
            ];
            let kept = &of_groups[4 * i..][..4];
            sublayer.backward(i * sequences, given, kept, d_x)
        };
        let mut d_x = vec![0.0; x.shape().num_elements()];
        let [a, b, c, d, e, f, g, h, i, j] = summed(&mut d_x, size, 0, &group);
        let d_x = tensor(d_x, x.shape());
        [Some(d_x), a, b, c, d, e, f, g, h, i, j]
    }
}
