//! Operations of a transformer that a backend may do at once, or plainly from Burn's own.
//!
//! Burn's CPU backend runs element-wise operations one by one, most of them on one thread, with
//! scalar transcendental functions. There these operations, and their gradients, are single
//! passes over vectorised loops; on every other backend they are what they say, in Burn's terms.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cpu")]
mod kernels;

#[cfg(feature = "cpu")]
use burn::module::Param;
use burn::nn;
#[cfg(feature = "cpu")]
use burn::tensor::TensorPrimitive;
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, IntDType, Tensor};
use serde::{Deserialize, Serialize};

/// Non-linearity between the two layers of a block's feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, what OpenAI's CLIP was trained with.
    QuickGelu,
    /// The exact GELU, through the error function.
    Gelu,
}

impl Activation {
    /// Applies the activation to every element.
    ///
    /// # Source
    /// Quick GELU is written `x / (1 + exp(-1.702 x))`: the same function, and faster than a
    /// sigmoid on Burn's CPU backend. It overflows benignly: `-100 / inf = -0`.
    pub fn forward<B: Backend, const D: usize>(self, x: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::QuickGelu => x.clone() / ((x * -1.702).exp() + 1.0),
            Self::Gelu => gelu(x),
        }
    }
}

/// What a parameter or a tensor holds, for [`cpu::run`].
#[cfg(feature = "cpu")]
fn float<B: Backend, const D: usize>(x: Tensor<B, D>) -> burn::tensor::ops::FloatTensor<B> {
    x.into_primitive().tensor()
}

/// Applies a linear layer to every token as one matrix product.
///
/// Burn 0.21 computes the weight gradient of a 3-D input as a batch of small products which it
/// then sums; flattened it is one product, and a training step takes half the time.
///
/// # Shapes
/// - x: `[batch, seq, d_input]`
/// - output: `[batch, seq, d_output]`
pub(crate) fn linear<B: Backend>(layer: &nn::Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
    #[cfg(feature = "cpu")]
    if let Some(bias) = &layer.bias {
        let inputs = [
            float(x.clone()),
            float(layer.weight.val()),
            float(bias.val()),
        ];
        if let Some(y) = cpu::run::<B, _, _>(&cpu::Linear, &inputs) {
            return Tensor::from_primitive(TensorPrimitive::Float(y));
        }
    }
    let [batch, seq, d_input] = x.dims();
    let y = layer.forward(x.reshape([batch * seq, d_input]));
    let d_output = y.dims()[1];
    y.reshape([batch, seq, d_output])
}

/// Two linear layers with an activation between.
///
/// # Shapes
/// - x: `[batch, seq, d_model]`
/// - output: `[batch, seq, d_model]`
pub(crate) fn feed_forward<B: Backend>(
    layers: [&nn::Linear<B>; 2],
    activation: Activation,
    x: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let [first, second] = layers;
    #[cfg(feature = "cpu")]
    if let (Some(bias1), Some(bias2)) = (&first.bias, &second.bias) {
        let inputs = [
            float(x.clone()),
            float(first.weight.val()),
            float(bias1.val()),
            float(second.weight.val()),
            float(bias2.val()),
        ];
        if let Some(y) = cpu::run::<B, _, _>(&cpu::FeedForward(activation), &inputs) {
            return Tensor::from_primitive(TensorPrimitive::Float(y));
        }
    }
    linear(second, activation.forward(linear(first, x)))
}

