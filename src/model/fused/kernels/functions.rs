//! Functions of one number that the compiler can vectorize.

/// Rounds to an integer when added: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// Below, `exp` has left the normal numbers.
const EXP_LEAST: f32 = -87.336_54;
/// Above, `exp` stays at 2.4e38, which is as good as infinite in a quotient.
const EXP_MOST: f32 = 88.37;

/// `exp` within 2 units in the last place, between zero at the bottom and 2.4e38 at the top.
///
/// # Source
/// Cephes `expf`: `2^n * exp(r)` with `|r| <= ln(2) / 2`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Comparisons that NaN fails, so that it stays.
    let bounded = if x < EXP_LEAST { EXP_LEAST } else { x };
    let bounded = if bounded > EXP_MOST {
        EXP_MOST
    } else {
        bounded
    };
    let rounded = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = bounded - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    // 2^n: the low bits of `rounded` are n.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < EXP_LEAST { 0.0 } else { p * power }
}

/// The error function within 2e-7.
///
/// # Source
/// Abramowitz and Stegun, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let p = 1.061_405_4 * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-size * size)).copysign(x)
}

/// A function of one number with its derivative.
pub(crate) trait Pointwise: Copy + Send + Sync {
    /// Its value.
    fn value(self, x: f32) -> f32;
    /// Its derivative.
    fn slope(self, x: f32) -> f32;
}

/// `x * sigmoid(1.702 x)`
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuickGelu;

impl Pointwise for QuickGelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + exp(-1.702 * x))
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        let gate = 1.0 / (1.0 + exp(-1.702 * x));
        gate * (1.0 + 1.702 * x * (1.0 - gate))
    }
}

/// `x * P(X <= x)` of a standard normal X.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gelu;

impl Pointwise for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        let below = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        below + x * 0.398_942_3 * exp(-0.5 * x * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place_and_keeps_what_is_not_a_number() {
        for i in -87_300..88_370 {
            let x = i as f32 * 1e-3;
            let (ours, exact) = (exp(x), f64::from(x).exp());
            let apart = (f64::from(ours) - exact).abs() / exact;
            assert!(apart < 2.5e-7, "exp({x}) is {ours}, not {exact}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY)), (1.0, 0.0));
        assert!(exp(f32::NAN).is_nan() && exp(200.0) > 2e38);
    }

    #[test]
    fn erf_is_within_its_stated_error() {
        // Handbook of Mathematical Functions, table 7.1.
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
        ];
        for (x, exact) in table.into_iter().chain([(2.0, 0.995_322_3), (4.0, 1.0)]) {
            assert!((erf(x) - exact).abs() < 5e-7, "erf({x}) is {}", erf(x));
            assert!((erf(-x) + exact).abs() < 5e-7, "erf is not odd at {x}");
        }
    }
}
