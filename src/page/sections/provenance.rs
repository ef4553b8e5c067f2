//! What is needed to repeat the run.

use super::Section;
use crate::page::markup::{Element, el};
use crate::page::number::bytes;
use crate::page::widgets::{facts, fold, note, scroller};
use crate::page::{Fact, ReportPage};

/// Bytes of the configuration that are shown.
const MAX_CONFIGURATION: usize = 200_000;
/// Bytes of the command that are shown.
const MAX_COMMAND: usize = 20_000;

/// What is needed to repeat the run.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The command that repeats it.
    pub command: Option<String>,
    /// Hash of the data.
    pub data_hash: Option<String>,
    /// Versions, seeds and such.
    pub facts: Vec<Fact>,
    /// The full configuration as text.
    pub configuration: Option<String>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let provenance = &page.provenance;
    let mut content = Vec::new();
    if let Some(command) = &provenance.command {
        content.push(el("p").text("This command repeats the run:"));
        content.extend(verbatim("Command", command, MAX_COMMAND));
    }
    let hash = provenance
        .data_hash
        .iter()
        .map(|hash| Fact::new("Data hash", hash));
    let all: Vec<Fact> = hash.chain(provenance.facts.iter().cloned()).collect();
    content.extend(facts(&all));
    if let Some(configuration) = &provenance.configuration {
        let text = verbatim("Configuration", configuration, MAX_CONFIGURATION);
        content.push(fold("Full configuration", text));
    }
    Section::new("provenance", "How to repeat it", content)
}

/// Text as it is, cut where it is too long for a page.
fn verbatim(label: &str, text: &str, most: usize) -> Vec<Element> {
    let shown = &text[..text.floor_char_boundary(most)];
    let code = el("pre").child(el("code").text(shown));
    let rest = text.len() - shown.len();
    let rest = (rest > 0).then(|| note(format!("{} more are left out.", bytes(rest as u64))));
    [scroller(label, code)].into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = verbatim("", &"é".repeat(10), 5);
        assert!(cut[0].to_string().contains(">éé</code>"), "{}", cut[0]);
        assert!(cut[1].to_string().contains("16 B more"), "{}", cut[1]);
    }
}
