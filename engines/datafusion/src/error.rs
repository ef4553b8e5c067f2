//! Why a model cannot be had, and why a function cannot be planned or run.

use std::io;
use std::path::PathBuf;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use thiserror::Error;
use timesclip::data::SeriesError;
use timesclip::{ModelFileError, PredictError};

/// A model cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// What a query calls a model is neither a name nor a file.
    #[error("there is no model `{model}`: it is no file, and {}", known(.names))]
    Unknown {
        /// What the query says.
        model: String,
        /// The names that are registered.
        names: Vec<String>,
        /// What the system said of the file.
        source: io::Error,
    },
    /// The file is no model, or a damaged one.
    #[error("the model `{model}` cannot be loaded")]
    Load {
        /// What the query says.
        model: String,
        /// What is wrong with the file.
        source: ModelFileError,
    },
    /// The checksum in a model file cannot be read.
    #[error("the checksum of the model {} cannot be read", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not the one that the query was planned with.
    #[error(
        "the model {} has the checksum {found}, and the query was planned with {expected}: another \
         file lies there", path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its checksum.
        found: String,
        /// The checksum of the file that the query was planned with.
        expected: String,
    },
}

fn known(names: &[String]) -> String {
    match names.is_empty() {
        true => "no names are registered".to_owned(),
        false => format!("the names are {}", names.join(", ")),
    }
}

/// A function cannot be planned, or fails on a row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The first argument is not a constant text.
    #[error(
        "the first argument of {function} is the model: a text, and the same for all rows, as in \
         {function}('gesture', acc_x, acc_y)"
    )]
    ModelArgument {
        /// The function.
        function: &'static str,
    },
    /// The model cannot be had.
    #[error("{function} has no model")]
    Model {
        /// The function.
        function: &'static str,
        /// Why not.
        source: Box<ModelError>,
    },
    /// There are not as many variates as the model was fitted to.
    #[error(
        "{function} with the model `{model}` has {found} variates (columns {}), the model was fitted \
         to {expected}{}", columns.join(", "), listed(.names)
    )]
    VariateCount {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
        /// The columns given.
        columns: Vec<String>,
        /// How many they are.
        found: usize,
        /// Variates of the model.
        expected: usize,
        /// Their names, if it has any.
        names: Vec<String>,
    },
    /// The columns are the variates of the model in another order.
    #[error(
        "{function} with the model `{model}` has the columns {}, which the model knows as variates \
         in another order: {}", found.join(", "), expected.join(", ")
    )]
    VariateOrder {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
        /// The columns given.
        found: Vec<String>,
        /// The variates of the model.
        expected: Vec<String>,
    },
    /// A column does not hold lists of numbers.
    #[error(
        "{function} with the model `{model}`: column `{column}` is of type {found}, expected a list \
         of numbers (array_agg makes one of a long table, make_array of columns)"
    )]
    ColumnType {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// The model embeds nothing.
    #[error("{function} with the model `{model}`, which has no encoders and so no embedding")]
    NoEmbedding {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
    },
    /// A row holds no series.
    #[error("{function} with the model `{model}`, row {row} of its batch")]
    Series {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
        /// The row, from 0, in the batch of rows.
        row: usize,
        /// What is wrong with it.
        source: Box<SeriesError>,
    },
    /// The model cannot take the series.
    #[error("{function} with the model `{model}` fails")]
    Predict {
        /// The function.
        function: &'static str,
        /// The model.
        model: String,
        /// Why.
        source: Box<PredictError>,
    },
}

fn listed(names: &[String]) -> String {
    match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", names.join(", ")),
    }
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        Self::External(Box::new(error))
    }
}
