//! What a fit took and gave, beside the model.

use serde::Serialize;

use super::record::HeldOutScore;
#[cfg(feature = "train")]
use super::train::NetworkReport;

/// What a fit took and gave, beside the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FitReport {
    /// Each modality alone, in closed form, on held-out training samples; empty where there is one.
    pub modalities: Vec<ModalityScore>,
    /// The networks, if any were trained.
    #[cfg(feature = "train")]
    pub network: Option<NetworkReport>,
}

/// How a modality alone does on held-out training samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModalityScore {
    /// `kernels`, `vision` or `language`.
    pub modality: String,
    /// Share of the samples classified correctly.
    pub accuracy: f64,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
}

impl FitReport {
    pub(super) fn alone(&mut self, modality: &str, held_out: &HeldOutScore) {
        self.modalities.push(ModalityScore {
            modality: modality.to_owned(),
            accuracy: held_out.accuracy,
            log_loss: held_out.log_loss,
        });
    }
}
