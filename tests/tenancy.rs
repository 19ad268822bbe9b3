//! Whose credential opens what: every route of the API, tried with every kind of credential
//! that must not open it, and what it then did not do.

mod support;

mod tenancy {
    mod routes;
    mod tokens;
    mod world;
}
