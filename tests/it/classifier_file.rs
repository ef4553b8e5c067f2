//! A classifier as safetensors: out and back bit for bit, as documented, or refused by name.
//!
//! What would show: a frozen encoder or a running statistic left out, a matrix not transposed, a
//! name that the document does not have, a setting without weights that is not compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use tempfile::TempDir;
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatch};
use timesclip::cache::UncachedImages;
use timesclip::model::{
    Freeze, HeadNorm, TimesClipClassifier, TimesClipClassifierConfig, TokenPooling, VariatePooling,
};
use timesclip::weights::{Checkpoint, WeightsError, save_classifier};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};
use crate::tokenizers::patches;

fn batch<B: Backend>() -> TimesClipBatch<B> {
    let images = UncachedImages::new(sines(6), &tiny_style()).expect("a sound style");
    let batcher = batcher(&sines(6));
    let batch = BatchSource::new(&images, &batcher).gather(&[0, 1, 2, 3]);
    batch.expect("a batch").into_tensors(&Default::default())
}

fn logits<B: Backend>(model: &TimesClipClassifier<B>) -> TensorData {
    model.forward(batch().input).logits.into_data()
}

pub(crate) fn frozen() -> TimesClipClassifierConfig {
    let mut config = tiny_model(Modalities::DUAL)
        .with_freeze_vision(Freeze::All)
        .with_freeze_text(Freeze::Layers(1))
        .with_standardize_features(true);
    config.vision.tap.pooling = TokenPooling::Both;
    config
}

/// Batch norm, another width for the values, what the variates say averaged.
fn reference_like() -> TimesClipClassifierConfig {
    let mut config = tiny_model(Modalities::DUAL).with_pooling(VariatePooling::Mean);
    config.head.norm = HeadNorm::Batch;
    config.head.hidden = vec![16, 8];
    config.language.transformer.d_model = 24;
    patches(&mut config).variate_embedding = false;
    config
}

fn configs() -> Vec<TimesClipClassifierConfig> {
    let single = [Modalities::LANGUAGE_ONLY, Modalities::VISION_ONLY].map(tiny_model);
    let trained = tiny_model(Modalities::DUAL);
    [[trained, frozen(), reference_like()].as_slice(), &single].concat()
}

/// A folder with a saved classifier.
pub(crate) struct Saved {
    pub(crate) folder: TempDir,
    pub(crate) config: TimesClipClassifierConfig,
}

impl Saved {
    pub(crate) fn of<B: Backend>(
        model: &TimesClipClassifier<B>,
        config: &TimesClipClassifierConfig,
    ) -> Self {
        let saved = Self {
            folder: tempfile::tempdir().expect("a folder"),
            config: config.clone(),
        };
        save_classifier(model, config, saved.path()).expect("a file in a new folder");
        saved
    }

    pub(crate) fn random(config: &TimesClipClassifierConfig) -> Self {
        Self::of(&config.init::<Cpu>(&Default::default()), config)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("model.safetensors")
    }

    pub(crate) fn open(&self) -> Checkpoint {
        Checkpoint::open(self.path()).expect("a sound file")
    }

    pub(crate) fn load<B: Backend>(&self) -> Result<TimesClipClassifier<B>, WeightsError> {
        self.open()
            .load_classifier(&self.config, &Default::default())
    }

    /// Writes the file anew: tensors and metadata as `edit` leaves them.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Tensors, &mut HashMap<String, String>)) {
        let bytes = fs::read(self.path()).expect("the file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a sound header");
        let mut notes = header.metadata().clone().expect("metadata");
        let file = SafeTensors::deserialize(&bytes).expect("a sound file");
        let owned = file.iter().map(|(name, tensor)| {
            let (shape, data) = (tensor.shape().to_vec(), tensor.data().to_vec());
            (name.to_owned(), (tensor.dtype(), shape, data))
        });
        let mut tensors: Tensors = owned.collect();
        edit(&mut tensors, &mut notes);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            let view = TensorView::new(*dtype, shape.clone(), data);
            (name, view.expect("as many bytes as its shape says"))
        });
        serialize_to_file(views, Some(notes), &self.path()).expect("a file");
    }
}

pub(crate) type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

#[test]
fn what_is_saved_comes_back_bit_for_bit() {
    let _turn = lock_generator();
    for config in configs() {
        let model = config.init::<Cpu>(&Default::default());
        let saved = Saved::of(&model, &config);
        let found = saved.open().classifier_config().expect("it says");
        assert_eq!(found.to_string(), config.to_string());
        let again = saved.load::<Cpu>().expect("the same configuration");
        assert_eq!(logits(&again), logits(&model), "{config}");
        let bytes = fs::read(saved.path()).expect("the file");
        let twice = fs::read(Saved::of(&again, &config).path()).expect("the file");
        assert!(bytes == twice, "the same weights are other bytes: {config}");
    }
}

#[test]
fn what_training_changed_is_saved_and_what_is_held_stays_held() {
    let _turn = lock_generator();
    for config in configs() {
        let model = config.init::<AutodiffCpu>(&Default::default());
        logits(&model); // changes the statistics of batch norms
        let saved = Saved::of(&model, &config);
        let again = saved.load::<AutodiffCpu>().expect("the same configuration");
        assert_eq!(again.parameter_count(), model.parameter_count(), "{config}");
        assert_eq!(logits(&again.valid()), logits(&model.valid()), "{config}");
    }
}

