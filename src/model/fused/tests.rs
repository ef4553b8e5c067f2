//! The fused operations against the same in Burn's terms: outputs and gradients.

use burn::backend::Autodiff;
use burn::module::Param;
use burn::tensor::{Bool, DType, Distribution, Int, IntDType};

use super::convolutions::{plain_plane_windows, plain_windows};
use super::*;

type Cpu = Autodiff<burn_flex::Flex>;

/// Single precision, sums of up to 400 products of numbers around one.
const TOLERANCE: f32 = 1e-4;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<Cpu, D> {
    spread(shape, 1.0)
}

fn spread<const D: usize>(shape: [usize; D], std: f64) -> Tensor<Cpu, D> {
    let range = Distribution::Normal(0.0, std);
    Tensor::random(shape, range, &Default::default()).require_grad()
}

/// A layer that keeps the size of what passes it, so that no softmax is at its limits.
fn layer(d_input: usize, d_output: usize) -> nn::Linear<Cpu> {
    nn::Linear {
        weight: Param::from_tensor(spread([d_input, d_output], (d_input as f64).powf(-0.5))),
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

fn drop_nothing() -> nn::Dropout {
    nn::DropoutConfig::new(0.0).init()
}

fn norm(width: usize, epsilon: f64) -> nn::LayerNorm<Cpu> {
    let norm = nn::LayerNormConfig::new(width).with_epsilon(epsilon);
    let mut norm = norm.init::<Cpu>(&Default::default());
    norm.gamma = Param::from_tensor(random([width]));
    norm.beta = Some(Param::from_tensor(random([width])));
    norm
}

fn of_norm(norm: &nn::LayerNorm<Cpu>) -> [Pick; 2] {
    let beta = norm.beta.as_ref().expect("a shift");
    [of(&norm.gamma.val()), of(&beta.val())]
}

#[test]
fn the_feed_forward_half_is_a_norm_two_layers_and_an_activation() {
    let epsilon = 0.01;
    for activation in [Activation::QuickGelu, Activation::Gelu] {
        // More rows than are in a group.
        let (x, first, second) = (random([7, 90, 20]), layer(20, 70), layer(70, 20));
        let norm = norm(20, epsilon);
        let half = FeedForwardSublayer {
            norm: (&norm, epsilon),
            layers: [&first, &second],
            activation,
            dropout: &drop_nothing(),
        };
        let fused = half.forward(x.clone());
        let inner = activation.forward(first.forward(norm.forward(x.clone())));
        let plain = x.clone() + second.forward(inner);
        let mut picks = vec![of(&x)];
        picks.extend(of_norm(&norm));
        picks.extend(of_layer(&first));
        picks.extend(of_layer(&second));
        compare(&picks, fused, plain);
    }
}

#[test]
fn the_attention_half_is_softmax_between_two_products_for_all_or_the_first_tokens() {
    // Heads and sequences that fill no whole vector; more rows than are in a group.
    let (batch, seq, width, n_heads, epsilon) = (15, 41, 36, 3, 0.01);
    let padded = Tensor::<Cpu, 1, Int>::arange(0..(batch * seq) as i64, &Default::default());
    let padded = padded.reshape([batch, 1, 1, seq]);
    let padded = padded
        .clone()
        .equal_elem(5)
        .bool_or(padded.equal_elem(seq as i64 + 7));
    let later = Tensor::<Cpu, 2, Bool>::tril_mask([seq, seq], 0, &Default::default());
    let later = later.reshape([1, 1, seq, seq]);
    for masked in [None, Some(padded), Some(later)] {
        for queries in [seq, 1] {
            let (x, norm) = (random([batch, seq, width]), norm(width, epsilon));
            let layers = [(); 4].map(|()| layer(width, width));
            let half = AttentionSublayer {
                norm: (&norm, epsilon),
                projections: layers.each_ref(),
                n_heads,
                dropout: &drop_nothing(),
            };
            let fused = half.forward(x.clone(), masked.as_ref(), queries);
            let [q, k, v, out] = layers.each_ref();
            let [q, k, v] = [q, k, v].map(|layer| layer.forward(norm.forward(x.clone())));
            let weights = attention_weights(q, k, n_heads, masked.as_ref());
            let plain = (x.clone() + out.forward(attend(weights, v))).narrow(1, 0, queries);
            let mut picks = vec![of(&x)];
            picks.extend(of_norm(&norm));
            picks.extend(layers.iter().flat_map(of_layer));
            compare(&picks, fused, plain);
        }
    }
}

#[test]
fn layer_norm_is_burns_with_its_epsilon() {
    let epsilon = 0.01;
    // More rows than are summed at once.
    let (x, norm) = (random([9, 41, 24]), norm(24, epsilon));
    let mut picks = vec![of(&x)];
    picks.extend(of_norm(&norm));
    let fused = layer_norm(&norm, epsilon, x.clone());
    compare(&picks, fused, norm.forward(x.clone()));
}

#[test]
fn sequences_are_concatenations_and_sums() {
    for n_variates in [None, Some(3)] {
        let (tokens, class, positions) = (random([6, 4, 9]), random([9]), random([5, 9]));
        let variates = random([3, 9]);
        let given = n_variates.map(|_| variates.clone());
        let fused = sequences(tokens.clone(), class.clone(), positions.clone(), given);
        let first = class.clone().reshape([1, 1, 9]).expand([6, 1, 9]);
        let plain = Tensor::cat(vec![first, tokens.clone()], 1) + positions.clone().unsqueeze();
        let mut picks = vec![of(&tokens), of(&class), of(&positions)];
        let plain = match n_variates {
            Some(n) => {
                picks.push(of(&variates));
                plain + Tensor::cat(vec![variates.clone(); 6 / n], 0).reshape([6, 1, 9])
            }
            None => plain,
        };
        compare(&picks, fused, plain);
    }
}

#[test]
fn gelu_is_burns() {
    let x = random([3, 50, 7]);
    let fused = drop_gelu(&drop_nothing(), x.clone());
    compare(&[of(&x)], fused, gelu(x.clone()));
}

#[test]
fn quick_gelu_has_a_gradient_however_small_its_input() {
    let x = Tensor::<Cpu, 1>::from_floats([-100.0, -60.0, -1.0, 0.0, 60.0], &Default::default());
    let x = x.require_grad();
    let y = Activation::QuickGelu.forward(x.clone());
    let gradient = x.grad(&y.sum().backward()).expect("a gradient");
    let expected = Tensor::from_floats([0.0, 0.0, -0.06778, 0.5, 1.0], &Default::default());
    let apart = (gradient - expected).abs().max().into_scalar();
    // Not less or equal, as NaN would be.
    assert!(apart < 1e-4, "{apart} apart");
}

#[test]
fn no_two_draws_of_dropout_are_alike() {
    let x = random([30, 40]).add_scalar(10.0);
    let draw = || dropout(&nn::DropoutConfig::new(0.1).init(), x.clone()).into_data();
    assert_ne!(draw(), draw());
}

#[test]
fn gradients_pass_where_dropout_spares() {
    let half = nn::DropoutConfig::new(0.5).init();
    let x = random([30, 40]);
    let y = dropout(&half, x.clone());
    let mask = (y.clone() / x.clone()).inner();
    let gradient = x.grad(&y.sum().backward()).expect("a gradient");
    let apart = (gradient - mask).abs().max().into_scalar();
    assert!(apart < 1e-5, "{apart} apart");
    // What a block adds is dropped alike, in its output and in the gradients of its bias.
    let (x, norm, layers) = (
        random([9, 41, 8]),
        norm(8, 1e-5),
        [layer(8, 12), layer(12, 8)],
    );
    let half = FeedForwardSublayer {
        norm: (&norm, 1e-5),
        layers: layers.each_ref(),
        activation: Activation::Gelu,
        dropout: &half,
    };
    let added = half.forward(x.clone()) - x;
    let spared = added.clone().not_equal_elem(0.0).float() * 2.0;
    let bias = layers[1].bias.as_ref().expect("a bias").val();
    let gradient = bias.grad(&added.sum().backward()).expect("a gradient");
    let expected = spared.sum_dim(1).sum_dim(0).reshape([8]).inner();
    let apart = (gradient - expected).abs().max().into_scalar();
    assert!(apart < 1e-2, "{apart} apart");
}

#[test]
fn attention_drops_alike_in_both_directions() {
    for queries in [41, 3] {
        let (x, norm, layers) = (
            random([15, 41, 8]),
            norm(8, NORM_EPSILON),
            [(); 4].map(|()| layer(8, 8)),
        );
        let half = |dropout: &nn::Dropout| {
            let half = AttentionSublayer {
                norm: (&norm, NORM_EPSILON),
                projections: layers.each_ref(),
                n_heads: 2,
                dropout,
            };
            half.forward(x.clone(), None, queries)
        };
        let own = x.clone().narrow(1, 0, queries);
        let dropped = half(&nn::DropoutConfig::new(0.5).init());
        let spared = (dropped.clone() - own.clone()).inner().not_equal_elem(0.0);
        let added = half(&drop_nothing()) - own.clone();
        let mut picks = vec![of(&x)];
        picks.extend(of_norm(&norm));
        picks.extend(layers.iter().flat_map(of_layer));
        compare(
            &picks,
            dropped,
            own + added * Tensor::from_inner(spared.float() * 2.0),
        );
    }
}

#[test]
#[should_panic(expected = "pictures of 4 channels for an encoder of 3")]
fn pictures_of_other_channels_are_refused() {
    embed_pixels(random([2, 4, 8, 8]), random([7, 3, 4, 4]));
}

#[test]
fn patches_of_bytes_are_patches_by_index() {
    let masks = Tensor::<Cpu, 1, Int>::arange(0..2 * 3 * 8 * 12, &Default::default());
    let masks = masks.reshape([2, 3, 8, 12]) * 7 % 256;
    let (colors, weight) = (random([3, 256, 3]), random([5, 3, 4, 4]));
    let by_index = embed_masks(masks.clone(), colors.clone(), weight.clone());
    let bytes = masks.cast(IntDType::U8);
    assert_eq!(bytes.dtype(), DType::U8);
    let embedded = embed_masks(bytes, colors.clone(), weight.clone());
    let picks = [of(&colors), of(&weight)];
    compare(&picks, embedded.unsqueeze(), by_index.unsqueeze());
}

#[test]
fn patches_of_pixels_are_a_convolution() {
    let (pixels, weight) = (random([5, 3, 8, 12]), random([7, 3, 4, 4]));
    let embedded = embed_pixels(pixels.clone(), weight.clone());
    let options = burn::tensor::ops::ConvOptions::new([4, 4], [0, 0], [1, 1], 1);
    let plain = burn::tensor::module::conv2d(pixels.clone(), weight.clone(), None, options);
    // [B, D, rows, columns] -> [B * rows * columns, D]
    let plain = plain.permute([0, 2, 3, 1]).reshape([5 * 2 * 3, 7]);
    let picks = [of(&pixels), of(&weight)];
    compare(&picks, embedded.unsqueeze(), plain.unsqueeze());
}

#[test]
fn other_precisions_and_plain_tensors_are_served_too() {
    use burn::module::AutodiffModule;
    use burn::tensor::FloatDType;

    let (x, layer) = (random([2, 3, 8]), layer(8, 8));
    let plain = layer.valid();
    let y = linear(&plain, x.clone().inner());
    close("plainly", Tensor::from_inner(y), layer.forward(x.clone()));
    let mut cast = norm(8, NORM_EPSILON);
    cast.gamma = cast.gamma.map(|gamma| gamma.cast(FloatDType::F16));
    cast.beta = cast
        .beta
        .map(|beta| beta.map(|beta| beta.cast(FloatDType::F16)));
    let halves = layer_norm(&cast, NORM_EPSILON, x.cast(FloatDType::F16));
    assert_eq!(halves.dtype(), DType::F16);
}

#[test]
fn blocks_do_not_depend_on_the_number_of_threads() {
    let (x, norm) = (random([40, 41, 16]), norm(16, NORM_EPSILON));
    let layers = [(); 4].map(|()| layer(16, 16));
    let dropout = drop_nothing();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| {
            let half = AttentionSublayer {
                norm: (&norm, NORM_EPSILON),
                projections: layers.each_ref(),
                n_heads: 2,
                dropout: &dropout,
            };
            let y = half.forward(x.clone(), None, 41);
            let half = FeedForwardSublayer {
                norm: (&norm, NORM_EPSILON),
                layers: [&layers[0], &layers[1]],
                activation: Activation::Gelu,
                dropout: &dropout,
            };
            let y = half.forward(y);
            let gradients = (y.clone() * y.clone()).sum().backward();
            let [weight, bias] = of_layer(&layers[0]);
            [
                y.flatten(0, 2),
                of(&x)(&gradients),
                weight(&gradients),
                bias(&gradients),
            ]
            .map(Tensor::into_data)
        })
    };
    assert_eq!(on(1), on(5));
}

