//! A user's browser, and the MCP clients of other projects that the tests connect with. For tests
//! only.
//!
//! `rmcp` runs in the process of the test. The clients for Node.js and Python run as scripts in
//! `node/` and `python/`, which print their steps on standard output and read the address of the
//! redirect from standard input. `install` installs them, and axe-core with those for Node.js. If
//! they are not installed, their tests are skipped with a message, unless
//! `GRANTCORE_REQUIRE_CLIENTS=1`.
//!
//! What never lives here: a server, or what a test expects of one.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test may fail loudly"
)]

mod browser;
mod rmcp_client;
mod script;

pub use browser::{Browser, Form, form, install_crypto_provider, param, plain_client};
pub use rmcp_client::{call, connect_rmcp, connect_rmcp_by, connect_rmcp_machine, start_rmcp};
pub use script::{Arguments, Program, Script, axe_core};

/// The redirect URI of the clients that run no server of their own. No program listens there,
/// because the browser stops at it.
pub const CALLBACK: &str = "http://127.0.0.1:51004/callback";