/// Multi-head scaled dot-product attention.
///
/// # Shapes
/// - q, k, v: `[batch, seq, d_model]`
/// - masked: `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to
/// - output: `[batch, seq, d_model]`
pub(crate) fn attention<B: Backend>(
    [q, k, v]: [Tensor<B, 3>; 3],
    n_heads: usize,
    masked: Option<&Tensor<B, 4, Bool>>,
) -> Tensor<B, 3> {
    #[cfg(feature = "cpu")]
    {
        let operation = cpu::Attention {
            n_heads,
            masked: masked.and_then(|masked| cpu::bools::<B>(masked.clone().into_primitive())),
        };
        let inputs = [float(q.clone()), float(k.clone()), float(v.clone())];
        if let Some(y) = cpu::run::<B, _, _>(&operation, &inputs) {
            return Tensor::from_primitive(TensorPrimitive::Float(y));
        }
    }
    attend(attention_weights(q, k, n_heads, masked), v)
}

/// Softmax of the scaled dot products of queries and keys.
///
/// # Shapes
/// - q, k: `[batch, seq, d_model]`
/// - masked: `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to
/// - output: `[batch, n_heads, seq, seq]`, every row sums to one
pub(crate) fn attention_weights<B: Backend>(
    q: Tensor<B, 3>,
    k: Tensor<B, 3>,
    n_heads: usize,
    masked: Option<&Tensor<B, 4, Bool>>,
) -> Tensor<B, 4> {
    let d_head = q.dims()[2] / n_heads;
    let q = split_heads(q * (d_head as f64).powf(-0.5), n_heads);
    let scores = q.matmul(split_heads(k, n_heads).swap_dims(2, 3));
    let scores = match masked {
        Some(masked) => {
            let shape = scores.shape();
            scores.mask_fill(masked.clone().expand(shape), f32::NEG_INFINITY)
        }
        None => scores,
    };
    softmax(scores, 3)
}

/// Averages the values by the attention weights and joins the heads.
///
/// # Shapes
/// - weights: `[batch, n_heads, seq, seq]`
/// - v: `[batch, seq, d_model]`
/// - output: `[batch, seq, d_model]`
pub(crate) fn attend<B: Backend>(weights: Tensor<B, 4>, v: Tensor<B, 3>) -> Tensor<B, 3> {
    let [batch, n_heads, seq, _] = weights.dims();
    let d_model = v.dims()[2];
    let heads = weights.matmul(split_heads(v, n_heads));
    // [B, H, T, D / H] -> [B, T, D]
    heads.swap_dims(1, 2).reshape([batch, seq, d_model])
}

/// `[batch, seq, d_model]` -> `[batch, n_heads, seq, d_model / n_heads]`
fn split_heads<B: Backend>(x: Tensor<B, 3>, n_heads: usize) -> Tensor<B, 4> {
    let [batch, seq, d_model] = x.dims();
    x.reshape([batch, seq, n_heads, d_model / n_heads])
        .swap_dims(1, 2)
}

/// Applies a layer norm, whose `epsilon` Burn keeps to itself.
#[cfg_attr(
    not(feature = "cpu"),
    expect(unused_variables, reason = "Burn's own layer norm knows its epsilon")
)]
pub(crate) fn layer_norm<B: Backend>(
    norm: &nn::LayerNorm<B>,
    epsilon: f64,
    x: Tensor<B, 3>,
) -> Tensor<B, 3> {
    #[cfg(feature = "cpu")]
    if let Some(beta) = norm.beta.as_ref().map(Param::val) {
        let inputs = [float(x.clone()), float(norm.gamma.val()), float(beta)];
        if let Some(y) = cpu::run::<B, _, _>(&cpu::LayerNorm { epsilon }, &inputs) {
            return Tensor::from_primitive(TensorPrimitive::Float(y));
        }
    }
    norm.forward(x)
}

/// Cuts masks into patches and looks every pixel up in the colour table of its variate, one patch
/// after the other, one pixel after the other.
///
/// # Shapes
/// - masks: `[batch, n_variates, height, width]`
/// - colors: `[n_variates, n_levels, 3]`
/// - output: `[batch * n_variates * n_patches, patch * patch * 3]`
pub(crate) fn paint<B: Backend>(
    masks: Tensor<B, 4, Int>,
    colors: Tensor<B, 3>,
    patch: usize,
) -> Tensor<B, 2> {
    #[cfg(feature = "cpu")]
    if let Some(masks) = cpu::bytes::<B>(masks.clone().into_primitive()) {
        let masks = masks.to_contiguous();
        let inputs = [float(colors.clone())];
        if let Some(painted) = cpu::run::<B, _, _>(&cpu::Paint { masks, patch }, &inputs) {
            return Tensor::from_primitive(TensorPrimitive::Float(painted));
        }
    }
    paint_by_index(masks, colors, patch)
}

