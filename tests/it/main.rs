//! All integration tests in one binary: every further one would link Burn again.

mod augmentation;
#[cfg(feature = "builtin")]
mod builtin_networks;
mod cache_contract;
mod child;
mod classifier_file;
mod classifier_misfits;
mod classifier_parity;
mod continuing;
mod convolutions_parity;
mod devices;
// Their tests are plain functions of the kind of store: the mark tells clippy that they are tests.
mod device_cache;
#[cfg(test)]
mod disk_faults;
#[cfg(test)]
mod disk_processes;
#[cfg(feature = "report")]
mod documents;
mod downstream;
mod explanations;
mod faults;
mod feature_store;
mod feature_training;
mod fold;
mod frozen;
mod golden_raster;
mod ink_parity;
mod layering;
#[cfg(feature = "builtin")]
mod line_plots;
mod pictures;
mod raster_allocations;
#[cfg(test)]
mod shard_faults;
#[cfg(test)]
mod shard_processes;
#[cfg(test)]
mod shards;
mod stores;
mod support;
mod timesclip;
mod tokenizers;
mod training;
mod uneven;
mod weights_hostile;
mod weights_parity;
mod weights_strict;
