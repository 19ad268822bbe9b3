//! The API's description, made from the handlers, and a page that shows it.

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

const BEARER: &str = "bearer";

/// Everything but the routes.
pub(super) fn description() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, or a JWT signed with the configured secret (HS256)."))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Hookwright")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "The native API. It is wire-compatible with the Svix server API, so the \
                     official Svix SDKs work against it; fields that Svix doesn't know are \
                     additions.",
                ))
                .contact(Some(ContactBuilder::new().name(Some("Hookwright")).build()))
                .build(),
        )
        .components(Some(
            ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(bearer)).build(),
        ))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

/// `/api/v1/openapi.json`, and `/docs` to read it in a browser. The page's files are in the
/// binary: it asks nobody else for anything.
pub(super) fn pages(openapi: OpenApi) -> Router {
    // Unless told, the page has the document checked by a server of swagger.io.
    let config = Config::default().validator_url("none");
    SwaggerUi::new("/docs").url("/api/v1/openapi.json", openapi).config(config).into()
}
