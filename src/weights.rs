//! Pretrained encoders, CLIP and ViT checkpoints in the layout of Hugging Face; and classifiers as
//! safetensors, out and back.
//!
//! A [`Checkpoint`] is what a user downloads: `config.json` and the tensors beside it, in
//! `model.safetensors`, in shards with an index, or in `pytorch_model.bin`; a whole CLIP or one of
//! its towers. The architecture is read from `config.json` and never guessed, and every tensor has
//! its place or is named in an error.
//!
//! # Examples
//! ```no_run
//! # #[cfg(feature = "cpu")] {
//! use timesclip::weights::Checkpoint;
//!
//! let checkpoint = Checkpoint::open("clip-vit-base-patch16")?;
//! let mut config = checkpoint.vision_config()?;
//! config.side_px = 192; // the positions are resized
//! let encoder = checkpoint.load_vision::<burn_flex::Flex>(&config, &Default::default())?;
//! let expects = checkpoint.pixel_norm()?;
//! # }
//! # Ok::<(), timesclip::weights::WeightsError>(())
//! ```
//!
//! A whole classifier is saved by [`save_classifier`] and loaded by
//! [`Checkpoint::load_classifier`]; between the two, any program may read or change it.
//!
//! # Safety of files
//!
//! Files come from strangers. Descriptions are bounded, places are checked against the length of
//! the file before anything is read there, memory is reserved for what a file holds and never for
//! what it claims, and no recursion follows a file's nesting. Pickles run nothing: their reader
//! knows the few instructions and names of a dictionary of tensors, and refuses all others.
//! Tensors are read one by one, so that no file is held twice.
//!
//! # Loaded weights and training
//!
//! A weight that is loaded on a backend with autodiff takes gradients. On one without, Burn 0.21
//! forgets that it may; a model that is moved to autodiff later must be told which weights learn.

mod agreement;
mod architecture;
mod assign;
#[cfg(feature = "builtin")]
pub mod builtin;
mod checkpoint;
mod classifier;
mod encoder;
mod error;
mod fields;
mod file;
pub mod hub;
mod pixels;
mod positions;
mod safetensors;
mod save;
mod settings;
mod tensors;
mod torch;

pub use checkpoint::{Checkpoint, HostTensor};
pub use encoder::{save_reading, save_vision};
pub use error::{TensorProblem, WeightsError};
pub use pixels::PixelNorm;
pub use save::save_classifier;
pub(crate) use save::{
    NamedTensor, ensemble_tensors, vision_tensors, without_known, write_tensors,
};
