//! The weights of a module under the names, and in the layouts, that they have in files.
//!
//! The modules' fields are named as Hugging Face names its tensors, so that the path of a field is
//! the name of its tensor. What differs is said here: Burn's norms have `gamma` and `beta` for
//! `weight` and `bias`, and its linear layer stores the transposed matrix.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The only tensor whose shape depends on the size of the pictures.
pub(super) const POSITIONS: &str = "embeddings.position_embedding.weight";
/// Modules with `gamma` and `beta`.
const NORMS: [&str; 2] = ["Struct:LayerNorm", "Struct:BatchNorm"];

/// A weight of a module.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) id: ParamId,
    /// Name of its tensor.
    pub(super) name: String,
    /// Its shape in the module.
    pub(super) shape: Vec<usize>,
    /// Whether the tensor has the two dimensions the other way round.
    pub(super) transposed: bool,
    pub(super) is_positions: bool,
}

impl Field {
    /// The weights of a module, whose names start with `prefix`; none of them is drawn.
    pub(super) fn all<B: Backend>(prefix: &str, module: &impl Module<B>) -> Vec<Self> {
        let mut fields = Fields {
            prefix: prefix.to_owned(),
            ..Fields::default()
        };
        module.visit(&mut fields);
        fields.found
    }

    /// The shape of its tensor in a file, where the positions are those of the module.
    pub(super) fn file_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.transposed {
            shape.reverse();
        }
        shape
    }
}

/// Collects the weights of a module without drawing them.
#[derive(Default)]
struct Fields {
    prefix: String,
    /// Names of the fields that lead to a weight.
    path: Vec<String>,
    /// Type of what the last of them is a field of.
    container: String,
    found: Vec<Field>,
}

impl<B: Backend> ModuleVisitor<B> for Fields {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        container.clone_into(&mut self.container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let mut path = self.path.clone();
        let is_norm = NORMS.contains(&self.container.as_str());
        if let Some(last) = path.last_mut().filter(|_| is_norm) {
            match last.as_str() {
                "gamma" => "weight".clone_into(last),
                "beta" => "bias".clone_into(last),
                _ => {}
            }
        }
        let name = path.join(".");
        self.found.push(Field {
            id: param.id,
            shape: param.lazy_shape().to_vec(),
            transposed: self.container == "Struct:Linear" && D == 2,
            is_positions: name == POSITIONS,
            name: format!("{}{name}", self.prefix),
        });
    }
}
