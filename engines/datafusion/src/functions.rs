//! The functions themselves.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float32Array, Float32Builder, ListBuilder, StringBuilder, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use timesclip::{Prediction, Series};

use crate::series::{Layout, Rows};
use crate::{FunctionError, Model, Models};

/// Values of series that are held at once, 64 MB of them, however long the lists are.
const MAX_VALUES: usize = 16 << 20;

/// Makes the functions known to a context, so that its queries can use them.
pub fn register(context: &SessionContext, models: &Arc<Models>) {
    for function in functions(models) {
        context.register_udf(function.as_ref().clone());
    }
}

/// The functions, which find their models in `models`.
pub fn functions(models: &Arc<Models>) -> Vec<Arc<ScalarUDF>> {
    let answers = [Answer::Label, Answer::Probabilities, Answer::Embedding];
    let function = |answer| ModelFunction {
        answer,
        models: Arc::clone(models),
        signature: Signature::variadic_any(Volatility::Immutable),
    };
    let functions = answers.map(|answer| Arc::new(ScalarUDF::from(function(answer))));
    functions.to_vec()
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Label,
    Probabilities,
    Embedding,
}

impl Answer {
    fn function(self) -> &'static str {
        match self {
            Self::Label => "timesclip_predict",
            Self::Probabilities => "timesclip_probabilities",
            Self::Embedding => "timesclip_embed",
        }
    }

    fn data_type(self, model: &Model) -> DataType {
        match self {
            Self::Label => DataType::Utf8,
            Self::Probabilities => DataType::Struct(class_fields(model)),
            Self::Embedding => DataType::new_list(DataType::Float32, true),
        }
    }
}

fn class_fields(model: &Model) -> Fields {
    let names = model.classifier().class_names().iter();
    names
        .map(|name| Field::new(name, DataType::Float32, false))
        .collect()
}

/// A function of a model and of series.
#[derive(Clone, Debug)]
struct ModelFunction {
    answer: Answer,
    models: Arc<Models>,
    signature: Signature,
}

impl PartialEq for ModelFunction {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer && Arc::ptr_eq(&self.models, &other.models)
    }
}

impl Eq for ModelFunction {}

impl Hash for ModelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.hash(state);
    }
}

impl ModelFunction {
    fn function(&self) -> &'static str {
        self.answer.function()
    }

    fn model(&self, argument: Option<&ScalarValue>) -> Result<Arc<Model>, FunctionError> {
        let function = self.function();
        let model = argument.and_then(|value| value.try_as_str()).flatten();
        let model = model.ok_or(FunctionError::ModelArgument { function })?;
        let found = self.models.get(model);
        found.map_err(|source| FunctionError::Model {
            function,
            source: Box::new(source),
        })
    }

    /// The answers to all rows, in their order.
    fn answer(&self, model: &Model, rows: &Rows, n_rows: usize) -> Result<ArrayRef> {
        let mut answers = Answers::new(self.answer, model);
        let mut row = 0;
        while row < n_rows {
            let (mut series, mut present) = (Vec::new(), Vec::new());
            let mut n_values = 0;
            while row < n_rows && n_values < MAX_VALUES {
                let next = rows.series(row).map_err(|source| FunctionError::Series {
                    function: self.function(),
                    model: model.name().to_owned(),
                    row,
                    source: Box::new(source),
                })?;
                n_values += next.as_ref().map_or(0, |series| series.values().len());
                present.push(next.is_some());
                series.extend(next);
                row += 1;
            }
            let answered = answers.extend(model, &series, &present);
            answered.map_err(|source| FunctionError::Predict {
                function: self.function(),
                model: model.name().to_owned(),
                source: Box::new(source),
            })?;
            self.models.count_answers(series.len());
        }
        Ok(answers.finish(model))
    }
}