#[test]
fn standardization_and_halves_are_saved_exactly() {
    let _turn = lock_generator();
    let config = frozen();
    let values: Vec<f32> = (1..=32_u8).map(|i| f32::from(i) / 7.0).collect();
    let model = config.init::<Cpu>(&Default::default());
    let model = model.with_standardized(&values, &values);
    let model = model.with_frozen_precision(FloatDType::F16);
    let saved = Saved::of(&model, &config);
    assert_eq!(saved.open().dtypes(), ["F32"]);
    let again = saved.load::<Cpu>().expect("the same configuration");
    let again = again.with_frozen_precision(FloatDType::F16);
    let fingerprint = |model: &TimesClipClassifier<Cpu>| {
        let tower = model.frozen_vision().expect("a frozen encoder");
        tower.fingerprint()
    };
    assert_eq!(fingerprint(&again), fingerprint(&model));
    let branch = again.vision.expect("it sees");
    let found = branch.standardize.expect("it standardizes").std;
    assert_eq!(found.val().into_data(), TensorData::from(values.as_slice()));
}

/// What the document's symbols mean for a configuration; `H` and `I` are left to `widths`.
fn symbols(config: &TimesClipClassifierConfig) -> HashMap<&'static str, usize> {
    let (vision, language) = (&config.vision, &config.language);
    let d = config.d_model;
    let patches = language.tokenizer.patches().expect("patches");
    HashMap::from([
        ("2", 2),
        ("3", 3),
        ("D", d),
        ("2D", 2 * d),
        ("W", d * config.selection.widening),
        ("Dv", vision.transformer.d_model),
        ("Fv", vision.transformer.d_ff),
        ("P", vision.image_patch_size),
        ("S", vision.n_patches() + 1),
        ("E", vision.d_output()),
        ("Dt", language.transformer.d_model),
        ("Ft", language.transformer.d_ff),
        ("L", patches.patch_len),
        ("M", patches.max_tokens),
        ("V", config.n_variates),
        ("C", config.n_classes),
    ])
}

/// The widths of the head: of the pooled views, then of the hidden layers.
fn widths(config: &TimesClipClassifierConfig) -> Vec<usize> {
    let views = if config.modalities == Modalities::DUAL {
        3
    } else {
        1
    };
    let variates = match config.pooling {
        VariatePooling::Mean => 1,
        VariatePooling::Concat => config.n_variates,
    };
    let pooled = views * variates * config.d_model;
    [&[pooled], config.head.hidden.as_slice()].concat()
}

/// Name, kind and shape of every row of the document's table.
fn documented() -> Vec<[String; 3]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/safetensors.md");
    let text = fs::read_to_string(path).expect("the document");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = rows.map(|row| row.split('|').skip(1).take(3).map(cell).collect::<Vec<_>>());
    rows.map(|row| row.try_into().expect("three cells"))
        .collect()
}

/// The tensors of a row, with `N` in their names.
fn tensors([name, kind, shape]: &[String; 3]) -> Vec<(String, Vec<String>)> {
    let shape: Vec<String> = shape.split(", ").map(str::to_owned).collect();
    let vector = |part: &&str| (format!("{name}.{part}"), shape[..1].to_vec());
    match kind.as_str() {
        "tensor" => vec![(name.clone(), shape)],
        "linear" => vec![(format!("{name}.weight"), shape.clone()), vector(&"bias")],
        "norm" => ["weight", "bias"].iter().map(vector).collect(),
        "batch norm" => {
            let parts = ["weight", "bias", "running_mean", "running_var"];
            parts.iter().map(vector).collect()
        }
        other => panic!("{name} is {other}"),
    }
}

#[test]
fn files_have_the_tensors_of_the_document() {
    let _turn = lock_generator();
    let documented: HashMap<_, _> = documented().iter().flat_map(tensors).collect();
    let mut unused: BTreeSet<_> = documented.keys().cloned().collect();
    let mut statistics = tiny_model(Modalities::LANGUAGE_ONLY);
    patches(&mut statistics).statistics = true;
    for config in configs().into_iter().chain([statistics]) {
        let (symbols, widths) = (symbols(&config), widths(&config));
        let saved = Saved::random(&config);
        let checkpoint = saved.open();
        for name in checkpoint.tensor_names() {
            let numbers = name.split('.').find_map(|part| part.parse::<usize>().ok());
            let parts = name.split('.').map(|part| match part.parse::<usize>() {
                Ok(_) => "N",
                Err(_) => part,
            });
            let row = parts.collect::<Vec<_>>().join(".");
            let shape = documented.get(&row);
            let shape = shape.unwrap_or_else(|| panic!("{row} is not in the document"));
            let layer = numbers.unwrap_or(widths.len() - 1);
            let size = |symbol: &String| match symbol.as_str() {
                "I" => widths[layer],
                "H" => widths[layer + 1],
                symbol => symbols[symbol],
            };
            let expected: Vec<usize> = shape.iter().map(size).collect();
            let tensor = checkpoint.tensor(name).expect("a sound file");
            assert_eq!(
                tensor.expect("a tensor").shape,
                expected,
                "{name} of {config}"
            );
            unused.remove(&row);
        }
    }
    assert!(unused.is_empty(), "in no file: {unused:?}");
}

#[test]
fn a_file_from_pytorch_is_taken_without_metadata_and_with_its_counters() {
    let _turn = lock_generator();
    let model = reference_like().init::<Cpu>(&Default::default());
    let saved = Saved::of(&model, &reference_like());
    saved.edit(|tensors, notes| {
        notes.clear();
        let counter = (Dtype::I64, vec![], vec![0; 8]);
        tensors.insert(
            "head.hidden.0.batch_norm.num_batches_tracked".into(),
            counter,
        );
    });
    let again = saved.load::<Cpu>().expect("all that is needed");
    assert_eq!(logits(&again), logits(&model));
    let error = saved
        .open()
        .classifier_config()
        .expect_err("nothing is said");
    assert!(matches!(error, WeightsError::Unsupported { .. }), "{error}");
}
