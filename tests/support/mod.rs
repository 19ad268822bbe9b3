//! What the integration tests share. Each test file uses its own part of it.
#![allow(dead_code, unreachable_pub)]

pub mod certificates;
pub mod process;
pub mod receiver;
pub mod server;
