//! `.ts` files: any bytes are a data set that keeps its promises, or an error with a message.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use timesclip::data::ts::parse_ts;

fuzz_target!(|data: &[u8]| {
    match parse_ts(data, Path::new("fuzz.ts")) {
        Ok(set) => {
            assert!(!set.is_empty(), "a set without samples");
            for sample in set.samples() {
                assert_eq!(sample.series.n_variates(), set.n_variates());
                assert!(sample.label < set.n_classes(), "a label without a class");
                let values = sample.series.values();
                assert!(values.iter().all(|value| !value.is_infinite()), "infinity");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an empty message"),
    }
});
