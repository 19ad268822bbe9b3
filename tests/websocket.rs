//! Deliveries over websockets, from the API to a receiver of websockets.

mod support;

#[path = "websocket/connections.rs"]
mod connections;
#[path = "websocket/deliveries.rs"]
mod deliveries;
#[path = "websocket/endpoints.rs"]
mod endpoints;
#[path = "websocket/harness.rs"]
mod harness;
#[path = "websocket/limits.rs"]
mod limits;
#[path = "websocket/malformed.rs"]
mod malformed;
#[path = "websocket/refused.rs"]
mod refused;
