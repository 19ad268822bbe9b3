//! Each company's own API, called by somebody who has only that company's documentation.

mod support;

mod company_apis {
    mod kakiyo;
    mod klink;
    mod kynectlocal;
    mod mistakes;
    mod operations;
    mod rechat;
    mod tomba;
}

use support::receiver::Received;

/// The body of a delivery as text.
fn text(request: &Received) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}
