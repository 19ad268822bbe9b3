//! What the writing thread remembers of applications and endpoints, so that accepting and
//! recording don't read them again, nor open their secrets.
//!
//! Every change of these tables passes this thread, so what is remembered is what is stored.
//! What a rolled back transaction may have read is forgotten with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::batch::Batch;
use super::fault::Fallible;
use super::{applications, endpoints, record};
use crate::domain::{Application, ApplicationId, Endpoint, EndpointId, Error, Health, Reference};

/// How many applications are remembered.
const APPLICATIONS_MAX: usize = 20_000;
/// How many endpoints are remembered.
const ENDPOINTS_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Caches {
    tenants: HashMap<ApplicationId, Tenant>,
    /// By environment, then by uid.
    uids: HashMap<Arc<str>, HashMap<String, ApplicationId>>,
    owners: HashMap<EndpointId, ApplicationId>,
    health: HashMap<EndpointId, Health>,
    lease_epoch: Option<i64>,
    /// Of each environment, the application with its operational endpoints, if there is one.
    operations: HashMap<Arc<str>, Option<ApplicationId>>,
}

struct Tenant {
    application: Arc<Application>,
    /// The live ones, in the order of their ids; `None` where they weren't asked for yet.
    endpoints: Option<Arc<Vec<Arc<Endpoint>>>>,
}

impl Caches {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Caches::default();
    }

    /// Forgets an application with its endpoints, because it changes.
    pub(super) fn forget(&mut self, application: ApplicationId) {
        self.forget_operations();
        let Some(tenant) = self.tenants.remove(&application) else { return };
        if let Some(uid) = &tenant.application.uid
            && let Some(uids) = self.uids.get_mut(&tenant.application.environment)
        {
            uids.remove(uid);
        }
        for endpoint in tenant.endpoints.iter().flat_map(|endpoints| endpoints.iter()) {
            self.owners.remove(&endpoint.id);
            self.health.remove(&endpoint.id);
        }
    }

    /// Puts a changed endpoint in the place of its older copy.
    pub(super) fn replace(&mut self, endpoint: &Arc<Endpoint>) {
        let tenant = self.tenants.get_mut(&endpoint.application_id);
        if let Some(endpoints) = tenant.and_then(|tenant| tenant.endpoints.as_mut())
            && let Ok(place) = endpoints.binary_search_by_key(&endpoint.id, |known| known.id)
        {
            Arc::make_mut(endpoints)[place] = Arc::clone(endpoint);
        }
    }

    /// What is known of an environment's operational endpoints.
    pub(super) fn operations(&self, environment: &str) -> Option<Option<ApplicationId>> {
        self.operations.get(environment).copied()
    }

    pub(super) fn keep_operations(
        &mut self,
        environment: &Arc<str>,
        application: Option<ApplicationId>,
    ) {
        if self.operations.len() >= APPLICATIONS_MAX {
            self.operations.clear();
        }
        self.operations.insert(Arc::clone(environment), application);
    }

    /// Forgets which environments have operational endpoints, because an application comes
    /// or goes.
    pub(super) fn forget_operations(&mut self) {
        self.operations.clear();
    }

    /// Forgets the epoch of leases, because a new one begins.
    pub(super) fn forget_lease_epoch(&mut self) {
        self.lease_epoch = None;
    }

    fn keep_application(&mut self, application: &Arc<Application>) {
        if self.tenants.len() >= APPLICATIONS_MAX {
            self.clear();
        }
        if let Some(uid) = &application.uid {
            let uids = self.uids.entry(Arc::clone(&application.environment)).or_default();
            uids.insert(uid.clone(), application.id);
        }
        let tenant = Tenant { application: Arc::clone(application), endpoints: None };
        self.tenants.insert(application.id, tenant);
    }

    fn keep_endpoints(
        &mut self,
        application: &Arc<Application>,
        endpoints: &Arc<Vec<Arc<Endpoint>>>,
    ) {
        if self.owners.len() + endpoints.len() > ENDPOINTS_MAX {
            self.clear();
        }
        if !self.tenants.contains_key(&application.id) {
            self.keep_application(application);
        }
        if let Some(tenant) = self.tenants.get_mut(&application.id) {
            tenant.endpoints = Some(Arc::clone(endpoints));
            self.owners.extend(endpoints.iter().map(|endpoint| (endpoint.id, application.id)));
        }
    }
}