impl ScalarUDFImpl for ModelFunction {
    fn name(&self) -> &str {
        self.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let problem = "the type depends on the model, ask for return_field_from_args";
        Err(DataFusionError::Internal(problem.to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let model = self.model(args.scalar_arguments.first().copied().flatten())?;
        Layout::of(self.function(), &model, &args.arg_fields[1..])?;
        if self.answer == Answer::Embedding && !model.embeds() {
            return Err(FunctionError::NoEmbedding {
                function: self.function(),
                model: model.name().to_owned(),
            }
            .into());
        }
        let data_type = self.answer.data_type(&model);
        Ok(Arc::new(Field::new(self.function(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let model = match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => self.model(Some(value))?,
            _ => self.model(None)?,
        };
        let layout = Layout::of(self.function(), &model, &args.arg_fields[1..])?;
        let arguments = args.args[1..].iter();
        let arguments = arguments.map(|argument| argument.to_array(args.number_rows));
        let rows = Rows::new(&layout, &arguments.collect::<Result<Vec<_>>>()?)?;
        let answers = self.answer(&model, &rows, args.number_rows)?;
        Ok(ColumnarValue::Array(answers))
    }

    /// Puts path and checksum in the place of a name, so that whoever runs the plan needs no
    /// names, and finds out if another file lies there.
    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(Expr::Literal(value, _)) = args.first() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let pinned = self.model(Some(value))?.pinned();
        let Some(pinned) = pinned.filter(|pinned| value.try_as_str() != Some(Some(pinned))) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        args[0] = Expr::Literal(ScalarValue::Utf8(Some(pinned)), None);
        let call = ScalarUDF::from(self.clone()).call(args);
        Ok(ExprSimplifyResult::Simplified(call))
    }
}

/// A column of answers in the making.
enum Answers {
    Labels(StringBuilder),
    /// By class, and whether there is an answer.
    Probabilities(Vec<Vec<f32>>, Vec<bool>),
    Embeddings(ListBuilder<Float32Builder>),
}

impl Answers {
    fn new(answer: Answer, model: &Model) -> Self {
        let n_classes = model.classifier().class_names().len();
        match answer {
            Answer::Label => Self::Labels(StringBuilder::new()),
            Answer::Probabilities => Self::Probabilities(vec![Vec::new(); n_classes], Vec::new()),
            Answer::Embedding => Self::Embeddings(ListBuilder::new(Float32Builder::new())),
        }
    }

    /// Adds an answer for each entry of `present`, null where there is no series.
    fn extend(
        &mut self,
        model: &Model,
        series: &[Series],
        present: &[bool],
    ) -> Result<(), timesclip::PredictError> {
        let model = model.classifier();
        match self {
            Self::Labels(labels) => {
                let mut next = model.predict(series)?.into_iter();
                labels.extend(present.iter().map(|is| label_if(*is, &mut next)));
            }
            Self::Probabilities(classes, answered) => {
                let mut next = model.predict(series)?.into_iter();
                for &is in present {
                    let answer = if is { next.next() } else { None };
                    for (class, column) in classes.iter_mut().enumerate() {
                        column.push(answer.as_ref().map_or(0.0, |a| a.probabilities[class]));
                    }
                    answered.push(is);
                }
            }
            Self::Embeddings(lists) => {
                let mut next = model.embed(series)?.into_iter();
                for &is in present {
                    let vector = if is { next.next() } else { None };
                    lists.append_option(vector.map(|vector| vector.into_iter().map(Some)));
                }
            }
        }
        Ok(())
    }

    fn finish(self, model: &Model) -> ArrayRef {
        match self {
            Self::Labels(mut labels) => Arc::new(labels.finish()),
            Self::Embeddings(mut lists) => Arc::new(lists.finish()),
            Self::Probabilities(classes, answered) => {
                let column = |values| Arc::new(Float32Array::from(values)) as ArrayRef;
                let columns: Vec<ArrayRef> = classes.into_iter().map(column).collect();
                let nulls = Some(NullBuffer::from(answered));
                Arc::new(StructArray::new(class_fields(model), columns, nulls))
            }
        }
    }
}

fn label_if(present: bool, next: &mut impl Iterator<Item = Prediction>) -> Option<String> {
    match present {
        true => next.next().map(|prediction| prediction.label),
        false => None,
    }
}
