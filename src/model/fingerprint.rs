//! A hash of a vision encoder: its weights, and what else decides its numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use xxhash_rust::xxh3::Xxh3;

use super::vision::VisionEncoder;

/// Hashes every weight with its place, its shape and its precision, and the settings without
/// weights: heads, activation, epsilons, tap. Not meant against a forger.
pub(super) fn fingerprint<B: Backend>(encoder: &VisionEncoder<B>) -> u128 {
    let mut hash = WeightHash {
        hash: Xxh3::new(),
        path: Vec::new(),
    };
    hash.hash
        .update(format!("{:?}", encoder.config()).as_bytes());
    encoder.visit(&mut hash);
    hash.hash.digest128()
}

struct WeightHash {
    hash: Xxh3,
    path: Vec<String>,
}

impl<B: Backend> ModuleVisitor<B> for WeightHash {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let data = param.val().into_data();
        let place = format!(
            "{} {:?} {:?}",
            self.path.join("."),
            data.shape.as_slice(),
            data.dtype
        );
        self.hash.update(place.as_bytes());
        self.hash.update(data.as_bytes());
    }
}
