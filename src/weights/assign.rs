//! Puts the tensors of a tower into a module, all of them or none.
//!
//! The modules' fields are named as Hugging Face names its tensors, so that the path of a field is
//! the name of its tensor. What differs is said here: Burn's layer norm has `gamma` and `beta` for
//! `weight` and `bias`, and its linear layer stores the transposed matrix.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::architecture::Tower;
use super::checkpoint::{Checkpoint, HostTensor};
use super::error::{TensorProblem, WeightsError};
use super::positions;

/// The only tensor whose shape depends on the size of the pictures.
const POSITIONS: &str = "embeddings.position_embedding.weight";
/// Side of the tiles in which a matrix is transposed: two of them fit into a first-level cache.
const TILE: usize = 32;

/// A tower in a checkpoint.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) tower: Tower,
    /// Whether the other tower is there as well.
    pub(super) whole: bool,
    /// What the names of its tensors start with.
    pub(super) prefix: String,
    pub(super) resize: Option<Resize>,
}

/// Sides of the grids of patches: the checkpoint's, and the module's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resize {
    pub(super) old: usize,
    pub(super) new: usize,
}

impl Source<'_> {
    /// Whether a tensor that the module does not have may be in its checkpoint.
    fn is_known(&self, name: &str) -> bool {
        let (other, ignored): (_, &[&str]) = match self.tower {
            Tower::Vision => ("text_model.", &["embeddings.position_ids"]),
            Tower::Text => (
                "vision_model.",
                &[
                    "embeddings.position_ids",
                    "embeddings.token_embedding.weight",
                    POSITIONS,
                ],
            ),
        };
        let own = name.strip_prefix(self.prefix.as_str());
        own.is_some_and(|own| ignored.contains(&own))
            || [
                "logit_scale",
                "visual_projection.weight",
                "text_projection.weight",
            ]
            .contains(&name)
            || (self.whole && name.starts_with(other))
    }

    /// All that is wrong with the tensors, for these fields.
    fn problems(&self, fields: &[Field]) -> Vec<TensorProblem> {
        let needed = fields.iter().filter_map(|field| {
            let (name, expected) = (field.name.clone(), self.file_shape(field));
            let Some(found) = self.checkpoint.entry(&name) else {
                return Some(TensorProblem::Missing { name, expected });
            };
            if found.shape != expected {
                let found = found.shape.clone();
                return Some(TensorProblem::Shape {
                    name,
                    found,
                    expected,
                });
            }
            let found = found.dtype.size().is_none().then(|| found.dtype.name());
            let found = found?.to_owned();
            Some(TensorProblem::Type { name, found })
        });
        let used: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let unused = self.checkpoint.tensor_names().filter_map(|name| {
            let unused = !used.contains(name) && !self.is_known(name);
            let entry = self.checkpoint.entry(name).filter(|_| unused)?;
            Some(TensorProblem::Unused {
                name: name.to_owned(),
                found: entry.shape.clone(),
            })
        });
        needed.chain(unused).collect()
    }

    /// The shape of a field's tensor in the file.
    fn file_shape(&self, field: &Field) -> Vec<usize> {
        let mut shape = field.shape.clone();
        if field.transposed {
            shape.reverse();
        }
        if let Some(resize) = self.resize.filter(|_| field.is_positions) {
            shape[0] = 1 + resize.old * resize.old;
        }
        shape
    }

    /// The values of a field.
    fn read(&self, field: &Field) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.checkpoint.tensor(&field.name)?;
        let HostTensor { shape, values } = tensor.expect("the plan was checked: it is there");
        Ok(match (self.resize, shape.as_slice()) {
            (Some(Resize { old, new }), [_, d_model]) if field.is_positions => {
                positions::resize(&values, *d_model, old, new)
            }
            (_, &[rows, columns]) if field.transposed => transpose(&values, rows, columns),
            _ => values,
        })
    }
}

/// Loads every weight of `module`.
pub(super) fn load<B: Backend, M: Module<B>>(
    source: Source<'_>,
    module: M,
) -> Result<M, WeightsError> {
    let mut fields = Fields {
        prefix: source.prefix.clone(),
        ..Fields::default()
    };
    module.visit(&mut fields);
    let fields = fields.found;
    let problems = source.problems(&fields);
    if !problems.is_empty() {
        return Err(WeightsError::Tensors {
            path: source.checkpoint.path().to_owned(),
            problems,
        });
    }
    let mut assign = Assign {
        source,
        fields: fields.into_iter().map(|field| (field.id, field)).collect(),
        failed: None,
    };
    let module = module.map(&mut assign);
    assign.failed.map_or(Ok(module), Err)
}

/// A weight of a module.
#[derive(Debug)]
struct Field {
    id: ParamId,
    /// Name of its tensor.
    name: String,
    /// Its shape in the module.
    shape: Vec<usize>,
    /// Whether the tensor has the two dimensions the other way round.
    transposed: bool,
    is_positions: bool,
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
        if let (Some(last), "Struct:LayerNorm") = (path.last_mut(), self.container.as_str()) {
            let name = match last.as_str() {
                "gamma" => "weight",
                _ => "bias",
            };
            name.clone_into(last);
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

/// Puts what is read into the place of every weight; stops at the first error.
struct Assign<'a> {
    source: Source<'a>,
    fields: HashMap<ParamId, Field>,
    failed: Option<WeightsError>,
}

impl<B: Backend> ModuleMapper<B> for Assign<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let field = self.fields.get(&param.id).filter(|_| self.failed.is_none());
        let Some(field) = field else {
            return param;
        };
        match self.source.read(field) {
            Ok(values) => {
                let data = TensorData::new(values, field.shape.clone());
                let tensor = Tensor::from_data(data, &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.failed = Some(error);
                param
            }
        }
    }
}

/// `[rows, columns]` -> `[columns, rows]`, tile by tile.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut transposed = vec![0.0; values.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..rows.min(top + TILE) {
                for column in left..columns.min(left + TILE) {
                    transposed[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_matrix_has_rows_for_columns() {
        let (rows, columns) = (TILE + 3, 2 * TILE + 1);
        let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let transposed = transpose(&values, rows, columns);
        assert_eq!(transposed[1], values[columns]);
        assert_eq!(transpose(&transposed, columns, rows), values);
    }
}
