//! Who looks: the session behind a browser's cookie.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, header};
use sha2::{Digest, Sha256};

use super::Pages;
use super::error::PageError;
use crate::api::auth::hash_key;
use crate::domain::{ApplicationId, Holder, Pass, PassKind, Result, Scope};

/// The cookie's name. With HTTPS the browser itself makes sure that no other site, and no
/// other host of the same one, has set it (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "hookwright";
const COOKIE_SECURE: &str = "__Host-hookwright";

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) who: Who,
    /// What their forms carry, so that no other site's form can be sent in their name.
    pub(super) csrf: String,
    /// Of the session's text.
    pub(super) session: [u8; 32],
}

/// What a viewer may see.
#[derive(Clone, Debug)]
pub(super) enum Who {
    Operator(Scope),
    /// An application's own people.
    Tenant {
        /// Theirs in each environment that they may look into.
        applications: Vec<(Arc<str>, ApplicationId)>,
        read_only: bool,
    },
}

impl Viewer {
    pub(super) fn is_operator(&self) -> bool {
        matches!(self.who, Who::Operator(_))
    }

    /// Whether they may look at whole environments.
    pub(super) fn operates(&self) -> bool {
        matches!(self.who, Who::Operator(Scope::Admin | Scope::Environment(_)))
    }

    pub(super) fn read_only(&self) -> bool {
        matches!(self.who, Who::Tenant { read_only: true, .. })
    }
}

impl FromRequestParts<Pages> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Viewer, PageError> {
        // Where a form was sent to there may be nothing to look at.
        let next = (parts.method == Method::GET).then(|| parts.uri.path_and_query()).flatten();
        let next = next.map(ToString::to_string);
        match viewer(parts, pages).await? {
            Some(viewer) => Ok(viewer),
            None => Err(PageError::SignIn { next }),
        }
    }
}

/// The viewer, where the request has a session.
///
/// # Errors
/// Those of the store.
pub(super) async fn viewer(parts: &Parts, pages: &Pages) -> Result<Option<Viewer>> {
    let Some(text) = cookie(parts, cookie_name(pages)) else { return Ok(None) };
    let hash = hash_key(text);
    let pass = pages.store.find_pass(hash, PassKind::Session, pages.clock.now()).await?;
    let Some(Pass { holder, .. }) = pass else { return Ok(None) };
    let who = match holder {
        // The key may have been revoked since.
        Holder::Operator { key_hash } => match pages.authenticator.scope_of_key(key_hash).await {
            Ok(scope) => Who::Operator(scope),
            Err(error) if error.code == crate::domain::ErrorCode::AuthenticationFailed => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        },
        Holder::Tenant { applications, read_only } => Who::Tenant { applications, read_only },
    };
    Ok(Some(Viewer { who, csrf: csrf(text), session: hash }))
}

/// A form's token: only who knows the session's text can make it.
fn csrf(session: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"form:").chain_update(session).finalize())
}

fn cookie_name(pages: &Pages) -> &'static str {
    if pages.settings.is_secure() { COOKIE_SECURE } else { COOKIE }
}

fn cookie<'p>(parts: &'p Parts, wanted: &str) -> Option<&'p str> {
    let all = parts.headers.get_all(header::COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let mut pairs = all.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The cookie that begins a session, or ends one where `text` is empty.
pub(super) fn set_cookie(pages: &Pages, text: &str, seconds: u64) -> String {
    let name = cookie_name(pages);
    // A portal in another site's frame only gets its cookie if it may be sent from there.
    let same_site = match (pages.settings.is_secure(), pages.settings.frames.is_empty()) {
        (true, false) => "SameSite=None; Secure; Partitioned",
        (true, true) => "SameSite=Lax; Secure",
        (false, _) => "SameSite=Lax",
    };
    format!("{name}={text}; Path=/; HttpOnly; {same_site}; Max-Age={seconds}")
}