fn paint_by_index<B: Backend>(
    masks: Tensor<B, 4, Int>,
    colors: Tensor<B, 3>,
    patch: usize,
) -> Tensor<B, 2> {
    let [batch, n_variates, height, width] = masks.dims();
    let [_, n_levels, channels] = colors.dims();
    let (rows, columns) = (height / patch, width / patch);
    // [B, V, H, W] -> [B * V, rows, columns, p, p]
    let levels = masks
        .reshape([batch * n_variates, rows, patch, columns, patch])
        .swap_dims(2, 3)
        .reshape([batch, n_variates, height * width])
        .cast(IntDType::I32);
    let table_size = (n_variates * n_levels) as i64;
    let first = Tensor::<B, 1, Int>::arange_step(0..table_size, n_levels, &levels.device())
        .cast(IntDType::I32);
    let index = levels + first.reshape([1, n_variates, 1]);
    let table = colors.reshape([n_variates * n_levels, channels]);
    // Rows of three channels keep the look-up contiguous.
    table
        .select(0, index.reshape([batch * n_variates * height * width]))
        .reshape([
            batch * n_variates * rows * columns,
            patch * patch * channels,
        ])
}

#[cfg(all(test, feature = "cpu", feature = "train"))]
mod tests {
    use burn::backend::Autodiff;
    use burn::tensor::{DType, Distribution};

    use super::*;

    type Cpu = Autodiff<burn_flex::Flex>;

