//! The samples of a page: the most confident mistakes and the least sure hits, drawn and explained.

use super::page::{PageError, PageSources, mean_weights, variate_names};
use crate::classifier::{
    Evaluation, ExplainOptions, Explanation, Faithfulness, FaithfulnessCurve, TimesClip,
};
use crate::data::{Series, SeriesDataset};
use crate::page::{
    ClassImportance, DataSummary, Example, Fact, HeatWindow, Importance, Plot, ReportPage,
};
use crate::raster::{PlotStyle, Rasterizer, XSpan, YScale};

/// Samples that are shown of both kinds together; half of them may be mistakes.
const SAMPLES: usize = 8;
/// Side of the plots of a model that looks at none, in pixels.
const SIDE_PX: usize = 112;
/// Plots of a sample that are drawn; of more variates, those that mattered most.
const PLOTS: usize = 24;
/// Variates of all series that are predicted for to explain all samples: some seconds of an encoder's
/// time.
const VARIATES: usize = 5000;
/// Fewer windows would say nothing.
const FEW_WINDOWS: usize = 4;

/// Samples worth a look.
#[derive(Debug, Default)]
pub(super) struct Examples {
    pub(super) mistakes: Vec<Example>,
    pub(super) unsure_hits: Vec<Example>,
    /// How importance was measured; `None` if it was not.
    pub(super) method: Option<String>,
}

impl Examples {
    /// Of a test set and its scores.
    pub(super) fn of(
        sources: &PageSources<'_>,
        (set, evaluation): (&SeriesDataset, &Evaluation),
    ) -> Result<Self, PageError> {
        let [mistakes, hits] = worth_a_look(evaluation);
        let options = affordable(sources, mistakes.len() + hits.len());
        let drawer = Drawer {
            sources,
            set,
            evaluation,
            names: variate_names(set, sources.model),
            rasterizer: Rasterizer::new(style(sources.model, sources.train, set))?,
            options,
        };
        let draw = |indices: Vec<usize>| -> Result<Vec<Example>, PageError> {
            let indices = indices.into_iter();
            indices.map(|index| drawer.example(index)).collect()
        };
        Ok(Self {
            mistakes: draw(mistakes)?,
            unsure_hits: draw(hits)?,
            method: options.map(|_| Explanation::METHOD.to_owned()),
        })
    }
}

/// Samples of known classes: the most confident mistakes, the least sure hits.
fn worth_a_look(evaluation: &Evaluation) -> [Vec<usize>; 2] {
    let confidence = |index: &usize| evaluation.predictions[*index].probability;
    let known = (0..evaluation.targets.len()).filter(|i| evaluation.targets[*i].is_some());
    let (mut hits, mut mistakes): (Vec<usize>, Vec<usize>) =
        known.partition(|i| evaluation.targets[*i] == Some(evaluation.predictions[*i].class));
    mistakes.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)));
    hits.sort_by(|a, b| confidence(a).total_cmp(&confidence(b)));
    mistakes.truncate(SAMPLES / 2);
    hits.truncate(SAMPLES - mistakes.len());
    [mistakes, hits]
}

/// The wanted options with fewer windows where there are many variates; `None` if even few windows
/// would take too long.
fn affordable(sources: &PageSources<'_>, n_samples: usize) -> Option<ExplainOptions> {
    let wanted = sources.explain?;
    let n_variates = sources.model.n_variates();
    // Networks take a series as a whole; of frozen encoders, only what has changed is computed.
    let each = match sources.model.networks() {
        Some(_) => n_variates,
        None => 1,
    };
    let most = VARIATES / (n_samples.max(1) * n_variates * each);
    let n_windows = wanted.n_windows.min(most);
    (n_windows >= FEW_WINDOWS.min(wanted.n_windows)).then_some(ExplainOptions { n_windows })
}

/// How the model draws; if it draws nothing, plots on the axes of the training samples.
fn style(model: &TimesClip, train: Option<&SeriesDataset>, test: &SeriesDataset) -> PlotStyle {
    if let Some(style) = model.plot_style() {
        return style.clone();
    }
    let train = train.unwrap_or(test);
    let steps = train.max_steps().max(test.max_steps());
    PlotStyle {
        side_px: SIDE_PX,
        y_scale: YScale::fitted(train),
        x_span: XSpan::Steps(steps.max(2)),
        ..PlotStyle::default()
    }
}

/// Draws samples of a set.
struct Drawer<'a> {
    sources: &'a PageSources<'a>,
    set: &'a SeriesDataset,
    evaluation: &'a Evaluation,
    names: Vec<String>,
    rasterizer: Rasterizer,
    options: Option<ExplainOptions>,
}

impl Drawer<'_> {
    fn example(&self, index: usize) -> Result<Example, PageError> {
        let (sample, prediction) = (
            &self.set.samples()[index],
            &self.evaluation.predictions[index],
        );
        let explanation = match &self.options {
            Some(options) => Some(self.sources.model.explain(&sample.series, options)?),
            None => None,
        };
        let probabilities = prediction.probabilities.iter().copied().enumerate();
        Ok(Example {
            id: id(self.set, index),
            target: self.evaluation.targets[index],
            predicted: prediction.class,
            probabilities: probabilities.collect(),
            plots: plots(
                &self.rasterizer,
                &sample.series,
                &self.names,
                explanation.as_ref(),
            ),
        })
    }
}

