//! Pages of lists: `limit`, `iterator` and the answer's `iterator`, `prevIterator`, `done`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::{Error, FieldError, Id, IdKind, Result};
use crate::store::Page;

/// Items in a page where the request doesn't say.
const DEFAULT_LIMIT: u32 = 50;

/// The most items in a page.
const MAX_LIMIT: u32 = 250;

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Which page of a list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Items in the page, 1 to 250; 50 unless told.
    limit: Option<u32>,
    /// The `iterator` or `prevIterator` of another page.
    iterator: Option<String>,
    /// Oldest first (`ascending`) or newest first (`descending`).
    #[param(inline)]
    order: Option<Order>,
}

/// A page to read, and how to answer with it.
pub(super) struct PageRequest<K> {
    page: Page<Id<K>>,
    limit: usize,
    /// Whether it is read backwards, from a `prevIterator`.
    backwards: bool,
}

/// The items in a page for this `limit` parameter.
///
/// # Errors
/// Where it is out of range.
pub(super) fn checked_limit(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("The limit must be between 1 and {MAX_LIMIT}");
        return Err(Error::fields(vec![FieldError::query("limit", message)]));
    }
    Ok(limit)
}

impl PageQuery {
    /// Checks the parameters; `default_order` is the list's own.
    pub(super) fn read<K: IdKind>(&self, default_order: Order) -> Result<PageRequest<K>> {
        let limit = checked_limit(self.limit)?;
        let (text, backwards) = match &self.iterator {
            None => (None, false),
            Some(text) => match text.strip_prefix('-') {
                None => (Some(text.as_str()), false),
                Some(text) => (Some(text), true),
            },
        };
        let after = text.map(str::parse).transpose().map_err(|_| {
            let message = "Not an iterator that this list returned";
            Error::fields(vec![FieldError::query("iterator", message)])
        })?;
        let descending = self.order.unwrap_or(default_order) == Order::Descending;
        Ok(PageRequest {
            // One more than asked for tells whether there are more.
            page: Page { after, descending: descending != backwards, limit: limit + 1 },
            limit: limit as usize,
            backwards,
        })
    }
}

impl<K: IdKind> PageRequest<K> {
    pub(super) fn page(&self) -> Page<Id<K>> {
        Page { after: self.page.after, descending: self.page.descending, limit: self.page.limit }
    }

    /// The same with fewer items, where there is no room for all of them.
    pub(super) fn at_most(self, items: usize) -> PageRequest<K> {
        PageRequest { limit: self.limit.min(items), ..self }
    }

    /// Makes the answer from the rows read for [`PageRequest::page`].
    pub(super) fn answer<R, T>(
        &self,
        mut rows: Vec<R>,
        id: impl Fn(&R) -> Id<K>,
        show: impl FnMut(R) -> T,
    ) -> List<T> {
        let done = rows.len() <= self.limit;
        rows.truncate(self.limit);
        if self.backwards {
            rows.reverse();
        }
        List {
            iterator: rows.last().map(|row| id(row).to_string()),
            prev_iterator: rows.first().map(|row| format!("-{}", id(row))),
            done,
            data: rows.into_iter().map(show).collect(),
        }
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    /// Continues behind the last item.
    pub(super) iterator: Option<String>,
    /// Goes back before the first item.
    pub(super) prev_iterator: Option<String>,
    /// Whether there is nothing more in this direction.
    pub(super) done: bool,
}
