//! From columns of lists to series.

use std::ops::Range;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, GenericListArray, OffsetSizeTrait,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float32Type};
use datafusion::error::{DataFusionError, Result};
use timesclip::Series;
use timesclip::data::SeriesError;

use crate::{FunctionError, Model};

/// Where the variates of a model are among the arguments of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A column of lists for each variate, in their order.
    Columns,
    /// One struct, whose fields of these numbers are the variates in their order.
    Struct(Vec<usize>),
}

impl Layout {
    /// Finds the variates of `model` among the columns `fields`.
    pub(crate) fn of(
        function: &'static str,
        model: &Model,
        fields: &[FieldRef],
    ) -> Result<Self, FunctionError> {
        if let [field] = fields
            && let DataType::Struct(inner) = field.data_type()
        {
            let inner: Vec<FieldRef> = inner.iter().cloned().collect();
            let order = by_name(model, &inner).unwrap_or_else(|| (0..inner.len()).collect());
            let chosen: Vec<FieldRef> = order.iter().map(|&i| inner[i].clone()).collect();
            check(function, model, &chosen)?;
            return Ok(Self::Struct(order));
        }
        check(function, model, fields)?;
        let found: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let expected = &model.classifier().schema().variates;
        let same_names = by_name(model, fields).is_some();
        if same_names && found != *expected {
            return Err(FunctionError::VariateOrder {
                function,
                model: model.name().to_owned(),
                found,
                expected: expected.clone(),
            });
        }
        Ok(Self::Columns)
    }

    /// The lists of each variate.
    fn variates(&self, arguments: &[ArrayRef]) -> Result<Vec<Lists>> {
        match self {
            Self::Columns => arguments.iter().map(Lists::of).collect(),
            Self::Struct(order) => {
                let whole = arguments[0].as_struct();
                let columns = order.iter().map(|&i| {
                    let mut lists = Lists::of(whole.column(i))?;
                    lists.nulls = NullBuffer::union(lists.nulls.as_ref(), whole.nulls());
                    Ok(lists)
                });
                columns.collect()
            }
        }
    }
}

/// Numbers of the fields that are the variates of a model by name, if it has names and all are
/// there.
fn by_name(model: &Model, fields: &[FieldRef]) -> Option<Vec<usize>> {
    let names = &model.classifier().schema().variates;
    let position = |name: &String| fields.iter().position(|field| field.name() == name);
    let order: Option<Vec<usize>> = names.iter().map(position).collect();
    order.filter(|order| !order.is_empty())
}

/// Refuses another number of variates than the model has, and columns of other types.
fn check(function: &'static str, model: &Model, fields: &[FieldRef]) -> Result<(), FunctionError> {
    let (found, expected) = (fields.len(), model.classifier().n_variates());
    if found != expected {
        return Err(FunctionError::VariateCount {
            function,
            model: model.name().to_owned(),
            columns: fields.iter().map(|field| field.name().clone()).collect(),
            found,
            expected,
            names: model.classifier().schema().variates.clone(),
        });
    }
    match fields.iter().find(|field| !is_lists(field.data_type())) {
        None => Ok(()),
        Some(field) => Err(FunctionError::ColumnType {
            function,
            model: model.name().to_owned(),
            column: field.name().clone(),
            found: field.data_type().clone(),
        }),
    }
}

fn is_lists(column: &DataType) -> bool {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        column
    else {
        return false;
    };
    item.data_type().is_numeric() || item.data_type().is_null()
}

/// A column of lists of numbers.
struct Lists {
    values: Float32Array,
    bounds: Bounds,
    nulls: Option<NullBuffer>,
}

/// Where the list of each row is among the values.
enum Bounds {
    /// It starts at one entry and ends at the next.
    Offsets(Vec<usize>),
    /// All lists have this length.
    Fixed(usize),
}

impl Lists {
    fn of(array: &ArrayRef) -> Result<Self> {
        let (values, bounds) = match array.data_type() {
            DataType::List(_) => parts(array.as_list::<i32>()),
            DataType::LargeList(_) => parts(array.as_list::<i64>()),
            DataType::FixedSizeList(_, _) => {
                let lists = array.as_fixed_size_list();
                let width = usize::try_from(lists.value_length()).unwrap_or(0);
                (lists.values().clone(), Bounds::Fixed(width))
            }
            // Planning has let no other type pass.
            other => {
                let problem = format!("a list was planned, and {other} came");
                return Err(DataFusionError::Internal(problem));
            }
        };
        let values = cast(&values, &DataType::Float32)?;
        Ok(Self {
            values: values.as_primitive::<Float32Type>().clone(),
            bounds,
            nulls: array.nulls().cloned(),
        })
    }

    /// Where the list of a row is; an empty range for a null.
    fn range(&self, row: usize) -> Range<usize> {
        match &self.bounds {
            _ if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => 0..0,
            Bounds::Offsets(offsets) => offsets[row]..offsets[row + 1],
            Bounds::Fixed(width) => row * width..(row + 1) * width,
        }
    }
}

fn parts<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> (ArrayRef, Bounds) {
    let offsets = lists.value_offsets().iter().map(|offset| offset.as_usize());
    (lists.values().clone(), Bounds::Offsets(offsets.collect()))
}

/// The rows of a batch, as series.
pub(crate) struct Rows {
    variates: Vec<Lists>,
}

impl Rows {
    pub(crate) fn new(layout: &Layout, arguments: &[ArrayRef]) -> Result<Self> {
        let variates = layout.variates(arguments)?;
        Ok(Self { variates })
    }

