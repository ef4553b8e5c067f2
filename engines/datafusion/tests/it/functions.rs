//! The functions in a context of DataFusion.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Float32Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use timesclip::{Modalities, Series, TimesClip};
use timesclip_datafusion::{Models, register};

use crate::support::{VARIATES, batch, fitted, folder_with_model, row, series};

const N_ROWS: usize = 150;

/// A context with a table `waves` and a model of that name.
struct Bench {
    context: SessionContext,
    models: Arc<Models>,
    model: TimesClip,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(Modalities::KERNELS_ONLY)
    }

    fn with(modalities: Modalities) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("waves.safetensors");
        let model = fitted(modalities);
        model.save(&path).expect("a model file");
        let models = Arc::new(Models::new());
        models.name("waves", &path);
        let context = SessionContext::new();
        register(&context, &models);
        let table = context.register_batch("waves", batch(0..N_ROWS));
        table.expect("a table");
        Self {
            context,
            models,
            model,
            folder,
        }
    }

    async fn rows(&self, sql: &str) -> Result<RecordBatch, DataFusionError> {
        let batches = self.context.sql(sql).await?.collect().await?;
        let schema = batches[0].schema();
        Ok(datafusion::arrow::compute::concat_batches(
            &schema, &batches,
        )?)
    }

    /// The message of a query that cannot even be planned, with its causes.
    async fn refused(&self, sql: &str) -> String {
        let error = self.context.sql(sql).await.expect_err("a refusal");
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            text.push_str(&format!(": {source}"));
            cause = source.source();
        }
        text
    }
}

fn all_series() -> Vec<Option<Series>> {
    (0..N_ROWS).map(|i| series(&row(i))).collect()
}

#[tokio::test]
async fn answers_are_those_of_the_model_and_null_where_there_is_no_value() {
    let bench = Bench::new();
    let sql = "SELECT timesclip_predict('waves', acc_x, acc_y), \
               timesclip_probabilities('waves', acc_x, acc_y) FROM waves ORDER BY id";
    let rows = bench.rows(sql).await.unwrap();
    let series = all_series();
    let present: Vec<Series> = series.iter().flatten().cloned().collect();
    let mut expected = bench.model.predict(&present).unwrap().into_iter();
    let labels = rows.column(0).as_string::<i32>();
    let probabilities = rows.column(1).as_struct();
    assert_eq!(probabilities.column_names(), ["slow", "fast"]);
    for (i, series) in series.iter().enumerate() {
        let expected = series.as_ref().map(|_| expected.next().unwrap());
        let label = labels.is_valid(i).then(|| labels.value(i));
        assert_eq!(
            label,
            expected.as_ref().map(|e| e.label.as_str()),
            "row {i}"
        );
        assert_eq!(probabilities.is_valid(i), expected.is_some(), "row {i}");
        if let Some(expected) = expected {
            let class = |c: usize| {
                probabilities
                    .column(c)
                    .as_primitive::<Float32Type>()
                    .value(i)
            };
            assert_eq!(expected.probabilities, [class(0), class(1)], "row {i}");
        }
    }
    assert_eq!(labels.null_count(), N_ROWS / 10);
    assert_eq!(bench.models.n_answered(), 2 * present.len() as u64);
}

#[tokio::test]
async fn a_struct_is_matched_by_name_whatever_its_order_and_numbers() {
    let bench = Bench::new();
    let sql = "SELECT timesclip_predict('waves', acc_x, acc_y) AS columns, \
               timesclip_predict('waves', named_struct('other', id, 'acc_y', acc_y, 'acc_x', acc_x)) AS by_name, \
               timesclip_predict('waves', \
                   arrow_cast(acc_x, 'LargeList(Float64)'), acc_y) AS wide FROM waves";
    let rows = bench.rows(sql).await.unwrap();
    assert_eq!(rows.column(0), rows.column(1));
    assert_eq!(rows.column(0), rows.column(2));
}

#[tokio::test]
async fn embeddings_are_those_of_the_model() {
    let bench = Bench::with(Modalities::FULL);
    let sql = "SELECT timesclip_embed('waves', acc_x, acc_y) FROM waves WHERE id < 10 ORDER BY id";
    let rows = bench.rows(sql).await.unwrap();
    let present: Vec<Series> = all_series()[..10].iter().flatten().cloned().collect();
    let lists = rows.column(0).as_list::<i32>();
    for (i, expected) in bench.model.embed(&present).unwrap().iter().enumerate() {
        let found = lists.value(i);
        assert_eq!(
            found.as_primitive::<Float32Type>().values(),
            expected,
            "row {i}"
        );
    }
    assert!(lists.is_null(9));

    let bench = Bench::new();
    let sql = "SELECT timesclip_embed('waves', acc_x, acc_y) FROM waves";
    let told = bench.refused(sql).await;
    assert!(told.contains("`waves`, which has no encoders"), "{told}");
}

