//! Nothing secret is ever printed, logged or stored in clear: the real binary, at its most
//! talkative, through everything that it does with secrets.

mod support;

mod secrets {
    mod canaries;
    mod scenario;
}