    /// The series of a row; `None` if no variate has a value there.
    ///
    /// Steps at the end that are missing in all variates are no steps.
    pub(crate) fn series(&self, row: usize) -> Result<Option<Series>, SeriesError> {
        let ranges: Vec<Range<usize>> = self.variates.iter().map(|v| v.range(row)).collect();
        let present = |(lists, range): (&Lists, &Range<usize>)| {
            let last = range.clone().rev().find(|&at| lists.is_present(at));
            last.map_or(0, |at| at + 1 - range.start)
        };
        let n_steps = self.variates.iter().zip(&ranges).map(present).max();
        let n_steps = n_steps.unwrap_or(0);
        if n_steps == 0 {
            return Ok(None);
        }
        let n_variates = self.variates.len();
        let mut values = vec![f32::NAN; n_steps * n_variates];
        for (variate, (lists, range)) in self.variates.iter().zip(&ranges).enumerate() {
            for (step, at) in range.clone().take(n_steps).enumerate() {
                if lists.values.is_valid(at) {
                    values[step * n_variates + variate] = lists.values.value(at);
                }
            }
        }
        Series::new(values, n_steps, n_variates).map(Some)
    }
}

impl Lists {
    fn is_present(&self, at: usize) -> bool {
        self.values.is_valid(at) && !self.values.value(at).is_nan()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        FixedSizeListArray, Float64Array, Int16Array, LargeListArray, ListArray, StructArray,
    };
    use datafusion::arrow::datatypes::{Field, Int16Type, Int64Type};

    use super::*;

    fn steps(rows: &Rows, row: usize) -> Option<(usize, Vec<f32>)> {
        let series = rows.series(row).unwrap()?;
        Some((series.n_steps(), series.values().to_vec()))
    }

    fn same(found: &[f32], expected: &[f32]) -> bool {
        let equal = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
        found.len() == expected.len() && found.iter().zip(expected).all(equal)
    }

    #[test]
    fn lists_of_any_width_and_type_are_padded_to_the_longest_of_a_row() {
        let floats = ListArray::from_iter_primitive::<Float32Type, _, _>([
            Some(vec![Some(1.0), None, Some(3.0)]),
            None,
            Some(vec![]),
            Some(vec![Some(7.0)]),
        ]);
        let integers = LargeListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(10)]),
            Some(vec![Some(20), Some(21)]),
            None,
            Some(vec![Some(30), None, None]),
        ]);
        let columns: Vec<ArrayRef> = vec![Arc::new(floats), Arc::new(integers)];
        let rows = Rows::new(&Layout::Columns, &columns).unwrap();

        let nan = f32::NAN;
        let (n_steps, values) = steps(&rows, 0).unwrap();
        assert_eq!(n_steps, 3);
        assert!(
            same(&values, &[1.0, 10.0, nan, nan, 3.0, nan]),
            "{values:?}"
        );
        let (n_steps, values) = steps(&rows, 1).unwrap();
        assert_eq!(n_steps, 2);
        assert!(same(&values, &[nan, 20.0, nan, 21.0]), "{values:?}");
        assert_eq!(steps(&rows, 2), None, "a row without a value");
        assert_eq!(
            steps(&rows, 3),
            Some((1, vec![7.0, 30.0])),
            "steps that are missing in all variates are no steps"
        );
    }

    #[test]
    fn slices_of_lists_are_read_where_they_are() {
        let lists = ListArray::from_iter_primitive::<Int16Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(3)]),
            Some(vec![Some(4), Some(5)]),
        ]);
        let item = Arc::new(Field::new_list_field(DataType::Int16, true));
        let values = Arc::new(Int16Array::from(vec![1, 2, 3, 4, 5, 6]));
        let fixed = FixedSizeListArray::new(item, 2, values, None);
        let columns: Vec<ArrayRef> = vec![Arc::new(lists.slice(1, 2)), Arc::new(fixed.slice(1, 2))];
        let rows = Rows::new(&Layout::Columns, &columns).unwrap();
        assert!(same(
            &steps(&rows, 0).unwrap().1,
            &[3.0, 3.0, f32::NAN, 4.0]
        ));
        assert!(same(&steps(&rows, 1).unwrap().1, &[4.0, 5.0, 5.0, 6.0]));
    }

    #[test]
    fn a_struct_has_its_variates_where_the_layout_says_and_its_own_nulls() {
        let item = Arc::new(Field::new_list_field(DataType::Float64, true));
        let column = |values: Vec<f64>| -> ArrayRef {
            let values = Arc::new(Float64Array::from(values));
            Arc::new(FixedSizeListArray::new(item.clone(), 1, values, None))
        };
        let (a, b) = (column(vec![1.0, 2.0]), column(vec![3.0, 4.0]));
        let field = |name: &str, of: &ArrayRef| Field::new(name, of.data_type().clone(), true);
        let fields = vec![field("a", &a), field("b", &b)];
        let nulls = NullBuffer::from(vec![true, false]);
        let whole = StructArray::new(fields.into(), vec![a, b], Some(nulls));
        let rows = Rows::new(&Layout::Struct(vec![1, 0]), &[Arc::new(whole)]).unwrap();
        assert_eq!(steps(&rows, 0), Some((1, vec![3.0, 1.0])));
        assert_eq!(steps(&rows, 1), None);
    }

    #[test]
    fn an_infinite_value_is_no_value() {
        let lists =
            ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(f32::INFINITY)])]);
        let rows = Rows::new(&Layout::Columns, &[Arc::new(lists)]).unwrap();
        assert!(matches!(
            rows.series(0),
            Err(SeriesError::Infinite { step: 0, .. })
        ));
    }
}