impl Batch<'_> {
    /// The live application of that id.
    pub(super) fn application(&mut self, id: ApplicationId) -> Fallible<Option<Arc<Application>>> {
        if let Some(tenant) = self.caches.tenants.get(&id) {
            return Ok(Some(Arc::clone(&tenant.application)));
        }
        let application = applications::by_id(self.connection, id)?.map(Arc::new);
        if let Some(application) = &application {
            self.caches.keep_application(application);
        }
        Ok(application)
    }

    /// The live application that a request names.
    pub(super) fn resolve(
        &mut self,
        environment: &Arc<str>,
        reference: &Reference,
    ) -> Fallible<Arc<Application>> {
        let uids = self.caches.uids.get(environment);
        let by_uid = uids.and_then(|uids| uids.get(&reference.0)).copied();
        // An id goes before a uid of the same text, so the cache may only be asked for a uid
        // where the text is no id.
        let by_id = reference.0.parse::<ApplicationId>().ok();
        if let Some(id) = by_id.or(by_uid)
            && let Some(application) = self.application(id)?
            && application.environment == *environment
        {
            return Ok(application);
        }
        let id = applications::by_uid(self.connection, environment, &reference.0)?;
        let application = match id {
            Some(id) => self.application(id)?,
            None => None,
        };
        application.ok_or_else(|| Error::not_found().into())
    }

    /// The live endpoints of a live application, in the order of their ids.
    pub(super) fn endpoints(
        &mut self,
        application: &Arc<Application>,
    ) -> Fallible<Arc<Vec<Arc<Endpoint>>>> {
        let tenant = self.caches.tenants.get(&application.id);
        if let Some(endpoints) = tenant.and_then(|tenant| tenant.endpoints.as_ref()) {
            return Ok(Arc::clone(endpoints));
        }
        let endpoints =
            Arc::new(endpoints::of_application(self.connection, &self.vault, application.id)?);
        self.caches.keep_endpoints(application, &endpoints);
        Ok(endpoints)
    }

    /// The live endpoint of that id.
    pub(super) fn endpoint(&mut self, id: EndpointId) -> Fallible<Option<Arc<Endpoint>>> {
        let owner = match self.caches.owners.get(&id) {
            Some(&owner) => Some(owner),
            None => endpoints::owner(self.connection, id)?,
        };
        let Some(owner) = owner else { return Ok(None) };
        let Some(application) = self.application(owner)? else { return Ok(None) };
        let endpoints = self.endpoints(&application)?;
        let place = endpoints.binary_search_by_key(&id, |endpoint| endpoint.id);
        Ok(place.ok().map(|place| Arc::clone(&endpoints[place])))
    }

    /// The live endpoint of that id and application, or `not_found`.
    pub(super) fn endpoint_of(
        &mut self,
        application: ApplicationId,
        id: EndpointId,
    ) -> Fallible<Arc<Endpoint>> {
        self.endpoint(id)?
            .filter(|endpoint| endpoint.application_id == application)
            .ok_or_else(|| Error::not_found().into())
    }

    /// What is known of an endpoint's latest attempts.
    pub(super) fn health(&mut self, endpoint: EndpointId) -> Fallible<Health> {
        if let Some(health) = self.caches.health.get(&endpoint) {
            return Ok(health.clone());
        }
        let health = record::load_health(self.connection, endpoint)?;
        self.keep_health(endpoint, health.clone());
        Ok(health)
    }

    /// Remembers an endpoint's health, as it was stored.
    pub(super) fn keep_health(&mut self, endpoint: EndpointId, health: Health) {
        // Only beside the endpoint itself, with which it will be forgotten.
        if self.caches.owners.contains_key(&endpoint) {
            self.caches.health.insert(endpoint, health);
        }
    }

    /// The present epoch of leases.
    pub(super) fn lease_epoch(&mut self) -> Fallible<i64> {
        if let Some(epoch) = self.caches.lease_epoch {
            return Ok(epoch);
        }
        let epoch = super::claim::lease_epoch(self.connection)?;
        self.caches.lease_epoch = Some(epoch);
        Ok(epoch)
    }
}
