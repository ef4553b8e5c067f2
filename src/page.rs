//! `report.html`: what a run found, as one file for people.
//!
//! A [`ReportPage`] is plain data; [`ReportPage::to_html`] makes the page of it. The page needs no
//! network and no scripts, follows the reader's light or dark theme, prints, and stays below 3 MB
//! and readable for a thousand classes or a hundred variates. Whatever comes from data is shown as
//! text, however hostile.
//!
//! ```
//! use timesclip::page::{Evaluation, ReportPage};
//!
//! let page = ReportPage {
//!     name: "Cats and dogs".to_owned(),
//!     class_names: vec!["cat".to_owned(), "dog".to_owned()],
//!     evaluation: Some(Evaluation {
//!         split: "test".to_owned(),
//!         confusion: vec![vec![9, 1], vec![0, 12]],
//!         ..Evaluation::default()
//!     }),
//!     ..ReportPage::default()
//! };
//! assert!(page.to_html().contains("21 of 22 test samples"));
//! ```

mod chart;
mod evaluation;
mod interval;
mod markup;
mod name;
mod number;
mod picture;
mod sections;
mod theme;
mod widgets;

pub use self::evaluation::{Baseline, CalibrationBin, Evaluation, HeldOut};
pub use self::sections::comparison::Contender;
pub use self::sections::confusion::confusion_svg;
pub use self::sections::cost::Cost;
pub use self::sections::data::{DataSummary, Finding, SplitSummary};
pub use self::sections::early::{EarlyPoint, EarlyRecognition};
pub use self::sections::examples::{Example, HeatWindow, Plot};
pub use self::sections::importance::{ClassImportance, Importance};
pub use self::sections::learning::{EpochScores, LearningCurve};
pub use self::sections::modalities::Modality;
pub use self::sections::provenance::Provenance;
pub use self::widgets::Fact;

use self::markup::{Element, el};
use self::name::shortened;
use self::number::counted;

/// Everything that a report page shows. Whatever is empty or `None` is left out, with its section.
///
/// Classes and variates are indices into [`class_names`](Self::class_names) and
/// [`DataSummary::variate_names`].
#[derive(Clone, Debug, Default)]
pub struct ReportPage {
    /// Name of the data set.
    pub name: String,
    /// The kind of model: `full`, `dual`, ...
    pub model: String,
    /// When the page was made, in words.
    pub created: Option<String>,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Scores on labeled samples; `None` if there were none.
    pub evaluation: Option<Evaluation>,
    /// Scores on held-out training samples, for a model without a test.
    pub held_out: Option<HeldOut>,
    /// Learning curves, one per fold.
    pub learning: Vec<LearningCurve>,
    /// Each modality alone, and its weight in the pool.
    pub modalities: Vec<Modality>,
    /// What the modalities were scored on: `test`, `held-out training`, ...
    pub modality_split: String,
    /// Where the model looked.
    pub importance: Option<Importance>,
    /// The mistakes of which the model was most confident, most confident first.
    pub mistakes: Vec<Example>,
    /// The correct answers of which it was least sure, least sure first.
    pub unsure_hits: Vec<Example>,
    /// Samples that were asked for.
    pub explained: Vec<Example>,
    /// Sizes of the data, and what was noticed about them.
    pub data: Option<DataSummary>,
    /// Scores from the first steps only.
    pub early: Option<EarlyRecognition>,
    /// Models on the same splits.
    pub comparison: Vec<Contender>,
    /// How their differences were measured, in a sentence.
    pub comparison_method: String,
    /// Time and memory.
    pub cost: Cost,
    /// What is needed to repeat the run.
    pub provenance: Provenance,
}

impl ReportPage {
    /// The page as HTML.
    ///
    /// # Panics
    ///
    /// If the confusion matrix is not square, or a mask has not one byte a pixel.
    pub fn to_html(&self) -> String {
        if let Some(evaluation) = &self.evaluation {
            let n = evaluation.confusion.len();
            let square = evaluation.confusion.iter().all(|row| row.len() == n);
            assert!(square, "a confusion matrix of {n} rows that is not square");
        }
        let page = el("html")
            .attr("lang", "en")
            .child(self.head())
            .child(self.body());
        format!("<!DOCTYPE html>\n{page}\n")
    }

    /// Name of a class; of one without a name, its index.
    fn class_name(&self, class: usize) -> String {
        let given = self.class_names.get(class);
        given.map_or_else(|| format!("class {class}"), Clone::clone)
    }

    fn head(&self) -> Element {
        let style = format!(
            "{}{}{}",
            theme::css(),
            include_str!("page/matrix.css"),
            include_str!("page/page.css")
        );
        let meta =
            |name: &str, content: &str| el("meta").attr("name", name).attr("content", content);
        el("head")
            .child(el("meta").attr("charset", "utf-8"))
            .child(meta("viewport", "width=device-width,initial-scale=1"))
            .child(meta("color-scheme", "light dark"))
            .child(meta(
                "generator",
                concat!("timesclip ", env!("CARGO_PKG_VERSION")),
            ))
            .child(el("title").text(format!("{} – timesclip report", shortened(&self.name, 80))))
            .child(el("style").css(&style))
    }

    fn body(&self) -> Element {
        let sections = sections::all(self);
        let links = sections.iter().map(|section| {
            let link = el("a").attr("href", format!("#{}", section.id));
            el("li").child(link.text(section.title))
        });
        let contents = el("nav")
            .attr("aria-label", "Contents")
            .child(el("ul").children(links));
        let main = el("main")
            .attr("id", "main")
            .children(sections.into_iter().map(sections::Section::element));
        let version = concat!("Made by timesclip ", env!("CARGO_PKG_VERSION"));
        let skip = el("a")
            .class("skip")
            .attr("href", "#main")
            .text("Skip to the report");
        el("body")
            .child(skip)
            .child(self.title())
            .child(el("div").class("frame").child(contents).child(main))
            .child(el("footer").child(el("p").text(version)))
    }

    /// The name of the set, and the page's subject in a line.
    fn title(&self) -> Element {
        let classes = (!self.class_names.is_empty()).then(|| match self.class_names.len() {
            1 => "1 class".to_owned(),
            n => format!("{} classes", number::count(n as u64)),
        });
        let variates = self
            .data
            .as_ref()
            .map(|data| data.variate_names.len() as u64);
        let variates = variates.filter(|n| *n > 0).map(|n| counted(n, "variate"));
        let model =
            (!self.model.is_empty()).then(|| format!("{} model", shortened(&self.model, 40)));
        let created = self.created.as_ref().map(|created| shortened(created, 60));
        let facts = [model, classes, variates, created].into_iter().flatten();
        el("header")
            .child(el("p").class("kind").text("timesclip report"))
            .child(el("h1").child(name::name(&self.name, 120)))
            .child(
                el("ul")
                    .class("subject")
                    .children(facts.map(|fact| el("li").child(el("bdi").text(fact)))),
            )
    }
}

#[cfg(test)]
mod tests;
