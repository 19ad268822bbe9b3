//! The page that says why a signature isn't good, as somebody uses it whose handler refuses one.

mod support;

#[path = "debugger/causes.rs"]
mod causes;
#[path = "debugger/forms.rs"]
mod forms;
#[path = "debugger/tenants.rs"]
mod tenants;
#[path = "debugger/tokens.rs"]
mod tokens;
#[path = "debugger/world.rs"]
mod world;
