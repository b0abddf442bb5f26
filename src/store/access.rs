//! The store as a job uses it: opened at its first use, and no reason to fail.

use std::sync::{Arc, OnceLock};

use super::{Store, StoreConfig};

/// The store of a job. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StoreAccess {
    config: Option<StoreConfig>,
    is_fresh: bool,
    opened: Arc<OnceLock<Option<Store>>>,
}

impl StoreAccess {
    /// Opens nothing. Without `config`, nothing is kept. With `is_fresh`, results in the store are not used, but replaced.
    pub(crate) fn new(config: Option<StoreConfig>, is_fresh: bool) -> Self {
        Self { config, is_fresh, opened: Arc::default() }
    }

    /// Whether results in the store are not used.
    pub(crate) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// The store; None without one. A store that cannot be opened is none, with a warning in the log. Blocks.
    pub(crate) fn open(&self) -> Option<&Store> {
        let config = self.config.as_ref()?;
        let open = || {
            let failed = |error| tracing::warn!("{error}; this run uses no store");
            Store::open(config).map_err(failed).ok()
        };
        self.opened.get_or_init(open).as_ref()
    }
}
