//! Files of series of every kind: any bytes are a data set that keeps its promises, or an error with a
//! message. The first two bytes choose the options.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use timesclip::data::read::{HeaderRow, OnError, parse, parse_like};
use timesclip::data::window::{LabelRule, Windows};
use timesclip::data::{Labels, Layout, ReadOptions, SeriesDataset};

fn options(bits: u16) -> ReadOptions {
    let has = |bit: u16| bits >> bit & 1 == 1;
    let named = |bit: u16, name: &str| has(bit).then(|| name.to_owned());
    ReadOptions {
        labels: match (has(0), has(1)) {
            (false, _) => Labels::Optional,
            (true, false) => Labels::Required,
            (true, true) => Labels::Absent,
        },
        layout: has(2).then_some(Layout::VariateMajor),
        header: if has(3) { HeaderRow::Present } else { HeaderRow::Auto },
        label_column: named(4, "label").filter(|_| !(has(0) && has(1))),
        n_variates: has(5).then_some(2),
        delimiter: has(6).then_some(';'),
        on_error: if has(7) { OnError::Skip } else { OnError::Fail },
        time_column: named(8, "time"),
        windows: has(9).then_some(Windows { length: 2, stride: 1, label: LabelRule::Majority }),
        group_column: named(10, "subject"),
        variate_column: named(11, "variate"),
        ..ReadOptions::default()
    }
}

fn check(set: &SeriesDataset) {
    for sample in set.samples() {
        assert_eq!(sample.series.n_variates(), set.n_variates());
        assert!(sample.label < set.n_classes(), "a label without a class");
        let values = sample.series.values();
        assert!(values.iter().all(|value| !value.is_infinite()), "infinity");
    }
}

/// Panics end the run but for those of the crate that decodes Parquet, which are caught and told as
/// errors.
fn abort_on_panics_of_ours() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if !file.contains("/parquet-") {
            report(panic);
        }
    }));
}

fuzz_target!(init: abort_on_panics_of_ours(), |data: &[u8]| {
    let Some((&[low, high], bytes)) = data.split_first_chunk() else {
        return;
    };
    let options = options(u16::from_le_bytes([low, high]));
    match parse(bytes, Path::new("fuzz"), &options) {
        Ok(read) => {
            check(&read.dataset);
            assert!(!read.understanding.inspect().is_empty());
            // What was read fits itself.
            if let Ok(again) = parse_like(bytes, Path::new("fuzz"), &options, &read.schema) {
                check(&again.dataset);
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
        }
    }
});
