//! Samples as 16-bit integers.

/// The nearest 16-bit value; samples beyond full scale are clipped, NaN becomes 0.
pub(crate) fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_round_and_clip() {
        let cases = [(0.0, 0), (1.0, 32_767), (7.5, 32_767), (-1.0, -32_768), (-9.0, -32_768), (f32::NAN, 0)];
        for (sample, value) in cases {
            assert_eq!(to_i16(sample), value);
        }
        // Every stored value comes back.
        for value in i16::MIN..=i16::MAX {
            assert_eq!(to_i16(f32::from(value) / 32_768.0), value);
        }
    }
}
