//! A bounded number of columns of equal length, for audio of unknown duration.

/// The contents of a column.
pub(super) trait Column {
    /// Adds the contents of the next column.
    fn merge(&mut self, next: &Self);
}

/// When there are too many, neighbours are merged, and each column is twice as long from then on.
pub(super) struct Columns<C> {
    done: Vec<C>,
    open: Option<C>,
    /// Parts that `open` holds.
    n_open: u64,
    /// Parts of a whole column.
    n_whole: u64,
    max: usize,
}

impl<C: Column> Columns<C> {
    /// Between `max / 2` and `max` columns remain of a long sound; `max` is even.
    pub(super) fn new(max: usize) -> Self {
        Self { done: Vec::new(), open: None, n_open: 0, n_whole: 1, max }
    }

    /// Appends one part. Returns whether all columns are twice as long from now on.
    pub(super) fn push(&mut self, part: C) -> bool {
        match &mut self.open {
            Some(open) => open.merge(&part),
            None => self.open = Some(part),
        }
        self.n_open += 1;
        if self.n_open < self.n_whole {
            return false;
        }
        self.done.extend(self.open.take());
        self.n_open = 0;
        if self.done.len() < self.max {
            return false;
        }
        let mut whole = std::mem::take(&mut self.done).into_iter();
        while let Some(mut column) = whole.next() {
            if let Some(next) = whole.next() {
                column.merge(&next);
            }
            self.done.push(column);
        }
        self.n_whole *= 2;
        true
    }

    /// Parts from now on are twice as long, so that half as many make a column.
    pub(super) fn halve_parts(&mut self) {
        self.n_whole = (self.n_whole / 2).max(1);
    }

    /// The columns, and how many parts a whole one holds; the last may hold fewer.
    pub(super) fn finish(mut self) -> (Vec<C>, u64) {
        self.done.extend(self.open.take());
        (self.done, self.n_whole)
    }
}

/// The columns that pixel `x` of `width` shows, where `n` columns (the last of them not whole) stand for all of it.
pub(super) fn shown(x: u32, width: u32, n: f64) -> std::ops::Range<usize> {
    let at = |x: u32| (f64::from(x) * n / f64::from(width)).floor() as usize;
    at(x)..at(x + 1).max(at(x) + 1)
}
