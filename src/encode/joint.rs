//! Series in the space that the small encoders share: near by values, near by pictures, or one by the
//! other.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::line_plots::{PlotAxes, PlotReader, PlotSeer};
use crate::data::Series;
use crate::model::{JointSpace, ReadingEncoder, VisionEncoder};
use crate::raster::RasterError;

/// Variates that are taken to the space at a time.
const AT_ONCE: usize = 1024;

/// Places series in the space in which a line plot is near the values that it shows.
///
/// Distances are cosines: rows have length 1, so that the likeness of two series is the dot product
/// of their rows, the mean over their variates.
///
/// # Examples
/// ```
/// # #[cfg(all(feature = "cpu", feature = "builtin"))] {
/// use timesclip::curves::CurveGenerator;
/// use timesclip::encode::{JointEncoder, PlotAxes};
/// use timesclip::weights::builtin;
///
/// let device = Default::default();
/// let vision = builtin::vision::<burn_flex::Flex>(&device);
/// let joint = JointEncoder::new(vision, builtin::reading(&device), &device);
/// let joint = joint.expect("the encoders in the crate share a space");
///
/// let set = CurveGenerator::new(1).labeled_set(4, 2)?; // 4 samples of 2 variates
/// let series: Vec<_> = set.samples().iter().map(|sample| &sample.series).collect();
/// let axes = PlotAxes::fit(&series);
/// let (values, pictures) = (joint.of_values(&axes, &series)?, joint.of_pictures(&axes, &series)?);
/// let likeness: f32 = values[..2 * joint.width()].iter().zip(&pictures).map(|(a, b)| a * b).sum();
/// assert!(likeness > 0.0);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JointEncoder<B: Backend> {
    seer: PlotSeer<B>,
    reader: PlotReader<B>,
    space: JointSpace<B>,
    device: B::Device,
}

impl<B: Backend> JointEncoder<B> {
    /// A pair of encoders; `None` if they were not trained to meet.
    pub fn new(
        vision: VisionEncoder<B>,
        reading: ReadingEncoder<B>,
        device: &B::Device,
    ) -> Option<Self> {
        Some(Self {
            space: reading.joint.clone()?,
            seer: PlotSeer::new(vision, device),
            reader: PlotReader::new(reading, device),
            device: device.clone(),
        })
    }

    /// Numbers of a variate.
    pub fn width(&self) -> usize {
        let [columns, d_model] = self.space.center.dims();
        columns * d_model
    }

    /// Where the values of series are, `[series, n_variates * width]`, rows of length 1.
    ///
    /// # Errors
    /// [`RasterError`] if the axes are none.
    ///
    /// # Panics
    /// If the series and the axes differ in their number of variates.
    pub fn of_values(&self, axes: &PlotAxes, series: &[&Series]) -> Result<Vec<f32>, RasterError> {
        let read = self.reader.features(axes, series)?;
        let [_, d_model] = self.space.center.dims();
        let width = self.reader.width();
        Ok(self.rows(axes, &read, width, |rows| {
            let n = rows.dims()[0];
            self.space
                .of_values(rows.reshape([n, width / d_model, d_model]))
        }))
    }

    /// Where the line plots of series are; otherwise as [`of_values`](Self::of_values).
    ///
    /// # Errors
    /// [`RasterError`] if the axes are none.
    ///
    /// # Panics
    /// If the series and the axes differ in their number of variates.
    pub fn of_pictures(
        &self,
        axes: &PlotAxes,
        series: &[&Series],
    ) -> Result<Vec<f32>, RasterError> {
        let seen = self.seer.features(axes, series)?;
        let width = self.seer.width();
        Ok(self.rows(axes, &seen, width, |rows| self.space.of_pictures(rows)))
    }

    /// Takes every variate's features to the space, and gives each series the length 1.
    fn rows(
        &self,
        axes: &PlotAxes,
        features: &[f32],
        width: usize,
        place: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>,
    ) -> Vec<f32> {
        let scale = (axes.n_variates() as f64).powf(-0.5);
        let parts = features.chunks(AT_ONCE * width).flat_map(|part| {
            let part = TensorData::new(part.to_vec(), [part.len() / width, width]);
            let placed = place(Tensor::from_data(part, &self.device)) * scale;
            placed.into_data().iter::<f32>().collect::<Vec<_>>()
        });
        parts.collect()
    }
}
