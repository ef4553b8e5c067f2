//! What an epoch adds up, and the seed it starts from.

use super::evaluate::argmax;

/// Sums over the samples of an epoch.
#[derive(Default)]
pub(super) struct EpochSums {
    n: usize,
    right: usize,
    loss: f64,
    contrastive: Option<f64>,
    pub(super) learning_rate: f64,
}

/// Means over the samples of an epoch.
pub(super) struct EpochMeans {
    pub(super) loss: f64,
    pub(super) accuracy: f64,
    pub(super) contrastive: Option<f64>,
    pub(super) learning_rate: f64,
}

impl EpochSums {
    pub(super) fn add(
        &mut self,
        loss: f64,
        contrastive: Option<f64>,
        targets: &[usize],
        logits: &[Vec<f32>],
    ) {
        let n = targets.len();
        self.n += n;
        self.loss += loss * n as f64;
        if let Some(contrastive) = contrastive {
            *self.contrastive.get_or_insert(0.0) += contrastive * n as f64;
        }
        self.right += targets
            .iter()
            .zip(logits)
            .filter(|(t, row)| argmax(row) == **t)
            .count();
    }

    pub(super) fn means(&self) -> EpochMeans {
        let n = self.n as f64;
        EpochMeans {
            loss: self.loss / n,
            accuracy: self.right as f64 / n,
            contrastive: self.contrastive.map(|sum| sum / n),
            learning_rate: self.learning_rate,
        }
    }
}

/// A seed for one epoch of a run; neighboring seeds and epochs give unrelated values.
pub(super) fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    // SplitMix64's increment and finalizer (Steele, Lea, Flood 2014).
    let mut z = seed.wrapping_add((epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
