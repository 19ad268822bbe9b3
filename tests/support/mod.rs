//! What the integration tests share. Each test file uses its own part of it.
#![allow(dead_code, unreachable_pub)]

pub mod certificates;
pub mod credentials;
pub mod customer;
pub mod environments;
pub mod pages;
pub mod payloads;
pub mod process;
pub mod programs;
pub mod receiver;
pub mod server;
pub mod small_disk;
pub mod stream;
pub mod tenant;
pub mod websocket_receiver;
