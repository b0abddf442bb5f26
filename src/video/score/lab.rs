//! sRGB to 8-bit CIE Lab: the integer version of OpenCV's `COLOR_RGB2Lab` (`color_lab.cpp`). Fewer than 1 in 10,000 values
//! differ, by one level.
//!
//! OpenCV is as fast, but spends 70 ms on tables at its first call, most of them for floating point images.

/// Steps of linear light per 8-bit level.
const FINER: usize = 8;
const N_STEPS: usize = 256 * FINER;
/// 1 in the fixed-point formats of shares, and of CIE's f.
const SHARE_ONE: i32 = 1 << 12;
const ROOT_ONE: i32 = 1 << 15;
/// For X, Y and Z the shares of red, green and blue (sRGB, IEC 61966-2-1), and the value of the D65 white point.
const XYZ: [([f64; 3], f64); 3] = [
    ([0.412_453, 0.357_580, 0.180_423], 0.950_456),
    ([0.212_671, 0.715_160, 0.072_169], 1.0),
    ([0.019_334, 0.119_193, 0.950_227], 1.088_754),
];

/// The tables of the conversion.
pub(super) struct ToLab {
    /// Light of each 8-bit value, 0 to `255 * FINER`.
    light: [i32; 256],
    /// CIE's f of each step of light, in `ROOT_ONE`.
    root: [i32; N_STEPS],
    /// Rows for X, Y and Z, in `SHARE_ONE`.
    shares: [[i32; 3]; 3],
}

impl ToLab {
    pub(super) fn new() -> Self {
        let full = (255 * FINER) as f64;
        let light = |value: usize| {
            let value = value as f64 / 255.0;
            let linear = if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
            (full * linear).round() as i32
        };
        let root = |step: usize| {
            let light = step as f64 / full;
            let root = if light < 216.0 / 24_389.0 { light * 841.0 / 108.0 + 16.0 / 116.0 } else { light.cbrt() };
            (f64::from(ROOT_ONE) * root).round() as i32
        };
        Self {
            light: std::array::from_fn(light),
            root: std::array::from_fn(root),
            shares: XYZ.map(|(row, white)| row.map(|share| (f64::from(SHARE_ONE) * share / white).round() as i32)),
        }
    }

    /// L from 0 to 255, a and b around 128, for each pixel of RGB24.
    pub(super) fn convert(&self, rgb: &[u8]) -> Vec<u8> {
        let pixel = |pixel: &[u8; 3]| {
            let light = pixel.map(|value| self.light[usize::from(value)]);
            let [x, y, z] = self.shares.map(|row| {
                let step: i32 = row.iter().zip(light).map(|(share, light)| share * light).sum();
                self.root[(rounded(step, SHARE_ONE) as usize).min(N_STEPS - 1)]
            });
            // 116 * y - 16 is 0 to 100, to be 0 to 255.
            let lightness = (116 * 255 + 50) / 100 * y - (16 * 255 * ROOT_ONE + 50) / 100;
            let middle = 128 * ROOT_ONE;
            [lightness, 500 * (x - y) + middle, 200 * (y - z) + middle]
                .map(|value| rounded(value, ROOT_ONE).clamp(0, 255) as u8)
        };
        rgb.as_chunks().0.iter().flat_map(pixel).collect()
    }
}

/// `value / one`, halves upwards.
fn rounded(value: i32, one: i32) -> i32 {
    (value + one / 2).div_euclid(one)
}

#[cfg(test)]
mod tests {
    use opencv::core::{Mat, MatTraitConstManual as _, Vec3b};
    use opencv::imgproc;

    use super::*;

    #[test]
    fn colours_are_those_of_opencv() {
        let steps = || (0..=255u8).step_by(3);
        let rgb: Vec<u8> =
            steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
        let mut expected = Mat::default();
        let picture = Mat::new_rows_cols_with_bytes::<Vec3b>(1, rgb.len() as i32 / 3, &rgb).unwrap();
        imgproc::cvt_color_def(&picture, &mut expected, imgproc::COLOR_RGB2Lab).unwrap();
        let found = ToLab::new().convert(&rgb);
        let differences = found.iter().zip(expected.data_bytes().unwrap()).map(|(a, b)| a.abs_diff(*b));
        assert_eq!(differences.clone().max(), Some(1));
        let n_other = differences.filter(|difference| *difference > 0).count();
        assert!(n_other * 10_000 < found.len(), "{n_other} of {} differ", found.len());
    }
}
