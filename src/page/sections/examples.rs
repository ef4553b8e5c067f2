//! Samples worth a look: the most confident mistakes and the least sure hits, with their plots as
//! the model saw them.

use super::Section;
use crate::page::ReportPage;
use crate::page::markup::{Element, el};
use crate::page::name::{name, shortened};
use crate::page::number::percent;
use crate::page::picture::{data_uri, heat_color, heat_level};
use crate::page::widgets::{NAME_COLUMNS, note, track};

/// Samples of each kind.
const MAX_EXAMPLES: usize = 8;
/// Plots of a sample.
const MAX_PLOTS: usize = 12;
/// Classes of a sample whose probability is shown, the predicted and the true one included.
const MAX_CLASSES: usize = 3;
/// Bytes of the pictures of a sample: at most 1.6 MB in all.
const PICTURE_BYTES: usize = 100_000;

/// A sample, and how it was answered.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// Name of the sample.
    pub id: String,
    /// Its class, if it is known.
    pub target: Option<usize>,
    /// The class it was predicted as.
    pub predicted: usize,
    /// Probability of every class, or of those worth naming.
    pub probabilities: Vec<(usize, f32)>,
    /// Its line plots.
    pub plots: Vec<Plot>,
}

/// One variate of a sample as the model saw it.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Name of the variate.
    pub variate: String,
    /// Its ink, as red, green and blue.
    pub ink: [u8; 3],
    /// Width and height of the mask in pixels.
    pub side_px: usize,
    /// How much of each pixel the line covers, `[side_px, side_px]`.
    pub mask: Vec<u8>,
    /// Importance along the picture, from left to right; empty if it was not measured.
    pub importance: Vec<HeatWindow>,
}

/// Importance of a part of a plot.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeatWindow {
    /// Where it begins, as a share of the picture's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
    /// How much it mattered, on the same scale in all plots of a sample; negative counts as none.
    pub value: f32,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let mut content: Vec<Element> = explanation(page).into_iter().collect();
    let kinds = [
        ("Most confident mistakes", &page.mistakes),
        ("Least sure hits", &page.unsure_hits),
        ("Explained", &page.explained),
    ];
    for (title, examples) in kinds {
        let shown = examples.iter().take(MAX_EXAMPLES);
        let cards: Vec<Element> = shown.map(|example| card(page, example)).collect();
        if !cards.is_empty() {
            content.push(el("h3").text(title));
            content.push(el("div").class("examples").children(cards));
        }
    }
    Section::new("examples", "Samples worth a look", content)
}

/// What the pictures show, if there are any.
fn explanation(page: &ReportPage) -> Option<Element> {
    let kinds = [&page.mistakes, &page.unsure_hits, &page.explained];
    let examples = kinds.into_iter().flatten();
    let mut plots = examples.flat_map(|example| &example.plots).peekable();
    plots.peek()?;
    match plots.any(|plot| !plot.importance.is_empty()) {
        true => Some(heat_legend()),
        false => Some(note(
            "Line plots as they are drawn for the vision encoder, pixel for pixel.",
        )),
    }
}

fn card(page: &ReportPage, example: &Example) -> Element {
    let class = |class: usize| name(&page.class_name(class), NAME_COLUMNS);
    let predicted = |words| el("p").text(words).child(class(example.predicted));
    let answer = match example.target {
        None => predicted("Predicted as "),
        Some(target) if target == example.predicted => predicted("Correctly predicted as "),
        Some(target) => predicted("Predicted as ")
            .text(", but it is ")
            .child(class(target)),
    };
    el("article")
        .class("example")
        .child(el("h4").child(name(&example.id, NAME_COLUMNS)))
        .child(answer)
        .children(probabilities(page, example))
        .child(plots(example))
}

/// The most likely classes, and the true one.
fn probabilities(page: &ReportPage, example: &Example) -> Option<Element> {
    let mut all = example.probabilities.clone();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let named = |class: usize| [Some(example.predicted), example.target].contains(&Some(class));
    let must = all.iter().filter(|(class, _)| named(*class)).count();
    let mut others = MAX_CLASSES.saturating_sub(must);
    all.retain(|(class, _)| {
        let other = !named(*class);
        let keep = !other || others > 0;
        others -= usize::from(other && keep);
        keep
    });
    let rows = all.iter().map(|(class, probability)| {
        let is_true = Some(*class) == example.target;
        let mark = if is_true { " (true)" } else { "" };
        let color = if is_true { "this" } else { "other" };
        el("tr")
            .child(
                el("th")
                    .attr("scope", "row")
                    .child(name(&page.class_name(*class), 18))
                    .text(mark),
            )
            .child(
                el("td")
                    .class("bar")
                    .child(track(f64::from(*probability), None, color)),
            )
            .child(
                el("td")
                    .class("number")
                    .text(percent(f64::from(*probability))),
            )
    });
    let body = el("tbody").children(rows);
    (!all.is_empty()).then(|| el("table").class("probabilities").child(body))
}

