//! Starts the reference server. The code is in the library, so that tests can start the server too.

use std::io::Write as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match grantcore_server::main().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "grantcore-server: {error}");
            ExitCode::FAILURE
        }
    }
}
