//! The training loss: cross-entropy on the classes, InfoNCE between the two views.

use burn::config::Config;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// Squared norms below this count as this: keeps the gradient of a zero embedding finite.
const MIN_SQUARED_NORM: f32 = 1e-24;

/// What of a sample is matched with its other view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// The mean over the variates, as the reference does by default.
    Mean,
    /// Every variate by itself; the loss is the mean over the variates.
    PerVariate,
    /// All variates, one after the other.
    Concat,
}

/// Symmetric InfoNCE between the pictures and the values of a batch.
///
/// # Formula
/// ```text
/// s_ij = <v_i, l_j> / (|v_i| |l_j| temperature)
/// loss = -1/2B * sum_i (log softmax_j(s_ij)_i + log softmax_j(s_ji)_i)
/// ```
///
/// # Source
/// CLIP (arXiv:2103.00020, figure 3); temperature 0.07 as the reference. Classes are not looked
/// at: two samples of one class still count as each other's negatives.
#[derive(Config, Debug)]
pub struct InfoNceLoss {
    /// Divides the cosine similarities.
    #[config(default = 0.07)]
    pub temperature: f64,
    /// What is matched.
    #[config(default = "Alignment::Mean")]
    pub alignment: Alignment,
}

impl InfoNceLoss {
    /// Compares two views of a batch; row `i` of one belongs to row `i` of the other.
    ///
    /// A language branch that reads all variates together has one embedding of them, which goes with
    /// the picture of each.
    ///
    /// # Shapes
    /// - vision: `[batch, n_variates, d_model]`
    /// - language: the same, or `[batch, 1, d_model]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the shapes of the two views differ.
    pub fn forward<B: Backend>(
        &self,
        vision: Tensor<B, 3>,
        language: Tensor<B, 3>,
    ) -> Tensor<B, 1> {
        let language = match (self.alignment, language.dims()) {
            (Alignment::PerVariate | Alignment::Concat, [batch, 1, width]) => {
                language.expand([batch, vision.dims()[1], width])
            }
            _ => language,
        };
        let [seen, read] = [&vision, &language].map(|view| {
            let [batch, n, width] = view.dims();
            let n = if self.alignment == Alignment::Mean {
                1
            } else {
                n
            };
            [batch, n, width]
        });
        assert_eq!(
            seen, read,
            "views of different shapes: {seen:?} and {read:?}"
        );
        let vision = self.groups(vision);
        let language = self.groups(language);
        let [groups, batch, _] = vision.dims();
        let similar = vision.matmul(language.swap_dims(1, 2)) / self.temperature;
        let matched = Tensor::<B, 2>::eye(batch, &similar.device()).unsqueeze::<3>();
        let forth = (log_softmax(similar.clone(), 2) * matched.clone()).sum();
        let back = (log_softmax(similar, 1) * matched).sum();
        (forth + back) / (-2.0 * (groups * batch) as f64)
    }

    /// `[batch, n_variates, d_model]` -> unit vectors `[groups, batch, width]`
    fn groups<B: Backend>(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = match self.alignment {
            Alignment::Mean => x.mean_dim(1).swap_dims(0, 1),
            Alignment::PerVariate => x.swap_dims(0, 1),
            Alignment::Concat => x.flatten::<2>(1, 2).unsqueeze(),
        };
        let squared_norm = x
            .clone()
            .powi_scalar(2)
            .sum_dim(2)
            .clamp_min(MIN_SQUARED_NORM);
        x / squared_norm.sqrt()
    }
}

/// Cross-entropy plus a share of InfoNCE.
#[derive(Config, Debug)]
pub struct TimesClipLoss {
    /// Weight of InfoNCE in the total. Zero leaves it out.
    #[config(default = 0.1)]
    pub contrastive_weight: f64,
    /// InfoNCE.
    #[config(default = "InfoNceLoss::new()")]
    pub contrastive: InfoNceLoss,
    /// Share of the target probability that is spread over all classes.
    #[config(default = 0.0)]
    pub label_smoothing: f32,
    /// Weight of each class, all positive; `None` weighs samples alike.
    pub class_weights: Option<Vec<f32>>,
}

impl TimesClipLoss {
    /// Says what is wrong with this configuration, if anything.
    pub(crate) fn problem(&self, n_classes: usize) -> Option<String> {
        let weight = self.contrastive_weight;
        let temperature = self.contrastive.temperature;
        if !(weight >= 0.0 && weight.is_finite()) {
            return Some(format!(
                "a contrastive weight of {weight} is not a number from zero up"
            ));
        }
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Some(format!(
                "a temperature of {temperature} is not a positive number"
            ));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Some(format!(
                "a label smoothing of {} is outside 0..1",
                self.label_smoothing
            ));
        }
        match &self.class_weights {
            Some(weights) if weights.len() != n_classes => Some(format!(
                "{} class weights for {n_classes} classes",
                weights.len()
            )),
            Some(weights) if !weights.iter().all(|w| *w > 0.0 && w.is_finite()) => {
                Some("a class weight is not a positive number".to_owned())
            }
            _ => None,
        }
    }

    /// Computes the parts and their weighted total.
    ///
    /// # Shapes
    /// - logits: `[batch, n_classes]`
    /// - targets: `[batch]`
    /// - views: vision and language embeddings, `[batch, n_variates, d_model]` each, where the
    ///   model has both
    pub fn forward<B: Backend>(
        &self,
        logits: Tensor<B, 2>,
        targets: Tensor<B, 1, Int>,
        views: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    ) -> LossParts<B> {
        let smoothing = (self.label_smoothing > 0.0).then_some(self.label_smoothing);
        let classification = CrossEntropyLossConfig::new()
            .with_smoothing(smoothing)
            .with_weights(self.class_weights.clone())
            .init(&logits.device())
            .forward(logits, targets);
        let contrastive = views
            .filter(|_| self.contrastive_weight > 0.0)
            .map(|(vision, language)| self.contrastive.forward(vision, language));
        let total = match &contrastive {
            Some(contrastive) => {
                classification.clone() + contrastive.clone() * self.contrastive_weight
            }
            None => classification.clone(),
        };
        LossParts {
            total,
            classification,
            contrastive,
        }
    }
}