/// The plots of a sample: all, or those that mattered most.
fn plots(example: &Example) -> Element {
    let weight = |plot: &Plot| heat(plot).map(|value| value.max(0.0)).sum::<f32>();
    let most = example
        .plots
        .iter()
        .flat_map(heat)
        .fold(f32::MIN_POSITIVE, f32::max);
    let mut shown: Vec<(usize, &Plot)> = example.plots.iter().enumerate().collect();
    shown.sort_by(|a, b| weight(b.1).total_cmp(&weight(a.1)));
    shown.truncate(MAX_PLOTS);
    shown.sort_by_key(|(variate, _)| *variate);
    let mut bytes = 0;
    let figures = shown.into_iter().map_while(|(_, plot)| {
        let uri = data_uri(plot, most);
        bytes += uri.len();
        (bytes <= PICTURE_BYTES).then(|| figure(plot, &uri, most))
    });
    let figures: Vec<Element> = figures.collect();
    let (drawn, all) = (figures.len(), example.plots.len());
    let class = if drawn == 1 { "plots one" } else { "plots" };
    let which = match example.plots.iter().any(|plot| heat(plot).next().is_some()) {
        true => "that mattered most",
        false => "that come first",
    };
    let left_out = match drawn {
        _ if drawn == all => None,
        0 => Some("The line plots are too large for this page.".to_owned()),
        _ => Some(format!("{drawn} of {all} variates, those {which}")),
    };
    el("div")
        .child(el("div").class(class).children(figures))
        .children(left_out.map(note))
}

/// Importance of the windows of a plot.
fn heat(plot: &Plot) -> impl Iterator<Item = f32> {
    plot.importance.iter().map(|window| window.value)
}

fn figure(plot: &Plot, uri: &str, most: f32) -> Element {
    let variate = shortened(&plot.variate, NAME_COLUMNS);
    let picture = el("img")
        .attr("src", uri)
        .attr("alt", format!("Line plot of {variate}"))
        .attrs([("width", plot.side_px), ("height", plot.side_px)]);
    let [r, g, b] = plot.ink;
    let swatch = el("span")
        .class("swatch")
        .attr("style", format!("background:rgb({r},{g},{b})"));
    let caption = match plot.importance.is_empty() {
        true => el("figcaption").child(name(&plot.variate, 18)),
        false => el("figcaption")
            .child(swatch)
            .child(name(&plot.variate, 16)),
    };
    el("figure")
        .child(picture)
        .children(strip(plot, most))
        .child(caption)
}

/// Importance along a picture, below it.
fn strip(plot: &Plot, most: f32) -> Option<Element> {
    let windows = plot.importance.iter().map(|window| {
        let level = heat_level(window.value / most);
        colored([window.start, window.end], level.into())
    });
    (!plot.importance.is_empty()).then(|| strip_of(windows))
}

/// What the colors of the lines mean.
fn heat_legend() -> Element {
    let steps = (0..16_u8).map(|level| {
        let start = f32::from(level) / 16.0;
        colored([start, start + 1.0 / 16.0], level.into())
    });
    let scale = el("span")
        .text("little ")
        .child(strip_of(steps))
        .text(" much.");
    el("p")
        .class("note heat")
        .text("Line plots as they are drawn for the vision encoder, colored by importance: ")
        .child(scale)
        .text(" The square beside a name is the ink in which the encoder sees it.")
}

fn strip_of(windows: impl Iterator<Item = Element>) -> Element {
    el("svg")
        .class("strip")
        .attr("viewBox", "0 0 100 1")
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .children(windows)
}

/// A part of a strip in one of 16 colors. It reaches a little under the next one, so that no seam
/// shows.
fn colored([start, end]: [f32; 2], level: usize) -> Element {
    let [r, g, b] = heat_color(level);
    let width = (end - start + 0.005).min(1.0 - start);
    let place = [("x", start), ("width", width)];
    let place = place.map(|(name, share)| (name, format!("{:.1}", 100.0 * share.max(0.0))));
    el("rect")
        .attrs(place)
        .attr("height", 1)
        .attr("fill", format!("#{r:02x}{g:02x}{b:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(example: Example) -> ReportPage {
        ReportPage {
            class_names: ["a", "b", "c", "d"].map(str::to_owned).into(),
            mistakes: vec![example; 20],
            ..ReportPage::default()
        }
    }

    fn blank(variate: usize) -> Plot {
        Plot {
            variate: format!("v{variate}"),
            side_px: 4,
            mask: vec![0; 16],
            ..Plot::default()
        }
    }

    #[test]
    fn the_true_class_is_shown_however_unlikely_it_is() {
        let example = Example {
            target: Some(3),
            predicted: 0,
            probabilities: vec![(0, 0.7), (1, 0.2), (2, 0.09), (3, 0.01)],
            ..Example::default()
        };
        let html = probabilities(&page(example.clone()), &example)
            .unwrap()
            .to_string();
        let shown = ["a", "b", "c", "d"].map(|name| html.contains(&format!("<bdi>{name}</bdi>")));
        assert_eq!(shown, [true, true, false, true]);
    }

    #[test]
    fn examples_and_plots_are_capped() {
        let example = Example {
            plots: (0..100).map(blank).collect(),
            ..Example::default()
        };
        let html = section(&page(example)).unwrap().element().to_string();
        assert_eq!(html.matches("<article").count(), MAX_EXAMPLES);
        assert_eq!(html.matches("<img").count(), MAX_EXAMPLES * MAX_PLOTS);
        assert!(
            html.contains("12 of 100 variates, those that come first"),
            "says so"
        );
    }

    #[test]
    fn pictures_stay_within_their_budget() {
        // Noise does not compress: it is about 38 kB a picture.
        let mut state = 1_u64;
        let mut byte = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let mut noise = |variate: usize| Plot {
            side_px: 170,
            mask: (0..170 * 170).map(|_| byte()).collect(),
            ..blank(variate)
        };
        let example = Example {
            plots: (0..9).map(&mut noise).collect(),
            ..Example::default()
        };
        let html = plots(&example).to_string();
        let drawn = html.matches("<img").count();
        assert!(
            (1..9).contains(&drawn) && html.len() < PICTURE_BYTES + 2_000,
            "{drawn} pictures"
        );
        assert!(
            html.contains(&format!("{drawn} of 9 variates")),
            "the page says so"
        );
    }
}
