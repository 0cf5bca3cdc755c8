//! What a method ends with when it has no value: a failure for people, or an exception.

use std::str::Utf8Error;

use capnp::Error;
use schema::Failure;

/// Why there is no value to answer with.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Expected; part of the answer.
    Failure(Failure),
    /// The peer is gone, or broken.
    Exception(Error),
}

impl From<Failure> for NoAnswer {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self::Exception(error)
    }
}

impl From<Utf8Error> for NoAnswer {
    fn from(error: Utf8Error) -> Self {
        Self::Exception(error.into())
    }
}

/// Separates what goes into the answer from what is thrown.
pub(crate) fn answer<T>(result: Result<T, NoAnswer>) -> Result<Result<T, Failure>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(NoAnswer::Failure(failure)) => Ok(Err(failure)),
        Err(NoAnswer::Exception(error)) => Err(error),
    }
}
