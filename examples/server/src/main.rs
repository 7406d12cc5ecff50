//! Starts the example server. Everything is in the library beside it, so that tests can start one too.

#[tokio::main]
async fn main() -> Result<(), grantcore_server::StartError> {
    grantcore_server::main().await
}
