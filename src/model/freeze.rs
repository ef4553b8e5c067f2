//! Which weights of an encoder are frozen.

use burn::module::Module;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::branch::LanguageBranch;
use super::frozen::VisionTower;
use super::transformer::Transformer;
use super::vision::VisionEncoder;

/// Which weights of an encoder are frozen.
///
/// Frozen weights take no gradient and no optimizer state. Gradients still pass through frozen text
/// blocks to the patches or convolutions in front of them; those that make tokens of points are frozen
/// with the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freeze {
    /// None: the whole encoder learns.
    #[default]
    None,
    /// The first so many blocks, and in the vision encoder what precedes them.
    Layers(usize),
    /// All of them. A vision encoder then runs without autodiff, and its outputs can be cached.
    All,
}

impl Freeze {
    /// Says what is wrong with holding these weights of an encoder of `n_layers` blocks, if
    /// anything.
    pub(super) fn problem(self, n_layers: usize) -> Option<String> {
        match self {
            Self::Layers(n) if n == 0 || n > n_layers => Some(format!(
                "the first {n} blocks of an encoder of {n_layers} blocks cannot be frozen"
            )),
            _ => None,
        }
    }

    pub(super) fn freeze_vision<B: Backend>(self, mut encoder: VisionEncoder<B>) -> VisionTower<B> {
        match self {
            Self::None => {}
            Self::Layers(n) => {
                encoder.embeddings = encoder.embeddings.no_grad();
                encoder.pre_layrnorm = encoder.pre_layrnorm.map(Module::no_grad);
                encoder.encoder = freeze_layers(encoder.encoder, n);
            }
            Self::All => return VisionTower::frozen(encoder),
        }
        VisionTower::trained(encoder)
    }

    pub(super) fn freeze_language<B: Backend>(
        self,
        mut branch: LanguageBranch<B>,
    ) -> LanguageBranch<B> {
        let mut text = branch.text_model;
        match self {
            Self::None => {}
            Self::Layers(n) => text.encoder = freeze_layers(text.encoder, n),
            Self::All => text = text.no_grad(),
        }
        branch.text_model = text;
        if self == Self::None {
            return branch;
        }
        // Points were pretrained with the blocks; patches and convolutions never are.
        branch.points = branch.points.map(Module::no_grad);
        branch
    }
}

fn freeze_layers<B: Backend>(transformer: Transformer<B>, n: usize) -> Transformer<B> {
    let layers = transformer.layers.into_iter().enumerate();
    let layers = layers.map(|(i, layer)| if i < n { layer.no_grad() } else { layer });
    Transformer {
        layers: layers.collect(),
    }
}
