//! Target sizes of frames.

/// Scales a size down to a width of at most `max_width` pixels and keeps the aspect ratio. Never enlarges.
#[must_use]
pub fn fit(size: (u32, u32), max_width: u32) -> (u32, u32) {
    SizeLimit { max_width: Some(max_width), max_edge: None }.fit(size)
}

/// The maximum size of frames. Frames are never enlarged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeLimit {
    /// Maximum width in pixels; None is no maximum.
    pub max_width: Option<u32>,
    /// Maximum length of the longer side in pixels; None is no maximum.
    pub max_edge: Option<u32>,
}

impl SizeLimit {
    /// Scales a size down to the limit and keeps the aspect ratio.
    #[must_use]
    pub fn fit(self, (width, height): (u32, u32)) -> (u32, u32) {
        let by_edge = self.max_edge.filter(|edge| width.max(height) > *edge).map(|edge| (edge, width.max(height)));
        let by_width = self.max_width.filter(|max| width > *max).map(|max| (max, width));
        let ratio = |(limit, side): &(u32, u32)| u64::from(*limit) * (1 << 32) / u64::from(*side);
        let Some((limit, side)) = by_edge.into_iter().chain(by_width).min_by_key(ratio) else {
            return (width, height);
        };
        let scale = |length: u32| {
            ((u64::from(length) * u64::from(limit) + u64::from(side) / 2) / u64::from(side)).max(1) as u32
        };
        (scale(width), scale(height))
    }
}

/// The size that frames are scaled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetSize {
    /// This width and height, whatever the frame's aspect ratio.
    Exact(u32, u32),
    /// Each frame's own display size, scaled down to the limit.
    Within(SizeLimit),
}

impl TargetSize {
    /// The size of a frame with this display size.
    #[must_use]
    pub fn of(self, display: (u32, u32)) -> (u32, u32) {
        match self {
            Self::Exact(width, height) => (width, height),
            Self::Within(limit) => limit.fit(display),
        }
    }

    /// Frames at most `max_width` pixels wide.
    #[must_use]
    pub fn max_width(max_width: u32) -> Self {
        Self::Within(SizeLimit { max_width: Some(max_width), max_edge: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_keeps_the_shape_and_never_enlarges() {
        assert_eq!(fit((1920, 1080), 768), (768, 432));
        assert_eq!(fit((320, 180), 768), (320, 180));
        assert_eq!(fit((1080, 1920), 768), (768, 1365));
        assert_eq!(fit((10_000, 1), 100), (100, 1));
    }

    #[test]
    fn the_longer_side_is_limited_too() {
        let limit = SizeLimit { max_width: Some(1024), max_edge: Some(1024) };
        assert_eq!(limit.fit((1080, 2340)), (473, 1024));
        assert_eq!(limit.fit((2340, 1080)), (1024, 473));
        assert_eq!(limit.fit((640, 480)), (640, 480));
        assert_eq!(SizeLimit::default().fit((9000, 9)), (9000, 9));
        let narrow = SizeLimit { max_width: Some(100), max_edge: Some(1000) };
        assert_eq!(narrow.fit((1080, 2340)), (100, 217));
    }
}
