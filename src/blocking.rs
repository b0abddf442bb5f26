//! Work that blocks, kept off the threads that drive futures.

use crate::error::{Error, Result};

/// Runs `work` on a thread that may block. Dropping the future does not stop `work`.
///
/// # Errors
/// Those of `work`; [`ErrorKind::Internal`](crate::ErrorKind::Internal) if it panics.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failure| {
        let advice = "report this bug, with the input if possible";
        Err(Error::internal("vidgist", "a worker thread panicked", advice).because(failure))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, ErrorKind};

    #[tokio::test]
    async fn returns_the_outcome_and_turns_a_panic_into_an_internal_error() {
        assert_eq!(run_blocking(|| Ok(7)).await.expect("no panic"), 7);
        let error = run_blocking(|| Err::<(), _>(Error::interrupted())).await.expect_err("its own error");
        assert_eq!(error.kind, ErrorKind::Interrupted);
        let error = run_blocking::<()>(|| panic!("a bug")).await.expect_err("a panic");
        assert_eq!((error.kind, error.code), (ErrorKind::Internal, ErrorCode::Internal));
        assert!(std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("a bug")));
    }
}
