//! Where a page is: an application in an environment, if the viewer may be there.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::Pages;
use super::error::PageError;
use super::viewer::{Viewer, Who};
use crate::api::{Caller, path_step};
use crate::domain::{Application, Endpoint, Error, ErrorCode, Reference, Result, Scope};
use crate::environment::Environment;

/// An application in an environment, and who looks at it. Having one is the permission: it is
/// made from the path and the session alone, and everything that a page reads or changes goes
/// by its application.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) viewer: Viewer,
    pub(super) environment: Arc<Environment>,
    pub(super) application: Arc<Application>,
}

impl Place {
    /// Who the native API is called as.
    pub(super) fn caller(&self) -> Caller {
        Caller::within(self.environment.clone(), self.application.id)
    }

    /// The path of this application's pages.
    pub(super) fn base(&self) -> String {
        base(&self.environment.name, &self.application.public_id())
    }

    /// An endpoint of the application, by its id or uid.
    ///
    /// # Errors
    /// `not_found`, also for those of others.
    pub(super) async fn endpoint(&self, pages: &Pages, name: &str) -> Result<Arc<Endpoint>> {
        let reference = Reference(name.to_owned());
        pages.store.get_endpoint(self.application.id, &reference).await
    }

    /// Refuses viewers who may look only.
    pub(super) fn require_change(&self) -> Result<()> {
        match self.viewer.read_only() {
            true => {
                Err(Error::new(ErrorCode::Forbidden, "You may look at this, but not change it."))
            }
            false => Ok(()),
        }
    }
}

/// The path of an application's pages.
pub(super) fn base(environment: &str, application: &str) -> String {
    format!("/dashboard/env/{}/app/{}", path_step(environment), path_step(application))
}

impl FromRequestParts<Pages> for Place {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Place, PageError> {
        let viewer = Viewer::from_request_parts(parts, pages).await?;
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, pages).await;
        let Path(mut path) = path.map_err(|_| Error::not_found())?;
        let (Some(environment), Some(application)) =
            (path.remove("environment"), path.remove("application"))
        else {
            return Err(Error::internal("a place without environment or application").into());
        };
        let environment = environment_of(pages, &viewer, &environment)?;
        let application = application_of(pages, &viewer, &environment, application).await?;
        Ok(Place { viewer, environment, application })
    }
}

/// An environment, if the viewer may look into it.
///
/// # Errors
/// `not_found`.
fn environment_of(pages: &Pages, viewer: &Viewer, name: &str) -> Result<Arc<Environment>> {
    let allowed = match &viewer.who {
        Who::Operator(Scope::Admin) => pages.environments.is_configured(name),
        Who::Operator(Scope::Environment(environment) | Scope::Application { environment, .. }) => {
            **environment == *name
        }
        Who::Tenant { applications, .. } => applications.iter().any(|(one, _)| **one == *name),
    };
    match allowed {
        true => Ok(pages.environments.get(&Arc::from(name))),
        false => Err(Error::not_found()),
    }
}

/// An environment that the viewer operates as a whole.
///
/// # Errors
/// `not_found`.
pub(super) fn operated(pages: &Pages, viewer: &Viewer, name: &str) -> Result<Arc<Environment>> {
    match viewer.operates() {
        true => environment_of(pages, viewer, name),
        false => Err(Error::not_found()),
    }
}

async fn application_of(
    pages: &Pages,
    viewer: &Viewer,
    environment: &Environment,
    name: String,
) -> Result<Arc<Application>> {
    let application = pages.store.get_application(&environment.name, &Reference(name)).await?;
    let allowed = match &viewer.who {
        Who::Operator(Scope::Admin | Scope::Environment(_)) => true,
        Who::Operator(Scope::Application { application: only, .. }) => *only == application.id,
        Who::Tenant { applications, .. } => {
            applications.contains(&(environment.name.clone(), application.id))
        }
    };
    if allowed { Ok(application) } else { Err(Error::not_found()) }
}

/// The environments that a viewer may look into, in their order.
pub(super) fn environments_of(pages: &Pages, viewer: &Viewer) -> Vec<Arc<Environment>> {
    match &viewer.who {
        Who::Operator(Scope::Admin) => pages.environments.configured().cloned().collect(),
        Who::Operator(Scope::Environment(environment) | Scope::Application { environment, .. }) => {
            vec![pages.environments.get(environment)]
        }
        Who::Tenant { applications, .. } => {
            applications.iter().map(|(name, _)| pages.environments.get(name)).collect()
        }
    }
}
