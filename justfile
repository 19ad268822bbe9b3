# What one types while working on Hookwright. `just` lists it.

default:
    @just --list

# The README's two commands.
demo:
    cargo run --release -- demo

test *ARGS:
    scripts/test {{ARGS}}

# Everything that CI checks.
ci:
    .ci/run

fmt:
    cargo fmt

lint:
    cargo clippy --all-targets -- -D warnings
