//! The command line, run as an operator runs it.

mod support;

mod cli {
    mod configuration;
    mod contracts;
    mod keys;
    mod serving;
}
