//! CSV tables: any bytes are a data set that keeps its promises, or an error with a message.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use timesclip::data::csv::{CsvFormat, HeaderRow, Layout, parse_csv};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, table)) = data.split_first() else {
        return;
    };
    let mut format = CsvFormat::new(usize::from(choice & 3));
    if choice & 4 != 0 {
        format.layout = Layout::VariateMajor;
    }
    if choice & 8 != 0 {
        format.header = HeaderRow::Present;
    }
    if choice & 16 != 0 {
        format.label_column = Some("class".to_owned());
    }
    if choice & 32 != 0 {
        format.delimiter = Some(';');
    }
    match parse_csv(table, Path::new("fuzz.csv"), &format) {
        Ok(set) => {
            assert!(!set.is_empty(), "a set without samples");
            for sample in set.samples() {
                assert_eq!(sample.series.n_variates(), format.n_variates);
                assert!(sample.label < set.n_classes(), "a label without a class");
                let values = sample.series.values();
                assert!(values.iter().all(|value| !value.is_infinite()), "infinity");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an empty message"),
    }
});