/// The page of some explained samples of a set, which need not be labeled: their indices, and what
/// was found; and how faithful that is, if it was measured.
///
/// # Errors
/// [`PageError::Raster`] if they cannot be drawn.
pub fn explanation_page(
    (model, set): (&TimesClip, &SeriesDataset),
    explained: &[(usize, Explanation)],
    faithful: Option<&Faithfulness>,
) -> Result<ReportPage, PageError> {
    let rasterizer = Rasterizer::new(style(model, None, set))?;
    let names = variate_names(set, model);
    let target = |index: usize| {
        let name = &set.class_names()[set.samples()[index].label];
        model.class_names().iter().position(|known| known == name)
    };
    let examples = explained.iter().map(|(index, explanation)| {
        let prediction = &explanation.prediction;
        let series = &set.samples()[*index].series;
        Example {
            id: id(set, *index),
            target: target(*index),
            predicted: prediction.class,
            probabilities: prediction
                .probabilities
                .iter()
                .copied()
                .enumerate()
                .collect(),
            plots: plots(&rasterizer, series, &names, Some(explanation)),
        }
    });
    let means = Explanation::class_means(explained.iter().map(|(_, explanation)| explanation));
    let means = means.into_iter().map(|mean| ClassImportance {
        class: mean.class,
        windows: mean.importance,
    });
    Ok(ReportPage {
        name: set.name().to_owned(),
        model: model.modalities().to_string(),
        class_names: model.class_names().to_vec(),
        explained: examples.collect(),
        importance: Some(Importance {
            method: Explanation::METHOD.to_owned(),
            variate_weights: mean_weights(explained.iter().map(|(_, e)| &e.prediction)),
            classes: means.collect(),
            faithfulness: faithful.map_or_else(Vec::new, faithfulness),
        }),
        data: Some(DataSummary {
            variate_names: names,
            ..DataSummary::default()
        }),
        ..ReportPage::default()
    })
}

/// Figures of how faithful explanations are.
fn faithfulness(found: &Faithfulness) -> Vec<Fact> {
    let figures = |curve: &FaithfulnessCurve| {
        format!(
            "{:.3}, in random order {:.3}; better for {:.0}% of {} samples",
            curve.area,
            curve.random_area,
            100.0 * curve.better,
            found.n_samples
        )
    };
    vec![
        Fact::new(
            "Deletion area (the most important hidden first, lower is better)",
            figures(&found.deletion),
        ),
        Fact::new(
            "Insertion area (the most important shown first, higher is better)",
            figures(&found.insertion),
        ),
    ]
}

/// What a sample is called: its ids in the data, or its row.
fn id(set: &SeriesDataset, index: usize) -> String {
    let ids = set.metadata().ids.iter();
    let ids: Vec<&str> = ids.map(|column| column.values[index].as_str()).collect();
    match ids.is_empty() {
        true => set.samples()[index].id.to_string(),
        false => ids.join(" "),
    }
}

/// The plots of a series, with what mattered in them if that is known.
fn plots(
    rasterizer: &Rasterizer,
    series: &Series,
    names: &[String],
    explanation: Option<&Explanation>,
) -> Vec<Plot> {
    let mut variates: Vec<usize> = (0..series.n_variates()).collect();
    if let Some(explanation) = explanation.filter(|_| variates.len() > PLOTS) {
        let most = |variate: usize| {
            let windows = explanation.importance[variate].iter();
            windows.copied().fold(f32::NEG_INFINITY, f32::max)
        };
        variates.sort_by(|a, b| most(*b).total_cmp(&most(*a)));
    }
    variates.truncate(PLOTS);
    let style = rasterizer.style();
    let mut scratch = rasterizer.scratch();
    let drawn = variates.into_iter().map(|variate| {
        let mut mask = vec![0; style.side_px * style.side_px];
        rasterizer.draw(&mut scratch, series, variate, &mut mask);
        Plot {
            variate: names[variate].clone(),
            ink: style.palette.color(variate),
            side_px: style.side_px,
            mask,
            importance: explanation.map_or_else(Vec::new, |explanation| {
                heat(style, series, variate, explanation)
            }),
        }
    });
    drawn.collect()
}

/// The importance of a variate along its picture.
fn heat(
    style: &PlotStyle,
    series: &Series,
    variate: usize,
    explanation: &Explanation,
) -> Vec<HeatWindow> {
    let [first, last] = match style.x_span {
        XSpan::Steps(n_steps) => [0, n_steps - 1],
        XSpan::Finite => {
            let has_value = |step: &usize| !series.value(*step, variate).is_nan();
            let mut steps = (0..series.n_steps()).filter(has_value);
            let first = steps.next().unwrap_or(0);
            [first, steps.next_back().unwrap_or(first)]
        }
    };
    let span = last.saturating_sub(first).max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a share of a picture")]
    let share = |step: f64| {
        let along = (step - first as f64) / span;
        let share = (style.margin + along) / (1.0 + 2.0 * style.margin);
        share.clamp(0.0, 1.0) as f32
    };
    let windows = explanation
        .windows
        .iter()
        .zip(&explanation.importance[variate]);
    let windows = windows.map(|(window, &value)| HeatWindow {
        // Steps are points, and a window reaches half way to its neighbors.
        start: share(window.start as f64 - 0.5),
        end: share(window.end as f64 - 0.5),
        value,
    });
    windows.filter(|window| window.end > window.start).collect()
}
