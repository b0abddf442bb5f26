//! The states of a batch.

/// The outcome of creating a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created with this id.
    Batch(String),
    /// The response was lost, for this reason. The batch may exist: [`BatchApi::list`](super::BatchApi::list) shows it.
    Unknown(String),
}

/// A batch in the provider's list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSummary {
    /// Its id.
    pub id: String,
    /// The file of its requests; None where the provider uses none.
    pub input_file: Option<String>,
    /// The number of its requests; None where the provider has not counted them yet.
    pub n_requests: Option<u64>,
    /// When it was created, in the provider's format; None where it is not text.
    pub created_at: Option<String>,
}

/// The progress of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// Completed and failed requests.
    pub n_done: u64,
    /// How it ended; None while it runs.
    pub end: Option<BatchEnd>,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchEnd {
    /// With results, possibly not for all requests, in these files, for [`BatchApi::download`](super::BatchApi::download).
    Results(Vec<String>),
    /// It was refused as a whole, for this reason.
    Refused(String),
}