#[test]
fn windows_are_steps_around_a_center_and_zeros_outside() {
    // Windows wider than the line, lines that the stride does not divide.
    for (steps, size, stride) in [(1, 5, 1), (4, 11, 1), (300, 7, 1), (9, 3, 2), (10, 5, 3)] {
        let x = random([3, steps, 5]);
        let fused = windows(x.clone(), size, stride);
        compare(&[of(&x)], fused, plain_windows(x.clone(), size, stride));
    }
}

#[test]
fn windows_on_planes_are_cells_around_a_center_and_zeros_outside() {
    for (height, width, size, stride) in [(1, 1, 3, 2), (8, 8, 3, 2), (6, 9, 5, 1), (7, 4, 5, 3)] {
        let x = random([3, height, width, 5]);
        let fused = plane_windows(x.clone(), size, stride);
        let plain = plain_plane_windows(x.clone(), size, stride);
        compare(&[of(&x)], fused, plain);
    }
}

fn affine(gamma: &Tensor<Cpu, 1>, beta: &Tensor<Cpu, 1>) -> Affine<Cpu> {
    Affine {
        gamma: gamma.clone(),
        beta: beta.clone(),
        epsilon: 0.01,
    }
}

#[test]
fn batch_norm_is_over_the_rows_that_count() {
    // More rows than are summed at a time, columns that fill no whole vector.
    let (n, width) = (600, 21);
    let rows = Tensor::<Cpu, 1, Int>::arange(0..n as i64, &Default::default());
    let some = rows
        .clone()
        .greater_elem(70)
        .bool_xor(rows.clone().equal_elem(500));
    let one = rows.clone().equal_elem(3);
    for valid in [None, Some(some), Some(one)] {
        let start = || (random([n, width]), random([width]), random([width]));
        let (x, gamma, beta) = start();
        let picks = [of(&x), of(&gamma), of(&beta)];
        let (fused, moments) = affine(&gamma, &beta).by_batch(x.clone(), valid.clone());
        let (plain, expected) = affine(&gamma, &beta).plain_by_batch(x, valid.clone());
        close("the statistics", moments.clone(), expected);
        compare(&picks, fused.unsqueeze(), plain.unsqueeze());

        // A leaf belongs to the graph that has been gone through.
        let (x, gamma, beta) = start();
        let picks = [of(&x), of(&gamma), of(&beta)];
        let (norm, same) = (affine(&gamma, &beta), affine(&gamma, &beta));
        let fused = norm.by_moments(x.clone(), valid.clone(), moments.clone());
        let plain = same.plain(x, valid, moments);
        compare(&picks, fused.unsqueeze(), plain.unsqueeze());
    }
}