    /// Single precision, sums of up to 400 products of numbers around one.
    const TOLERANCE: f32 = 1e-4;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<Cpu, D> {
        let range = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, range, &Default::default()).require_grad()
    }

    fn layer(d_input: usize, d_output: usize) -> nn::Linear<Cpu> {
        nn::Linear {
            weight: Param::from_tensor(random([d_input, d_output])),
            bias: Some(Param::from_tensor(random([d_output]))),
        }
    }

    fn close<const D: usize>(what: &str, fused: Tensor<Cpu, D>, plain: Tensor<Cpu, D>) {
        let size = plain.clone().abs().mean().into_scalar().max(1.0);
        let apart = (fused - plain).abs().max().into_scalar();
        assert!(apart <= TOLERANCE * size, "{what} is {apart} apart");
    }

    type Gradients = <Cpu as burn::tensor::backend::AutodiffBackend>::Gradients;
    /// Picks the gradient of one tensor out of all.
    type Pick = Box<dyn Fn(&Gradients) -> Tensor<Cpu, 1>>;

    fn of<const D: usize>(x: &Tensor<Cpu, D>) -> Pick {
        let x = x.clone();
        Box::new(move |gradients| {
            let gradient = x.grad(gradients).expect("a gradient");
            Tensor::<Cpu, D>::from_inner(gradient).flatten(0, D - 1)
        })
    }

    fn of_layer(layer: &nn::Linear<Cpu>) -> [Pick; 2] {
        let bias = layer.bias.as_ref().expect("a bias");
        [of(&layer.weight.val()), of(&bias.val())]
    }

    /// Compares two ways to a result, and the gradients they give.
    fn compare(picks: &[Pick], fused: Tensor<Cpu, 3>, plain: Tensor<Cpu, 3>) {
        close("the output", fused.clone(), plain.clone());
        // A direction in which no gradient vanishes by symmetry.
        let normal = Distribution::Normal(0.0, 1.0);
        let toward = Tensor::random(plain.shape(), normal, &plain.device());
        let fused = (fused * toward.clone()).sum().backward();
        let plain = (plain * toward).sum().backward();
        for (i, pick) in picks.iter().enumerate() {
            close(&format!("gradient {i}"), pick(&fused), pick(&plain));
        }
    }

    #[test]
    fn linear_is_burns_linear() {
        let (x, layer) = (random([3, 5, 20]), layer(20, 30));
        let [weight, bias] = of_layer(&layer);
        let fused = linear(&layer, x.clone());
        compare(&[of(&x), weight, bias], fused, layer.forward(x.clone()));
    }

    #[test]
    fn feed_forward_is_two_layers_and_an_activation() {
        for activation in [Activation::QuickGelu, Activation::Gelu] {
            let (x, first, second) = (random([7, 40, 20]), layer(20, 70), layer(70, 20));
            let fused = feed_forward([&first, &second], activation, x.clone());
            let plain = second.forward(activation.forward(first.forward(x.clone())));
            let mut picks = vec![of(&x)];
            picks.extend(of_layer(&first));
            picks.extend(of_layer(&second));
            compare(&picks, fused, plain);
        }
    }

    #[test]
    fn attention_is_softmax_between_two_products_with_and_without_a_mask() {
        let (batch, seq, n_heads) = (3, 21, 4);
        let padded = Tensor::<Cpu, 1, Int>::arange(0..(batch * seq) as i64, &Default::default());
        let padded = padded.reshape([batch, 1, 1, seq]).equal_elem(5);
        for masked in [None, Some(padded)] {
            let qkv = [(); 3].map(|()| random([batch, seq, 32]));
            let fused = attention(qkv.clone(), n_heads, masked.as_ref());
            let [q, k, v] = qkv.clone();
            let plain = attend(attention_weights(q, k, n_heads, masked.as_ref()), v);
            compare(&qkv.each_ref().map(of), fused, plain);
        }
    }

    #[test]
    fn layer_norm_is_burns_with_its_epsilon() {
        let epsilon = 0.01;
        // More rows than are summed at once.
        let x = random([9, 41, 24]);
        let norm = nn::LayerNormConfig::new(24).with_epsilon(epsilon);
        let mut norm = norm.init::<Cpu>(&x.device());
        norm.gamma = Param::from_tensor(random([24]));
        norm.beta = Some(Param::from_tensor(random([24])));
        let beta = norm.beta.as_ref().expect("a shift").val();
        let picks = [of(&x), of(&norm.gamma.val()), of(&beta)];
        let fused = layer_norm(&norm, epsilon, x.clone());
        compare(&picks, fused, norm.forward(x.clone()));
    }

    #[test]
    fn painting_bytes_is_painting_by_index() {
        let masks = Tensor::<Cpu, 1, Int>::arange(0..2 * 3 * 8 * 12, &Default::default());
        let masks = masks.reshape([2, 3, 8, 12]) * 7 % 256;
        let colors = random([3, 256, 3]);
        let by_index = paint_by_index(masks.clone(), colors.clone(), 4);
        let bytes = masks.cast(IntDType::U8);
        assert_eq!(bytes.dtype(), DType::U8);
        let painted = paint(bytes, colors.clone(), 4);
        compare(&[of(&colors)], painted.unsqueeze(), by_index.unsqueeze());
    }

    #[test]
    fn other_precisions_and_plain_tensors_are_served_too() {
        use burn::module::AutodiffModule;
        use burn::tensor::FloatDType;

        let (x, layer) = (random([2, 3, 8]), layer(8, 8));
        let plain = layer.valid();
        let y = linear(&plain, x.clone().inner());
        close("plainly", Tensor::from_inner(y), layer.forward(x.clone()));
        let halves = attention([(); 3].map(|()| x.clone().cast(FloatDType::F16)), 2, None);
        assert_eq!(halves.dtype(), DType::F16);
    }
}
