//! Drawing or encoding the pictures of sets into files, before the fits that need them.

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

use super::error::FitError;
use super::observer::{FitObserver, Watch};
use super::options::{FitOptions, PictureCache};
use super::pretrained::Pretrained;
use super::recipe::Recipe;
use super::sets::{Builder, n_views};
use super::train::start;
use crate::backend::{TrainingJob, train_on};
use crate::cache::store::Shard;
use crate::data::{Series, SeriesDataset, TimeGrid};

/// Draws the pictures of a training set and its augmented views, and of other sets, into the files
/// of [`PictureCache::Disk`]; or encodes them, where the vision encoder is frozen. A fit with the
/// same options finds them.
///
/// With a shard, only that part of every set is made, as one task of an array job; the fit joins the
/// parts.
///
/// # Errors
/// [`FitError::Options`] if there is nothing to prepare or nowhere to keep it, and as
/// [`TimesClip::fit`](super::TimesClip::fit).
pub fn prepare(
    train: &SeriesDataset,
    others: &[&SeriesDataset],
    options: &FitOptions,
    shard: Option<Shard>,
    observer: &mut dyn FitObserver,
) -> Result<(), FitError> {
    options.validate()?;
    let refuse = |problem: &str| {
        let problem = problem.to_owned();
        Err(FitError::Options { problem })
    };
    if !options.modalities.has_vision() {
        return refuse("there is nothing to prepare: the model sees no pictures");
    }
    if !matches!(options.compute.pictures, PictureCache::Disk(_)) {
        return refuse("preparing keeps pictures in files: it needs a cache on disk");
    }
    let series: Vec<&Series> = train
        .samples()
        .iter()
        .map(|sample| &sample.series)
        .collect();
    let grid = TimeGrid::fit(&series, options.uneven_times);
    let placed = |set: &SeriesDataset| grid.map_or_else(|| set.clone(), |grid| set.on_grid(&grid));
    let (train, others) = (&placed(train), others.iter().map(|set| placed(set)));
    let others: Vec<SeriesDataset> = others.collect();
    let pretrained = Pretrained::open(options)?;
    let recipe = Recipe::fit(train, options, &pretrained)?;
    let device = super::fit::choose(options)?;
    let devices = device.and_next(options.compute.n_devices)?;
    let job = Prepare {
        sets: [(train, n_views(options))]
            .into_iter()
            .chain(others.iter().map(|set| (set, 0)))
            .collect(),
        options,
        recipe: &recipe,
        pretrained: &pretrained,
        shard,
        watch: Watch::new(observer),
    };
    train_on(device.kind, &devices, job)?
}

struct Prepare<'a> {
    /// Each with how many augmented views of it there are to be.
    sets: Vec<(&'a SeriesDataset, usize)>,
    options: &'a FitOptions,
    recipe: &'a Recipe,
    pretrained: &'a Pretrained,
    shard: Option<Shard>,
    watch: Watch<'a>,
}

impl TrainingJob for Prepare<'_> {
    type Output = Result<(), FitError>;

    fn run<B: AutodiffBackend>(mut self, devices: &[B::Device]) -> Self::Output {
        let (options, recipe) = (self.options, self.recipe);
        let batcher = recipe.batcher();
        let from = (options.seed, &devices[0]);
        let model = start::<B>(options, recipe, self.pretrained, from)?.valid();
        let builder = Builder {
            options,
            recipe,
            batcher: &batcher,
            model: &model,
            devices,
        };
        for (set, n_views) in self.sets {
            match self.shard {
                None => drop(builder.build(set, n_views, &mut self.watch)?),
                Some(shard) => builder.build_shards(set, n_views, shard, &mut self.watch)?,
            }
        }
        Ok(())
    }
}
