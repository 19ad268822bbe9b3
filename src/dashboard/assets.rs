//! Style sheets, scripts and the logo: all of them in the binary, or the company's own.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Pages, palette};

/// An asset's name, its type, and its bytes.
const ASSETS: [(&str, &str, &[u8]); 3] = [
    ("favicon.svg", "image/svg+xml", include_bytes!("assets/favicon.svg")),
    ("pages.css", "text/css; charset=utf-8", include_bytes!("assets/pages.css")),
    ("pages.js", "text/javascript; charset=utf-8", include_bytes!("assets/pages.js")),
];

/// A name has the version in its query, so an asset never changes under it.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const FOR_AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

pub(super) async fn serve(State(pages): State<Pages>, Path(file): Path<String>) -> Response {
    if file == "logo" {
        return logo(&pages).await;
    }
    match ASSETS.iter().find(|(name, _, _)| *name == file) {
        Some((_, kind, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CACHE_CONTROL, FOR_A_YEAR),
            ];
            (headers, *bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The company's logo. An SVG could hold scripts, so it is served such that none can run.
async fn logo(pages: &Pages) -> Response {
    let Some(path) = &pages.settings.brand.logo else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match tokio::fs::read(path).await {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CACHE_CONTROL, FOR_AN_HOUR),
            ];
            (headers, bytes).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "can't read the logo");
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

/// The company's colour, and those that follow from it.
pub(super) async fn brand(State(pages): State<Pages>) -> Response {
    let colour = pages.settings.brand.colour.as_deref();
    let css = colour.and_then(palette::style_sheet).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, FOR_AN_HOUR),
    ];
    (headers, css).into_response()
}

/// Whether a text is `#` and six hexadecimal digits.
pub fn is_colour(text: &str) -> bool {
    palette::style_sheet(text).is_some()
}
