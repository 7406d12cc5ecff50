//! The examples are the files next to this package's manifest. This library is empty.
#![forbid(unsafe_code)]