#[tokio::test]
async fn a_long_table_and_a_wide_one_become_lists() {
    let bench = Bench::new();
    let long = "CREATE TABLE long AS SELECT id, unnest(acc_x) AS x, unnest(acc_y) AS y, \
                unnest(range(1, 25)) AS step FROM waves WHERE id % 10 <> 9";
    let made = bench.context.sql(long).await.unwrap().collect().await;
    made.unwrap();
    let grouped = "SELECT id, timesclip_predict('waves', array_agg(x ORDER BY step), \
                   array_agg(y ORDER BY step)) AS label FROM long WHERE step IS NOT NULL \
                   GROUP BY id ORDER BY id";
    let direct = "SELECT id, timesclip_predict('waves', acc_x, acc_y) AS label FROM waves \
                  WHERE id % 10 <> 9 ORDER BY id";
    let (grouped, direct) = (
        bench.rows(grouped).await.unwrap(),
        bench.rows(direct).await.unwrap(),
    );
    assert_eq!(grouped, direct);

    let wide = "SELECT timesclip_predict('waves', make_array(0, id, 1, 2, 3, 4, 5, 6, 7), \
                make_array(1.5, 2.5, NULL, 0, 1, 2, 3, 4, 5)) AS label FROM waves LIMIT 3";
    assert_eq!(bench.rows(wide).await.unwrap().column(0).null_count(), 0);
}

#[tokio::test]
async fn what_cannot_be_planned_names_column_and_model() {
    let bench = Bench::new();
    let cases: &[(&str, &[&str])] = &[
        (
            "timesclip_predict('waves', acc_x)",
            &[
                "`waves`",
                "1 variates (columns acc_x)",
                "fitted to 2 (acc_x, acc_y)",
            ],
        ),
        (
            "timesclip_predict('waves', acc_y, acc_x)",
            &["`waves`", "acc_y, acc_x", "another order: acc_x, acc_y"],
        ),
        (
            "timesclip_predict('waves', id, acc_y)",
            &["`waves`", "column `id` is of type Int64"],
        ),
        (
            "timesclip_predict('waves', acc_x, make_array('a'))",
            &["`waves`", "a list of numbers"],
        ),
        (
            "timesclip_predict('wave', acc_x, acc_y)",
            &["there is no model `wave`", "the names are waves"],
        ),
        (
            "timesclip_predict(id, acc_x, acc_y)",
            &["timesclip_predict is the model", "the same for all rows"],
        ),
        (
            "timesclip_predict('waves', named_struct('acc_x', acc_x))",
            &["`waves`", "1 variates"],
        ),
        (
            "timesclip_probabilities('waves', acc_x, acc_y)['quick']",
            &["quick"],
        ),
    ];
    for (call, words) in cases {
        let told = bench.refused(&format!("SELECT {call} FROM waves")).await;
        for word in *words {
            assert!(told.contains(word), "{call}: {word} is not in {told}");
        }
    }
    let text = bench.folder.path().join("text.safetensors");
    std::fs::write(&text, "not a model").unwrap();
    let call = format!("timesclip_predict('{}', acc_x, acc_y)", text.display());
    let told = bench.refused(&format!("SELECT {call} FROM waves")).await;
    assert!(
        told.contains("text.safetensors` cannot be loaded"),
        "{told}"
    );
    assert!(told.contains("is not a timesclip model"), "{told}");
}

#[tokio::test]
async fn an_infinite_value_fails_with_its_row() {
    let bench = Bench::new();
    let sql = "SELECT timesclip_predict('waves', array_append(acc_x, CAST('inf' AS FLOAT)), acc_y) \
               FROM waves WHERE id < 3";
    let error = bench.rows(sql).await.unwrap_err().to_string();
    assert!(error.contains("row 0"), "{error}");
}

#[test]
fn a_model_is_loaded_once_and_found_by_name_path_and_checksum() {
    let (folder, path) = folder_with_model();
    let models = Models::new();
    models.name("waves", &path);
    let by_name = models.get("waves").unwrap();
    let by_path = models.get(path.to_str().unwrap()).unwrap();
    assert!(Arc::ptr_eq(&by_name, &by_path));
    let pinned = format!("{}#{}", path.display(), by_name.checksum());
    assert!(Arc::ptr_eq(&by_name, &models.get(&pinned).unwrap()));
    assert_eq!(by_name.classifier().schema().variates, VARIATES);

    // Another file in its place: the old one is served until that very file is asked for.
    let other = folder.path().join("other.safetensors");
    fitted(Modalities::FULL).save(&other).unwrap();
    let checksum = models
        .get(other.to_str().unwrap())
        .unwrap()
        .checksum()
        .to_owned();
    std::fs::rename(&other, &path).unwrap();
    assert!(Arc::ptr_eq(&by_name, &models.get("waves").unwrap()));
    let new = models
        .get(&format!("{}#{checksum}", path.display()))
        .unwrap();
    assert!(!Arc::ptr_eq(&by_name, &new));
    let error = models.get(&pinned).unwrap_err().to_string();
    assert!(
        error.contains(by_name.checksum()) && error.contains(&checksum),
        "{error}"
    );
}
