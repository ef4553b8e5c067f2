//! Puts the tensors of a checkpoint into a module, all of them or none.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::architecture::Tower;
use super::checkpoint::{Checkpoint, HostTensor};
use super::error::{TensorProblem, WeightsError};
use super::fields::{Field, POSITIONS};
use super::positions;

/// Side of the tiles in which a matrix is transposed: two of them fit into a first-level cache.
const TILE: usize = 32;

/// A module in a checkpoint.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) part: Part,
    /// What the names of its tensors start with.
    pub(super) prefix: String,
    /// What of it another module of the checkpoint may have in its stead.
    pub(super) shared: Option<Shared>,
    pub(super) resize: Option<Resize>,
}

/// Parts of a module that are in its checkpoint once for several.
#[derive(Debug)]
pub(super) struct Shared {
    /// What the names of the tensors of the modules that may have them start with, the first that has
    /// one taken.
    pub(super) prefixes: Vec<String>,
    /// Parts that may be there alone.
    pub(super) parts: Vec<&'static str>,
}

/// What a module is of its checkpoint, which decides what else may be there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// A tower of a CLIP, and whether the other tower is there as well.
    Tower(Tower, bool),
    /// A classifier: all tensors of its prefix.
    Classifier,
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
        let Part::Tower(tower, whole) = self.part else {
            // Others belong to other parts; PyTorch's batch norm counts the batches that it saw.
            return !name.starts_with(&self.prefix)
                || name.ends_with(".batch_norm.num_batches_tracked");
        };
        let (other, ignored): (_, &[&str]) = match tower {
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
            || (whole && name.starts_with(other))
    }

    /// Refuses a checkpoint that does not hold these fields, or holds what nothing needs.
    fn check(&self, fields: &[Field]) -> Result<(), WeightsError> {
        let problems = self.problems(fields);
        if problems.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Tensors {
            path: self.checkpoint.path().to_owned(),
            problems,
        })
    }

    /// Fills a module, whose fields were [checked](Self::check).
    fn assign<B: Backend, M: Module<B>>(
        &self,
        fields: &[Field],
        module: M,
    ) -> Result<M, WeightsError> {
        let mut assign = Assign {
            source: self,
            fields: fields.iter().map(|field| (field.id, field)).collect(),
            failed: None,
        };
        let module = module.map(&mut assign);
        assign.failed.map_or(Ok(module), Err)
    }

    /// All that is wrong with the tensors, for these fields.
    fn problems(&self, fields: &[Field]) -> Vec<TensorProblem> {
        let needed = fields.iter().filter_map(|field| {
            let (name, expected) = (self.name(field), self.file_shape(field));
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
        let used: BTreeSet<String> = fields.iter().map(|field| self.name(field)).collect();
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

    /// The name of a field's tensor in the file.
    fn name(&self, field: &Field) -> String {
        let own = &field.name;
        if self.checkpoint.entry(own).is_some() {
            return own.clone();
        }
        let elsewhere = |shared: &Shared| {
            let name = own.strip_prefix(self.prefix.as_str())?;
            shared.parts.iter().find(|part| name.starts_with(**part))?;
            let names = shared
                .prefixes
                .iter()
                .map(|prefix| format!("{prefix}{name}"));
            names
                .into_iter()
                .find(|name| self.checkpoint.entry(name).is_some())
        };
        let elsewhere = self.shared.as_ref().and_then(elsewhere);
        elsewhere.unwrap_or_else(|| own.clone())
    }

    /// The shape of a field's tensor in the file.
    fn file_shape(&self, field: &Field) -> Vec<usize> {
        let mut shape = field.file_shape();
        if let Some(resize) = self.resize.filter(|_| field.is_positions) {
            shape[0] = shape[0] - resize.new * resize.new + resize.old * resize.old;
        }
        shape
    }

    /// The values of a field.
    fn read(&self, field: &Field) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.checkpoint.tensor(&self.name(field))?;
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
    let fields = Field::all(&source.prefix, &module);
    source.check(&fields)?;
    source.assign(&fields, module)
}

/// Puts what is read into the place of every weight; stops at the first error.
struct Assign<'a> {
    source: &'a Source<'a>,
    fields: HashMap<ParamId, &'a Field>,
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
