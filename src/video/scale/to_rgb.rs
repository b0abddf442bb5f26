//! YUV 4:4:4 of 10 bits to RGB24. libswscale can do it while scaling, but takes three times as long,
//! because it has no SIMD for it. Ten bits keep the precision that scaling adds.

/// Neutral chroma: 128 at 8 bits.
const MIDDLE: i32 = 512;
/// Two bits for 10-bit samples, sixteen for the factors.
const SHIFT: i32 = 2 + 16;

/// The conversion for one matrix and range; all factors times 65,536.
pub(super) struct ToRgb {
    luma: i32,
    black: i32,
    v_to_red: i32,
    u_to_green: i32,
    v_to_green: i32,
    u_to_blue: i32,
}

impl ToRgb {
    /// `coefficients` as `sws_getCoefficients` gives them: V to red, U to blue, U and V to green (both subtracted), for
    /// limited range.
    pub(super) fn new(coefficients: [i32; 4], is_full: bool) -> Self {
        let [v_to_red, u_to_blue, u_to_green, v_to_green] =
            coefficients.map(|factor| if is_full { (i64::from(factor) * 224 / 255) as i32 } else { factor });
        let (luma, black) = if is_full { (1 << 16, 0) } else { ((255 << 16) / 219, 16 << 2) };
        Self { luma, black, v_to_red, u_to_green: -u_to_green, v_to_green: -v_to_green, u_to_blue }
    }

    /// Converts one row: two bytes per sample in `y`, `u` and `v`, three per pixel in `rgb`.
    pub(super) fn row(&self, [y, u, v]: [&[u8]; 3], rgb: &mut [u8]) {
        let sample = |bytes: &[u8; 2]| i32::from(u16::from_ne_bytes(*bytes));
        let yuv = y.as_chunks().0.iter().zip(u.as_chunks().0).zip(v.as_chunks().0);
        for (rgb, ((y, u), v)) in rgb.as_chunks_mut().0.iter_mut().zip(yuv) {
            let luma = (sample(y) - self.black) * self.luma + (1 << (SHIFT - 1));
            let (u, v) = (sample(u) - MIDDLE, sample(v) - MIDDLE);
            *rgb = [self.v_to_red * v, self.u_to_green * u + self.v_to_green * v, self.u_to_blue * u]
                .map(|colour| ((luma + colour) >> SHIFT).clamp(0, 255) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ITU-R BT.709, 3.2 to 3.4, in real numbers.
    fn expected([y, u, v]: [i32; 3], is_full: bool) -> [f64; 3] {
        let (low, luma, colour) = if is_full { (0.0, 1020.0, 1020.0) } else { (64.0, 876.0, 896.0) };
        let (y, u, v) = ((f64::from(y) - low) / luma, (f64::from(u) - 512.0) / colour, (f64::from(v) - 512.0) / colour);
        let (red, blue) = (y + 1.5748 * v, y + 1.8556 * u);
        [red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue].map(|value| (value * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        for is_full in [false, true] {
            // libswscale's own for BT.709.
            let to_rgb = ToRgb::new([117_489, 138_438, 13_975, 34_925], is_full);
            for y in (0..1024).step_by(31) {
                for u in (0..1024).step_by(33) {
                    for v in (0..1024).step_by(33) {
                        let planes = [y, u, v].map(|sample: i32| (sample as u16).to_ne_bytes());
                        let mut rgb = [0; 3];
                        to_rgb.row([&planes[0], &planes[1], &planes[2]], &mut rgb);
                        for (found, expected) in rgb.iter().zip(expected([y, u, v], is_full)) {
                            assert!(
                                (f64::from(*found) - expected).abs() < 0.52,
                                "{y} {u} {v}: {rgb:?}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}
