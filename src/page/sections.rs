//! The sections of the page, in the order in which a reader asks.

mod calibration;
mod classes;
pub(super) mod comparison;
pub(super) mod confusion;
pub(super) mod cost;
pub(super) mod data;
pub(super) mod early;
pub(super) mod examples;
pub(super) mod importance;
pub(super) mod learning;
pub(super) mod modalities;
pub(super) mod provenance;
mod verdict;

use crate::page::ReportPage;
use crate::page::markup::{Element, el};

/// A section, and its entry in the table of contents.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    content: Vec<Element>,
}

impl Section {
    /// A section; none if it has no content.
    fn new(id: &'static str, title: &'static str, content: Vec<Element>) -> Option<Self> {
        (!content.is_empty()).then_some(Self { id, title, content })
    }

    /// Its element.
    pub(super) fn element(self) -> Element {
        el("section")
            .attr("id", self.id)
            .child(el("h2").text(self.title))
            .children(self.content)
    }
}

/// All sections that have something to show.
pub(super) fn all(page: &ReportPage) -> Vec<Section> {
    let sections = [
        verdict::section,
        confusion::section,
        classes::section,
        calibration::section,
        learning::section,
        modalities::section,
        importance::section,
        examples::section,
        data::section,
        early::section,
        comparison::section,
        cost::section,
        provenance::section,
    ];
    let mut sections: Vec<Section> = sections
        .into_iter()
        .filter_map(|section| section(page))
        .collect();
    // A page that is about the comparison begins with it.
    if page.evaluation.is_none() {
        sections.sort_by_key(|section| section.id != "comparison");
    }
    sections
}
