//! How far a share of samples can be from the truth.

/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95% interval of a share, which holds up near 0 and 1 and in small samples.
///
/// # Formula
///
/// `(p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`
pub(super) fn wilson(correct: u64, samples: u64) -> Option<[f64; 2]> {
    if samples == 0 {
        return None;
    }
    let n = samples as f64;
    let p = correct as f64 / n;
    let z2 = Z * Z;
    let middle = p + z2 / (2.0 * n);
    let reach = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    let [low, high] = [(middle - reach) / scale, (middle + reach) / scale];
    Some([low.max(0.0).min(p), high.min(1.0).max(p)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What statsmodels' `proportion_confint(method="wilson")` prints to ten places.
    const TOLERANCE: f64 = 1e-9;

    #[test]
    fn intervals_are_those_of_statsmodels() {
        // for c, n in CASES: proportion_confint(c, n, method="wilson")
        let known = [
            (366, 370, [0.972_536_839_777, 0.995_788_078_337]),
            (1, 3, [0.061_491_944_720, 0.792_340_399_198]),
            (0, 10, [0.0, 0.277_532_799_863]),
            (20, 20, [0.838_874_841_947, 1.0]),
        ];
        for (correct, samples, expected) in known {
            let found = wilson(correct, samples).unwrap();
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (found - expected).abs() < TOLERANCE,
                    "{correct}/{samples}: {found}"
                );
            }
        }
        assert_eq!(wilson(0, 0), None);
    }

    /// Uniform numbers in 0..1, by the multiplier of Knuth's MMIX.
    fn uniform(state: &mut u64) -> f64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn the_interval_holds_the_true_accuracy_of_simulated_classifiers_95_times_in_100() {
        // Accuracies and sizes of test sets as the archives have them.
        let mut state = 1;
        let (mut held, mut trials) = (0, 0);
        for n in [40, 100, 370, 1029] {
            for accuracy in [0.35, 0.6, 0.8, 0.9, 0.97] {
                let mut held_here = 0;
                for _ in 0..1000 {
                    let correct = (0..n).filter(|_| uniform(&mut state) < accuracy).count() as u64;
                    let [low, high] = wilson(correct, n).unwrap();
                    held_here += u32::from(low <= accuracy && accuracy <= high);
                }
                let share = f64::from(held_here) / 1000.0;
                // Shares of few samples come in steps, so that a single case may be further off.
                assert!(
                    (0.92..=0.985).contains(&share),
                    "n {n}, accuracy {accuracy}: {share}"
                );
                held += held_here;
                trials += 1000;
            }
        }
        let share = f64::from(held) / f64::from(trials);
        assert!((0.93..=0.97).contains(&share), "held in {share} of all");
    }
}
