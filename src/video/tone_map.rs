//! Tone mapping: high dynamic range and wide gamut to SDR with BT.709 primaries.
//!
//! Light is display light in nits (cd/m²). The steps follow ITU-R recommendations:
//!
//! 1. code to light: PQ and HLG by BT.2100 (HLG for a display of 1000 nits, system gamma 1.2);
//! 2. highlights: the curve of BT.2390 (section 5.4.1) from 1000 nits to the 203 of SDR's white (BT.2408), on the largest of
//!    the three channels, the others in proportion, which preserves hue and saturation. Up to 90 nits nothing changes;
//! 3. primaries: BT.2020 to BT.709 by BT.2087, clipped;
//! 4. light to code: the inverse of BT.1886, on which SDR is graded.
//!
//! So a grey card of 26 nits maps to 42 % of the signal, and HDR's reference white of 203 nits to 90 %.

/// Maximum luminance. Brighter highlights are white.
const PEAK_NITS: f32 = 1000.0;
/// SDR's white, and HDR's diffuse white (BT.2408).
const WHITE_NITS: f32 = 203.0;
/// Exponent of an SDR display (BT.1886).
const SDR_GAMMA: f32 = 2.4;
/// Steps of the tables from code to light. PQ shows no banding at 12 bits.
const N_CODES: usize = 1 << 12;
/// Steps of the tables over light.
const N_LIGHTS: usize = 1 << 12;

/// The transfer function of a stream: how code values represent light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// SMPTE ST 2084.
    Pq,
    /// ARIB STD-B67, hybrid log-gamma.
    Hlg,
    /// SDR in the primaries of BT.2020.
    Sdr,
}

/// Maps colours of BT.2020 to 8-bit SDR with lookup tables.
pub(super) struct ToSdr {
    transfer: Transfer,
    /// Light of a 12-bit code value: nits; for HLG scene light, 0 to 1.
    light: Vec<f32>,
    /// Factor of the highlight curve for 0 to [`PEAK_NITS`], divided by [`WHITE_NITS`].
    gain: Vec<f32>,
    /// 8-bit code value by the square root of light (1 is white), which gives dark shades finer steps.
    code: Vec<u8>,
}

impl ToSdr {
    pub(super) fn new(transfer: Transfer) -> Self {
        let part = |i: usize, n: usize| i as f32 / (n - 1) as f32;
        let light = |code: f32| match transfer {
            Transfer::Pq => pq_to_nits(code).min(PEAK_NITS),
            Transfer::Hlg => hlg_to_scene(code),
            Transfer::Sdr => code.powf(SDR_GAMMA) * WHITE_NITS,
        };
        let is_hdr = transfer != Transfer::Sdr;
        let gain = |nits: f32| if is_hdr && nits > 0.0 { roll_off(nits) / nits / WHITE_NITS } else { 1.0 / WHITE_NITS };
        let code = |root: f32| (root.powf(2.0 / SDR_GAMMA) * 255.0).round() as u8;
        Self {
            transfer,
            light: (0..N_CODES).map(|i| light(part(i, N_CODES))).collect(),
            gain: (0..N_LIGHTS).map(|i| gain(part(i, N_LIGHTS) * PEAK_NITS)).collect(),
            code: (0..N_LIGHTS).map(|i| code(part(i, N_LIGHTS))).collect(),
        }
    }

    /// Maps one pixel: red, green and blue of 16 bits.
    pub(super) fn pixel(&self, wide: [u16; 3]) -> [u8; 3] {
        let mut light = wide.map(|code| self.light[usize::from(code >> 4)]);
        if self.transfer == Transfer::Hlg {
            // OOTF of the display: each channel times the luminance to the power of the system gamma minus 1.
            let luminance = 0.2627 * light[0] + 0.6780 * light[1] + 0.0593 * light[2];
            let factor = PEAK_NITS * luminance.powf(0.2);
            light = light.map(|channel| channel * factor);
        }
        let largest = light[0].max(light[1]).max(light[2]);
        let gain = self.gain[at(largest / PEAK_NITS)];
        let [r, g, b] = light.map(|channel| channel * gain);
        [
            1.6605 * r - 0.5876 * g - 0.0728 * b,
            -0.1246 * r + 1.1329 * g - 0.0083 * b,
            -0.0182 * r - 0.1006 * g + 1.1187 * b,
        ]
        .map(|channel| self.code[at(channel.clamp(0.0, 1.0).sqrt())])
    }
}

/// Index into a table over light, 0 to 1.
fn at(part: f32) -> usize {
    ((part * (N_LIGHTS - 1) as f32 + 0.5) as usize).min(N_LIGHTS - 1)
}

const M1: f32 = 2610.0 / 16384.0;
const M2: f32 = 2523.0 / 4096.0 * 128.0;
const C1: f32 = 3424.0 / 4096.0;
const C2: f32 = 2413.0 / 4096.0 * 32.0;
const C3: f32 = 2392.0 / 4096.0 * 32.0;

/// BT.2100, table 4.
fn pq_to_nits(code: f32) -> f32 {
    let p = code.powf(1.0 / M2);
    10_000.0 * ((p - C1).max(0.0) / (C2 - C3 * p)).powf(1.0 / M1)
}

