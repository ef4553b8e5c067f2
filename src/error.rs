//! One error for programs that do not care which part failed.

use thiserror::Error;

/// Any error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Series that cannot be.
    #[error(transparent)]
    Series(#[from] crate::data::SeriesError),
    /// A file of series.
    #[error(transparent)]
    Read(#[from] crate::data::ReadError),
    /// A split into training, validation and test samples.
    #[error(transparent)]
    Split(#[from] crate::data::split::SplitError),
    /// Views of series.
    #[error(transparent)]
    Augment(#[from] crate::data::augment::AugmentError),
    /// Normalization.
    #[error(transparent)]
    Normalize(#[from] crate::data::normalize::NormalizeError),
    /// Convolutional kernels.
    #[error(transparent)]
    Kernels(#[from] crate::kernels::KernelError),
    /// A classifier in closed form.
    #[error(transparent)]
    ClosedForm(#[from] crate::closed_form::ClosedFormError),
    /// A style of pictures.
    #[error(transparent)]
    Raster(#[from] crate::raster::RasterError),
    /// An image cache.
    #[error(transparent)]
    Cache(#[from] crate::cache::CacheError),
    /// A store on disk.
    #[error(transparent)]
    Store(#[from] crate::cache::store::StoreError),
    /// Shards of a store.
    #[error(transparent)]
    Shard(#[from] crate::cache::store::ShardError),
    /// A feature store.
    #[error(transparent)]
    Feature(#[from] crate::cache::features::FeatureError),
    /// A batch.
    #[error(transparent)]
    Batch(#[from] crate::batch::BatchError),
    /// A cache on a device.
    #[error(transparent)]
    DeviceCache(#[from] crate::batch::DeviceCacheError),
    /// A classifier's configuration.
    #[error(transparent)]
    Config(#[from] crate::model::ConfigError),
    /// Pretrained weights.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    /// A backend.
    #[error(transparent)]
    Backend(#[from] crate::backend::BackendError),
    /// Weights by name.
    #[error(transparent)]
    Hub(#[from] crate::weights::hub::HubError),
    /// Training.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] crate::train::TrainError),
    /// A checkpoint.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Checkpoint(#[from] crate::train::CheckpointError),
    /// A fit.
    #[error(transparent)]
    Fit(#[from] crate::classifier::FitError),
    /// A prediction.
    #[error(transparent)]
    Predict(#[from] crate::classifier::PredictError),
    /// A model file.
    #[error(transparent)]
    ModelFile(#[from] crate::classifier::ModelFileError),
    /// A run's directory.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
}
