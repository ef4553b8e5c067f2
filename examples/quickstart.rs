//! Fit, evaluate, save, load, predict: `cargo run --release --example quickstart`.

use timesclip::data::SeriesDataset;
use timesclip::{Effort, FitOptions, TimesClip};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data");
    let train = SeriesDataset::read(format!("{data}/JapaneseVowels_TRAIN.ts"))?;
    let test = SeriesDataset::read(format!("{data}/JapaneseVowels_TEST.ts"))?;

    // Seconds; leave the effort at its default to train networks as well.
    let options = FitOptions {
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    let model = TimesClip::fit(&train, &options)?;
    println!("accuracy {:.3}", model.evaluate(&test)?.accuracy);

    let path = std::env::temp_dir().join("vowels.safetensors");
    model.save(&path)?;
    let model = TimesClip::load(&path)?;
    for prediction in model.predict(&test.samples()[..3])? {
        println!("{} {:.3}", prediction.label, prediction.probability);
    }
    Ok(())
}
