//! Tests of the server over HTTP and as a program. Those of what a browser shows are in
//! `browser.rs` and `screens.rs`, those with the MCP clients of other projects in `clients.rs`,
//! and the loads of two processes in `two_processes.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../../../../tests/support/assertions.rs"]
mod assertions;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod audit;
mod backends;
mod cases;
mod check_config;
mod client_keys;
mod commands;
mod config;
mod discovery;
mod documents;
mod federation;
mod flow;
mod hangup;
mod login;
mod network;
mod pages;
mod plain;
mod program;
mod race;
mod sessions;
