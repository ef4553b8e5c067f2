//! Hashes of what series hold: equal contents, equal hashes. Not meant against a forger.

use xxhash_rust::xxh3::Xxh3;

use super::{LabeledSeries, SeriesDataset};

impl LabeledSeries {
    /// Puts id, shape and values into `bytes`, the same on every machine; the label is left out.
    pub(crate) fn content(&self, bytes: &mut Vec<u8>) {
        let Self { id, series, .. } = self;
        bytes.clear();
        for number in [*id, series.n_steps() as u64, series.n_variates() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for &value in series.values() {
            // One missing value is like another: the bits of a NaN differ between readers.
            let value = if value.is_nan() { f32::NAN } else { value };
            bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        for time in series.times().unwrap_or_default() {
            bytes.extend_from_slice(&time.to_bits().to_le_bytes());
        }
    }
}

impl SeriesDataset {
    /// A hash of all that can be learned from the set: the series, their weights and the names of
    /// their classes, in their order. The name of the set and its other metadata are left out.
    pub fn fingerprint(&self) -> u128 {
        let mut hash = Xxh3::new();
        for name in self.class_names() {
            hash.update(&(name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
        }
        let mut bytes = Vec::new();
        for sample in self.samples() {
            sample.content(&mut bytes);
            hash.update(&bytes);
            hash.update(&(sample.label as u64).to_le_bytes());
        }
        for weight in self.metadata().weights.iter().flatten() {
            hash.update(&weight.to_bits().to_le_bytes());
        }
        hash.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Series;

    fn fingerprint(name: &str, classes: [&str; 2], samples: [(f32, usize); 2]) -> u128 {
        let samples = (0..).zip(samples).map(|(id, (value, label))| {
            let series = Series::new(vec![value, 2.0], 2, 1).unwrap();
            LabeledSeries { id, series, label }
        });
        let classes = classes.map(str::to_owned).to_vec();
        let set = SeriesDataset::new(name, classes, samples.collect()).unwrap();
        set.fingerprint()
    }

    #[test]
    fn values_labels_and_class_names_change_it_and_the_name_of_the_set_does_not() {
        let base = fingerprint("a", ["x", "y"], [(1.0, 0), (3.0, 1)]);

        assert_eq!(base, fingerprint("b", ["x", "y"], [(1.0, 0), (3.0, 1)]));
        let others = [
            fingerprint("a", ["x", "y"], [(1.0, 1), (3.0, 0)]),
            fingerprint("a", ["x", "y"], [(1.5, 0), (3.0, 1)]),
            fingerprint("a", ["x", "y"], [(3.0, 1), (1.0, 0)]),
            fingerprint("a", ["x", "z"], [(1.0, 0), (3.0, 1)]),
        ];
        assert!(!others.contains(&base), "{base} among {others:?}");
    }

    #[test]
    fn all_missing_values_are_alike() {
        let of = |missing| fingerprint("a", ["x", "y"], [(missing, 0), (3.0, 1)]);
        assert_eq!(of(f32::NAN), of(-f32::NAN));
    }
}
