//! Time and memory.

use super::Section;
use crate::page::markup::el;
use crate::page::number::{bytes, duration};
use crate::page::widgets::{Column, bar, facts, head, number, table, tile, track};
use crate::page::{Fact, ReportPage};

/// Time and memory.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Wall time of each stage in seconds.
    pub stages: Vec<(String, f64)>,
    /// Wall time of the whole run in seconds.
    pub total_seconds: Option<f64>,
    /// Peak of memory in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Other figures: parameters, pictures in the cache, threads.
    pub facts: Vec<Fact>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let cost = &page.cost;
    let total = cost
        .total_seconds
        .map(|seconds| tile("Whole run", duration(seconds), "Wall time"));
    let memory = cost
        .peak_memory_bytes
        .map(|peak| tile("Peak memory", bytes(peak), "Of the whole process"));
    let tiles: Vec<_> = [total, memory].into_iter().flatten().collect();
    let mut content = Vec::new();
    if !tiles.is_empty() {
        content.push(el("dl").class("tiles").children(tiles));
    }
    if !cost.stages.is_empty() {
        let longest = cost
            .stages
            .iter()
            .map(|(_, seconds)| *seconds)
            .fold(0.0, f64::max);
        let columns = [Column::Text("Stage"), Column::Number("Time"), Column::Bar];
        let rows = cost.stages.iter().map(|(stage, seconds)| {
            let share = if longest > 0.0 {
                seconds / longest
            } else {
                0.0
            };
            vec![
                head(stage),
                number(duration(*seconds)),
                bar(track(share, None, "other")),
            ]
        });
        content.push(table("Wall time of each stage", &columns, rows));
    }
    content.extend(facts(&cost.facts));
    Section::new("cost", "Time and memory", content)
}