/// The inverse of [`pq_to_nits`].
fn nits_to_pq(nits: f32) -> f32 {
    let y = (nits / 10_000.0).powf(M1);
    ((C1 + C2 * y) / (1.0 + C3 * y)).powf(M2)
}

/// BT.2100, table 5: the inverse OETF.
fn hlg_to_scene(code: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 1.0 - 4.0 * A;
    const C: f32 = 0.559_910_7;
    if code <= 0.5 { code * code / 3.0 } else { (((code - C) / A).exp() + B) / 12.0 }
}

/// BT.2390-11, section 5.4.1, with black at 0: nits of the source to nits of the display.
fn roll_off(nits: f32) -> f32 {
    let source = nits_to_pq(PEAK_NITS);
    let max = nits_to_pq(WHITE_NITS) / source;
    let knee = 1.5 * max - 0.5;
    let e1 = (nits_to_pq(nits) / source).min(1.0);
    if e1 <= knee {
        return nits;
    }
    let t = (e1 - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let e2 = (2.0 * t3 - 3.0 * t2 + 1.0) * knee + (t3 - 2.0 * t2 + t) * (1.0 - knee) + (-2.0 * t3 + 3.0 * t2) * max;
    pq_to_nits(e2 * source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pq(nits: f32) -> u16 {
        (nits_to_pq(nits) * 65535.0).round() as u16
    }

    fn grey(transfer: Transfer, code: u16) -> u8 {
        let [r, g, b] = ToSdr::new(transfer).pixel([code; 3]);
        assert!(r.abs_diff(g) <= 1 && g.abs_diff(b) <= 1, "grey stays grey: {r} {g} {b}");
        g
    }

    #[test]
    fn pq_has_the_values_of_its_standard() {
        // BT.2408, table 1: the grey card at 38 % of PQ is 26 nits, reference white at 58 % is 203.
        assert!((nits_to_pq(26.0) - 0.38).abs() < 0.005);
        assert!((nits_to_pq(203.0) - 0.58).abs() < 0.005);
        for nits in [0.01, 1.0, 100.0, 1000.0, 10_000.0] {
            assert!((pq_to_nits(nits_to_pq(nits)) / nits - 1.0).abs() < 0.01, "{nits}");
        }
    }

    #[test]
    fn a_grey_card_stays_where_sdr_has_it_and_white_is_near_white_but_not_clipped() {
        // BT.2408: the grey card is 42.5 % of the SDR signal, 108 of 255.
        assert!(grey(Transfer::Pq, pq(26.0)).abs_diff(108) <= 1);
        let white = grey(Transfer::Pq, pq(203.0));
        assert!((222..=240).contains(&white), "{white}");
        assert_eq!(grey(Transfer::Pq, pq(1000.0)), 255);
        assert_eq!(grey(Transfer::Pq, pq(4000.0)), 255);
        assert_eq!(grey(Transfer::Pq, 0), 0);
        // HLG: the same two at 38 % and 75 % of its signal.
        assert!(grey(Transfer::Hlg, (0.38 * 65535.0) as u16).abs_diff(108) <= 3);
        assert!(grey(Transfer::Hlg, (0.75 * 65535.0) as u16).abs_diff(white) <= 2);
        assert_eq!(grey(Transfer::Hlg, u16::MAX), 255);
    }

    #[test]
    fn brighter_light_never_comes_out_darker() {
        for transfer in [Transfer::Pq, Transfer::Hlg, Transfer::Sdr] {
            let map = ToSdr::new(transfer);
            let mut brightest = 0_u8;
            for code in (0..N_CODES).map(|i| map.pixel([(i << 4) as u16; 3])[1]) {
                // The curve's table has finer steps than 8 bits, yet rounding can fall on either side of one.
                assert!(brightest.saturating_sub(code) <= 1, "{transfer:?}: {code} after {brightest}");
                brightest = brightest.max(code);
            }
        }
    }

    #[test]
    fn colours_of_bt709_come_back_as_saturated_as_they_were() {
        // 75 % bars of BT.709 on a display of 100 nits, as BT.2020 in PQ: below the knee all must come back.
        let to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]];
        let map = ToSdr::new(Transfer::Pq);
        for bar in [[191, 0, 0], [0, 191, 0], [0, 0, 191], [191, 191, 0], [0, 191, 191], [191, 0, 191], [20, 50, 180]] {
            let light = bar.map(|code| (code as f32 / 255.0).powf(SDR_GAMMA) * 100.0);
            let wide = to_2020.map(|row| pq(row[0] * light[0] + row[1] * light[1] + row[2] * light[2]));
            // 100 of 203 nits: the code value is the 2.4th root as large.
            let expected = bar.map(|code| (code as f32 * (100.0_f32 / 203.0).powf(1.0 / SDR_GAMMA)).round() as u8);
            let got = map.pixel(wide);
            // Dark channels beside bright ones lie on the steep foot of the curve: 12-bit steps are several levels there.
            assert!(got.iter().zip(expected).all(|(g, e)| g.abs_diff(e) <= 10), "{bar:?}: {got:?}, not {expected:?}");
        }
    }

    #[test]
    fn wide_gamut_sdr_keeps_its_greys() {
        for code in [0_u8, 16, 108, 200, 255] {
            assert!(grey(Transfer::Sdr, u16::from(code) * 257).abs_diff(code) <= 1, "{code}");
        }
    }
}
