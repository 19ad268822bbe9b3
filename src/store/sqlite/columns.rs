//! How values stand in columns.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::{Fallible, damaged};
use crate::domain::{DeliveryState, Id, Timestamp, Trigger};

impl<K> ToSql for Id<K> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.bytes())))
    }
}

impl<K> FromSql for Id<K> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Id<K>> {
        <[u8; 16]>::column_result(value).map(Id::from_bytes)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_micros()))
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Timestamp> {
        value.as_i64().map(Timestamp::from_micros)
    }
}

const DELIVERY_STATES: [DeliveryState; 4] = [
    // Its place is its number. The partial index on what is pending names 0.
    DeliveryState::Pending,
    DeliveryState::Succeeded,
    DeliveryState::Failed,
    DeliveryState::Discarded,
];

impl ToSql for DeliveryState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            DeliveryState::Pending => 0,
            DeliveryState::Succeeded => 1,
            DeliveryState::Failed => 2,
            DeliveryState::Discarded => 3,
        }))
    }
}

impl FromSql for DeliveryState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<DeliveryState> {
        let number = value.as_i64()?;
        let state = usize::try_from(number).ok().and_then(|place| DELIVERY_STATES.get(place));
        state.copied().ok_or(FromSqlError::OutOfRange(number))
    }
}

impl ToSql for Trigger {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self == Trigger::Manual))
    }
}

impl FromSql for Trigger {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Trigger> {
        let manual = bool::column_result(value)?;
        Ok(if manual { Trigger::Manual } else { Trigger::Scheduled })
    }
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Fallible<String> {
    serde_json::to_string(value).map_err(|_| damaged("a value"))
}

/// A list as JSON; NULL where it is empty, as most are.
pub(super) fn json_unless_empty<T: Serialize>(list: &[T]) -> Fallible<Option<String>> {
    if list.is_empty() { Ok(None) } else { json(&list).map(Some) }
}

/// A JSON column; `None` where it is NULL.
pub(super) fn read_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Fallible<Option<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => serde_json::from_slice(text).map(Some).map_err(|_| damaged("JSON")),
        _ => Err(damaged("JSON")),
    }
}

/// A column that holds no negative numbers.
pub(super) fn read_count(row: &Row<'_>, column: usize) -> Fallible<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("a negative count"))
}

/// A count as SQLite has it. What doesn't fit was never counted.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
