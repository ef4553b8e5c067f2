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
mod input;
mod interval;
mod markup;
mod name;
mod number;
mod picture;
mod sections;
mod theme;
mod widgets;

#[cfg(test)]
mod tests;

pub use self::input::{
    Baseline, CalibrationBin, ClassImportance, Contender, Cost, DataSummary, EarlyPoint,
    EarlyRecognition, EpochScores, Evaluation, Example, Fact, Finding, HeatWindow, Importance,
    LearningCurve, Modality, Plot, Provenance, ReportPage, SplitSummary,
};
pub use self::sections::confusion::confusion_svg;

use self::markup::{Element, el};
use self::name::shortened;
use self::number::counted;

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

    fn head(&self) -> Element {
        let style = format!(
            "{}{}{}",
            theme::css(),
            include_str!("page/matrix.css"),
            include_str!("page/page.css")
        );
        let meta = |name: &str, content: &str| el("meta").attr("name", name).attr("content", content);
        el("head")
            .child(el("meta").attr("charset", "utf-8"))
            .child(meta("viewport", "width=device-width,initial-scale=1"))
            .child(meta("color-scheme", "light dark"))
            .child(meta("generator", concat!("timesclip ", env!("CARGO_PKG_VERSION"))))
            .child(el("title").text(format!("{} – timesclip report", shortened(&self.name, 80))))
            .child(el("style").css(&style))
    }

    fn body(&self) -> Element {
        let sections = sections::all(self);
        let entries = [("verdict", "Verdict")].into_iter();
        let entries = entries.chain(sections.iter().map(|section| (section.id, section.title)));
        let links = entries.map(|(id, title)| {
            let link = el("a").attr("href", format!("#{id}")).text(title);
            el("li").child(link)
        });
        let contents = el("nav")
            .attr("aria-label", "Contents")
            .child(el("ul").children(links));
        let main = el("main")
            .attr("id", "main")
            .child(sections::verdict(self))
            .children(sections.into_iter().map(sections::Section::element));
        let version = concat!("Made by timesclip ", env!("CARGO_PKG_VERSION"));
        let skip = el("a").class("skip").attr("href", "#main").text("Skip to the report");
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
        let variates = self.data.as_ref().map(|data| data.variate_names.len() as u64);
        let variates = variates.filter(|n| *n > 0).map(|n| counted(n, "variate"));
        let model = (!self.model.is_empty()).then(|| format!("{} model", shortened(&self.model, 40)));
        let created = self.created.as_ref().map(|created| shortened(created, 60));
        let facts = [model, classes, variates, created].into_iter().flatten();
        el("header")
            .child(el("p").class("kind").text("timesclip report"))
            .child(el("h1").child(name::name(&self.name, 120)))
            .child(el("ul").class("subject").children(facts.map(|fact| el("li").child(el("bdi").text(fact)))))
    }
}