/// The loss of a batch, whole and in parts; each `[1]`.
#[derive(Clone, Debug)]
pub struct LossParts<B: Backend> {
    /// What is minimized.
    pub total: Tensor<B, 1>,
    /// Cross-entropy.
    pub classification: Tensor<B, 1>,
    /// InfoNCE before its weight; `None` without two views or with a weight of zero.
    pub contrastive: Option<Tensor<B, 1>>,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    type Cpu = burn_flex::Flex;

    /// Single precision sums over a few hundred terms.
    const TOLERANCE: f32 = 1e-5;

    fn views(batch: usize) -> (Tensor<Cpu, 3>, Tensor<Cpu, 3>) {
        let device = Default::default();
        let draw = || Tensor::random([batch, 3, 8], Distribution::Normal(0.0, 1.0), &device);
        (draw(), draw())
    }

    #[test]
    fn info_nce_is_symmetric_in_its_views() {
        for alignment in [Alignment::Mean, Alignment::PerVariate, Alignment::Concat] {
            let (vision, language) = views(5);
            let loss = InfoNceLoss::new().with_alignment(alignment);
            let one = loss.forward(vision.clone(), language.clone()).into_scalar();
            let other = loss.forward(language, vision).into_scalar();
            assert!(
                (one - other).abs() < TOLERANCE,
                "{alignment:?}: {one} and {other}"
            );
        }
    }

    #[test]
    fn info_nce_of_views_that_all_look_alike_is_the_logarithm_of_the_batch() {
        let ones = Tensor::<Cpu, 3>::ones([7, 2, 4], &Default::default());
        let loss = InfoNceLoss::new().forward(ones.clone(), ones).into_scalar();
        assert!((loss - 7f32.ln()).abs() < TOLERANCE, "{loss}");
    }

    #[test]
    fn info_nce_of_equal_views_is_below_that_of_unrelated_ones_and_of_zeros_is_finite() {
        let (vision, language) = views(6);
        let loss = InfoNceLoss::new();
        let equal = loss.forward(vision.clone(), vision.clone()).into_scalar();
        let unrelated = loss.forward(vision.clone(), language).into_scalar();
        assert!(equal < unrelated, "{equal} is not below {unrelated}");
        let zeros = loss.forward(vision.zeros_like(), vision).into_scalar();
        assert!(zeros.is_finite(), "{zeros}");
    }

    #[test]
    fn total_is_the_weighted_sum_and_a_weight_of_zero_leaves_info_nce_out() {
        let device = Default::default();
        let logits = Tensor::<Cpu, 2>::from_floats([[1.0, 0.0], [0.5, 2.0]], &device);
        let targets = Tensor::<Cpu, 1, Int>::from_ints([0, 1], &device);
        let loss = TimesClipLoss::new().with_contrastive_weight(0.3);
        let parts = loss.forward(logits.clone(), targets.clone(), Some(views(2)));
        let contrastive = parts.contrastive.unwrap().into_scalar();
        let expected = parts.classification.into_scalar() + 0.3 * contrastive;
        let total = parts.total.into_scalar();
        assert!(
            (total - expected).abs() < TOLERANCE,
            "{total} is not {expected}"
        );
        let loss = TimesClipLoss::new().with_contrastive_weight(0.0);
        assert!(
            loss.forward(logits, targets, Some(views(2)))
                .contrastive
                .is_none()
        );
    }

    #[test]
    fn class_weights_weigh_the_samples_of_their_class() {
        let device = Default::default();
        let logits = || Tensor::<Cpu, 2>::from_floats([[0.0, 1.0], [2.0, 0.0]], &device);
        let targets = || Tensor::<Cpu, 1, Int>::from_ints([0, 1], &device);
        let loss = |weights: Option<Vec<f32>>| {
            let loss = TimesClipLoss::new().with_class_weights(weights);
            let total = loss.forward(logits(), targets(), None).total;
            f64::from(total.into_scalar())
        };
        // Cross-entropies by hand: log(1 + e) and log(1 + e^2).
        let [first, second] = [1f64.exp().ln_1p(), 2f64.exp().ln_1p()];
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
        };
        close(loss(None), (first + second) / 2.0);
        close(loss(Some(vec![3.0, 1.0])), (3.0 * first + second) / 4.0);
        close(loss(Some(vec![1.0, 3.0])), (first + 3.0 * second) / 4.0);
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = TimesClipLoss::new();
        assert_eq!(good.problem(3), None);
        for bad in [
            good.clone().with_contrastive_weight(f64::NAN),
            good.clone()
                .with_contrastive(InfoNceLoss::new().with_temperature(0.0)),
            good.clone().with_label_smoothing(1.0),
            good.clone().with_class_weights(Some(vec![1.0, 2.0])),
            good.clone().with_class_weights(Some(vec![1.0, 0.0, 2.0])),
        ] {
            assert!(bad.problem(3).is_some(), "{bad} is accepted");
        }
    }
}
