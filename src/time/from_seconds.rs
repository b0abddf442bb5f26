//! Fractions from floats of seconds.

/// Bits of the fraction of a 64-bit float.
const FRACTION_BITS: i32 = 52;

/// The fraction with the smallest denominator that is equal to `seconds` as a float, as numerator and denominator; None
/// if its denominator does not fit into 32 bits, or if `seconds` is not finite.
///
/// A time that was written as a float therefore reads back as a time that is written the same way, because its own
/// fraction is a candidate. This holds for numerators below 2^53, which floats represent exactly: 27 hours in
/// any time base, and 104 days in nanoseconds.
pub(super) fn simplest_fraction(seconds: f64) -> Option<(i64, u32)> {
    let bits = seconds.abs().to_bits();
    let exponent = (bits >> FRACTION_BITS) as i32 - 1023;
    // Smaller floats are below any time base; larger ones are more than a second apart.
    if !(-60..=FRACTION_BITS).contains(&exponent) {
        return (seconds == 0.0).then_some((0, 1));
    }
    // `seconds` is `mantissa / scale`; the bounds are half a step of the float away.
    let mantissa = u128::from(bits & ((1 << FRACTION_BITS) - 1) | 1 << FRACTION_BITS);
    let scale = 1_u128 << (FRACTION_BITS - exponent + 1);
    let (num, den) = simplest_between((2 * mantissa - 1, scale), (2 * mantissa + 1, scale))?;
    let (num, den) = (i64::try_from(num).ok()?, u32::try_from(den).ok()?);
    // A bound itself may round to the next float.
    let is_equal = (num as f64 / f64::from(den)).to_bits() == seconds.abs().to_bits();
    is_equal.then_some((if seconds < 0.0 { -num } else { num }, den))
}

/// The fraction with the smallest denominator from `low` to `high`, by their continued fractions (Graham, Knuth,
/// Patashnik: "Concrete Mathematics", 4.5).
fn simplest_between(low: (u128, u128), high: (u128, u128)) -> Option<(u128, u128)> {
    let whole = low.0 / low.1;
    if low.0 == whole * low.1 {
        return Some((whole, 1));
    }
    if (whole + 1) * high.1 <= high.0 {
        return Some((whole + 1, 1));
    }
    let inverse = |(num, den): (u128, u128)| (den, num - whole * den);
    let (num, den) = simplest_between(inverse(high), inverse(low))?;
    Some((whole.checked_mul(num)?.checked_add(den)?, num))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_the_fractions_that_they_were_written_from() {
        for (num, den) in
            [(0_i64, 1_u32), (1, 3), (5, 1), (-7, 48_000), (123_456_789, 90_000), (1001, 30_000), (1, 4_294_967_295)]
        {
            assert_eq!(
                simplest_fraction(num as f64 / f64::from(den)).map(|(n, d)| n as f64 / f64::from(d)),
                Some(num as f64 / f64::from(den))
            );
        }
        assert_eq!(simplest_fraction(1.0 / 3.0), Some((1, 3)));
        assert_eq!(simplest_fraction(-0.25), Some((-1, 4)));
        assert_eq!(simplest_fraction(64.5), Some((129, 2)));
        assert_eq!(
            (simplest_fraction(f64::NAN), simplest_fraction(f64::INFINITY), simplest_fraction(1e300)),
            (None, None, None)
        );
        assert_eq!(simplest_fraction(1e-300), None);
    }
}
