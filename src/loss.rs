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
    /// # Shapes
    /// - vision, language: `[batch, n_variates, d_model]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the shapes of the two views differ.
    pub fn forward<B: Backend>(&self, vision: Tensor<B, 3>, language: Tensor<B, 3>) -> Tensor<B, 1> {
        let (seen, read) = (vision.dims(), language.dims());
        assert_eq!(seen, read, "views of different shapes: {seen:?} and {read:?}");
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
        let squared_norm = x.clone().powi_scalar(2).sum_dim(2).clamp_min(MIN_SQUARED_NORM);
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
            return Some(format!("a contrastive weight of {weight} is not a number from zero up"));
        }
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Some(format!("a temperature of {temperature} is not a positive number"));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Some(format!("a label smoothing of {} is outside 0..1", self.label_smoothing));
        }
        match &self.class_weights {
            Some(weights) if weights.len() != n_classes => {
                Some(format!("{} class weights for {n_classes} classes", weights.len()))
            }
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
        LossParts { total, classification, contrastive }
    }
}

/// The loss of a batch, whole and in parts; each `[1]`.
#[derive(Clone, Debug)]
pub struct LossParts<B: Backend> {
    /// What is minimised.
    pub total: Tensor<B, 1>,
    /// Cross-entropy.
    pub classification: Tensor<B, 1>,
    /// InfoNCE before its weight; `None` without two views or with a weight of zero.
    pub contrastive: Option<Tensor<B, 1>>,
}
