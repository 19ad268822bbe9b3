//! What surrounds every page: the brand, the environments' tabs, the sections, the notice.

use std::sync::Arc;

use super::Pages;
use super::place::{Place, base, environments_of};
use super::viewer::Viewer;
use crate::api::path_step;
use crate::domain::{Reference, Result};
use crate::environment::Environment;

/// The sections of an application's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Webhooks,
    Deliveries,
    Events,
    Debugger,
    /// Those of an operator, about a whole environment.
    Overview,
    Applications,
    /// None of them.
    Outside,
}

/// A link to the same page in another environment.
pub(super) struct Tab {
    pub(super) label: String,
    pub(super) href: String,
    pub(super) current: bool,
}

/// The result of what somebody did, above the heading of the page they come to then.
pub(super) struct Notice {
    pub(super) text: String,
}

/// The frame of a page.
pub(super) struct Shell {
    pub(super) brand: String,
    pub(super) has_logo: bool,
    pub(super) tabs: Vec<Tab>,
    pub(super) section: Section,
    /// The path of the application's pages; empty outside of them.
    pub(super) base: String,
    /// The path of an operator's pages about the environment; empty for others.
    pub(super) operated: String,
    pub(super) application: String,
    pub(super) csrf: String,
    pub(super) operator: bool,
    pub(super) read_only: bool,
    pub(super) notice: Option<Notice>,
    /// What changes the names of assets when they change.
    pub(super) version: &'static str,
}

impl Shell {
    /// The frame of a page about an application.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of(
        pages: &Pages,
        place: &Place,
        section: Section,
        notice: Option<String>,
    ) -> Result<Shell> {
        let tabs = tabs(pages, place, section).await?;
        let outside = Shell::outside(pages, &place.viewer, Some(&place.environment));
        Ok(Shell {
            tabs,
            section,
            base: place.base(),
            application: match place.application.name.is_empty() {
                true => place.application.public_id(),
                false => place.application.name.clone(),
            },
            notice: notice.map(|text| Notice { text }),
            ..outside
        })
    }

    /// The frame of an operator's page about an environment.
    pub(super) fn of_environment(
        pages: &Pages,
        viewer: &Viewer,
        environment: &Arc<Environment>,
        section: Section,
    ) -> Shell {
        let path = if section == Section::Overview { "/overview" } else { "" };
        let tabs = environments_of(pages, viewer).into_iter().map(|one| Tab {
            label: title_case(&one.name),
            href: format!("{}{path}", operated(&one.name)),
            current: one.name == environment.name,
        });
        Shell { tabs: tabs.collect(), section, ..Shell::outside(pages, viewer, Some(environment)) }
    }

    /// The frame of a page about no application.
    pub(super) fn outside(
        pages: &Pages,
        viewer: &Viewer,
        environment: Option<&Arc<Environment>>,
    ) -> Shell {
        Shell {
            brand: brand(pages, environment),
            has_logo: pages.settings.brand.logo.is_some(),
            tabs: Vec::new(),
            section: Section::Outside,
            base: String::new(),
            operated: match environment {
                Some(environment) if viewer.operates() => operated(&environment.name),
                _ => String::new(),
            },
            application: String::new(),
            csrf: viewer.csrf.clone(),
            operator: viewer.is_operator(),
            read_only: viewer.read_only(),
            notice: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    pub(super) fn is(&self, section: Section) -> bool {
        self.section == section
    }
}

/// The path of an operator's pages about an environment.
fn operated(environment: &str) -> String {
    format!("/dashboard/env/{}", path_step(environment))
}

/// Whose pages they are: the configured name, else the contract's.
pub(super) fn brand(pages: &Pages, environment: Option<&Arc<Environment>>) -> String {
    let contract = environment.map(|environment| environment.contract.title().to_owned());
    pages.settings.brand.name.clone().or(contract).unwrap_or_else(|| "Hookwright".to_owned())
}

/// A tab for each environment in which there is the same application.
async fn tabs(pages: &Pages, place: &Place, section: Section) -> Result<Vec<Tab>> {
    let path = match section {
        Section::Deliveries => "/deliveries",
        Section::Events => "/events",
        Section::Debugger => "/debugger",
        _ => "/webhooks",
    };
    let name = place.application.public_id();
    let mut tabs = Vec::new();
    for environment in environments_of(pages, &place.viewer) {
        let current = environment.name == place.environment.name;
        let there = current
            || place.application.uid.is_some() && {
                let reference = Reference(name.clone());
                pages.store.get_application(&environment.name, &reference).await.is_ok()
            };
        if there {
            let href = format!("{}{path}", base(&environment.name, &name));
            tabs.push(Tab { label: title_case(&environment.name), href, current });
        }
    }
    Ok(tabs)
}

/// `production` as people write it at the head of a tab.
fn title_case(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}
