//! A time range whose ends may be open.

use super::{TimeRange, Timestamp};

/// `[start, end)` on the shared clock; None leaves that end open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBounds {
    /// The first time in the range.
    pub start: Option<Timestamp>,
    /// The first time behind the range.
    pub end: Option<Timestamp>,
}

impl TimeBounds {
    /// Whether a part of `range` lies inside; an empty range does where its start does.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let is_after_start = self.start.is_none_or(|start| range.end > start || range.start >= start);
        is_after_start && self.end.is_none_or(|end| range.start < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_half_open() {
        let at = Timestamp::from_millis;
        let bounds = TimeBounds { start: Some(at(1000)), end: Some(at(2000)) };
        for (start, end, overlaps) in
            [(0, 1000, false), (0, 1001, true), (1000, 1000, true), (1999, 3000, true), (2000, 2001, false)]
        {
            assert_eq!(bounds.overlaps(TimeRange::new(at(start), at(end))), overlaps, "{start} to {end}");
        }
        assert!(TimeBounds::default().overlaps(TimeRange::new(at(0), at(0))));
    }
}
