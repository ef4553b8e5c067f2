//! Numbers of curves, a matrix a curve.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// Matrices of one shape, one after the other.
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    pub(crate) shape: [usize; 2],
}

impl Rows {
    /// Those of some curves, `[curves, rows, columns]`.
    pub(crate) fn take<B: Backend>(&self, curves: &[usize], device: &B::Device) -> Tensor<B, 3> {
        let [rows, columns] = self.shape;
        let width = rows * columns;
        let taken = curves
            .iter()
            .flat_map(|index| &self.values[index * width..][..width]);
        let taken: Vec<f32> = taken.copied().collect();
        Tensor::from_data(
            TensorData::new(taken, [curves.len(), rows, columns]),
            device,
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / (self.shape[0] * self.shape[1])
    }
}
