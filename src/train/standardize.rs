//! Fitting what standardizes the features of a frozen encoder, before training starts.

use burn::tensor::backend::AutodiffBackend;

use super::loader::for_each_batch;
use super::{TrainError, Trainer};
use crate::model::TimesClipClassifier;

impl<B: AutodiffBackend> Trainer<'_, B> {
    /// The model, standardizing by the features of all training samples if it standardizes.
    ///
    /// Every variate of every sample counts as one. Sums are of doubles and in the order of the
    /// samples, so that features that were cached and features that were not give the same.
    pub(super) fn standardized(
        &self,
        model: Box<TimesClipClassifier<B::InnerBackend>>,
    ) -> Result<Box<TimesClipClassifier<B::InnerBackend>>, TrainError> {
        let standardizes = |model: &TimesClipClassifier<_>| {
            let branch = model.vision.as_ref()?;
            branch.standardize.as_ref().map(|_| ())
        };
        let (Some(branch), Some(())) = (&model.vision, standardizes(&model)) else {
            return Ok(model);
        };
        let mut moments = Moments::default();
        let source = self.data.source;
        for_each_batch(source, self.data.train, self.config.batch_size, |batch| {
            let batch = batch.into_tensors::<B::InnerBackend>(self.device());
            if let Some(vision) = batch.input.vision {
                let features = branch.features(vision);
                let [_, _, width] = features.dims();
                let values: Vec<f32> = features.into_data().iter::<f32>().collect();
                values.chunks(width).for_each(|row| moments.add(row));
            }
            Ok::<(), TrainError>(())
        })?;
        let (mean, std) = moments.finish();
        Ok(Box::new(model.with_standardized(&mean, &std)))
    }
}

/// Sums of features and of their squares, shifted by the first row so that little cancels.
#[derive(Default)]
struct Moments {
    n: usize,
    shift: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn add(&mut self, row: &[f32]) {
        if self.n == 0 {
            self.shift = row.iter().map(|value| f64::from(*value)).collect();
            self.sums = vec![0.0; row.len()];
            self.squares = vec![0.0; row.len()];
        }
        self.n += 1;
        let sums = self.sums.iter_mut().zip(&mut self.squares);
        for ((value, shift), (sum, square)) in row.iter().zip(&self.shift).zip(sums) {
            let difference = f64::from(*value) - shift;
            *sum += difference;
            *square += difference * difference;
        }
    }

    /// Mean and (biased) standard deviation of every feature.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "features are of single precision"
    )]
    fn finish(self) -> (Vec<f32>, Vec<f32>) {
        let n = self.n.max(1) as f64;
        let all = self.shift.iter().zip(self.sums.iter().zip(&self.squares));
        all.map(|(shift, (sum, square))| {
            let mean = sum / n;
            let variance = (square / n - mean * mean).max(0.0);
            ((shift + mean) as f32, variance.sqrt() as f32)
        })
        .unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_columns() {
        let mut moments = Moments::default();
        for row in [[1e4, 1.0], [1e4, 3.0], [1e4, 2.0], [1e4, 2.0]] {
            moments.add(&row);
        }
        let (mean, std) = moments.finish();
        assert_eq!(mean, [1e4, 2.0]);
        assert_eq!(std, [0.0, 0.5_f32.sqrt()]);
    }
}
