//! What becomes of an answer: the retries of `[delivery]`, and `[pause]`.

use std::time::Duration;

use toml::Spanned;

use super::file::{Key, RawDelivery, RawPause};
use super::load::{duration, duration_of, or};
use super::problem::Problems;
use crate::domain::{PausePolicy, RetryPolicy};

/// The most retries that a contract may ask for.
pub const MAX_RETRIES: usize = 50;
/// The longest that one attempt may take.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const DEFAULT_RETRIES_S: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
const DEFAULT_JITTER: f64 = 0.1;
const DEFAULT_RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// The longest text that an answer's body may have to start with, in bytes.
pub const SUCCESS_BODY_BYTES: usize = 64;

pub(super) fn retry_policy(raw: &RawDelivery, problems: &mut Problems<'_>) -> RetryPolicy {
    let timeout = duration(&raw.timeout, DEFAULT_TIMEOUT, problems);
    if let Some(key) = &raw.timeout
        && (timeout.is_zero() || timeout > MAX_TIMEOUT)
    {
        let limit = MAX_TIMEOUT.as_secs();
        problems.at(
            key.span().start,
            format!("the timeout must be at most {limit}s, and not 0"),
            None,
        );
    }
    let retries: Vec<Duration> = match &raw.retries {
        None => DEFAULT_RETRIES_S.map(Duration::from_secs).to_vec(),
        Some(waits) => {
            if waits.get_ref().len() > MAX_RETRIES {
                let message = format!("there can be at most {MAX_RETRIES} retries");
                problems.at(waits.span().start, message, None);
            }
            waits.get_ref().iter().filter_map(|wait| duration_of(wait, problems)).collect()
        }
    };
    let jitter = or(&raw.jitter, DEFAULT_JITTER);
    if let Some(key) = &raw.jitter
        && !(0.0..=1.0).contains(&jitter)
    {
        problems.at(key.span().start, "`jitter` must be between 0 and 1", None);
    }
    if let Some(gone) = &raw.gone
        && !(300..600).contains(gone.get_ref())
    {
        problems.at(gone.span().start, "`gone` must be a status from 300 to 599", None);
    }
    RetryPolicy {
        timeout,
        retries,
        jitter,
        honours_retry_after: or(&raw.retry_after, true),
        retry_after_max: duration(&raw.retry_after_max, DEFAULT_RETRY_AFTER_MAX, problems),
        success: success(&raw.success, problems),
        success_body: success_body(&raw.success_body, problems),
        gone: raw.gone.as_ref().map(|gone| *gone.get_ref()),
    }
}

fn success_body(key: &Key<String>, problems: &mut Problems<'_>) -> Option<String> {
    let key = key.as_ref()?;
    let text = key.get_ref();
    if text.is_empty() || text.len() > SUCCESS_BODY_BYTES || text.trim_start() != text {
        let message = format!(
            "`success_body` must have 1 to {SUCCESS_BODY_BYTES} bytes and no white space before it"
        );
        problems.at(key.span().start, message, None);
    }
    Some(text.clone())
}

/// `2xx`, `204` or `200-204`.
pub(super) fn success(key: &Key<String>, problems: &mut Problems<'_>) -> (u16, u16) {
    const DEFAULT: (u16, u16) = (200, 299);
    let Some(key) = key else { return DEFAULT };
    let text = key.get_ref();
    let range = match text.strip_suffix("xx") {
        Some(class) => class.parse().ok().map(|class: u16| {
            let first = class.saturating_mul(100);
            (first, first.saturating_add(99))
        }),
        None => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok().zip(last.trim().parse().ok())
        }
    };
    match range {
        Some((first, last)) if first >= 200 && first <= last && last < 600 => (first, last),
        _ => {
            problems.at(
                key.span().start,
                format!("`{text}` isn't a range of statuses"),
                Some("such as \"2xx\", \"204\" or \"200-204\"".to_owned()),
            );
            DEFAULT
        }
    }
}

pub(super) fn pause_policy(
    raw: Option<&Spanned<RawPause>>,
    problems: &mut Problems<'_>,
) -> PausePolicy {
    let Some(section) = raw else { return PausePolicy::Never };
    let raw = section.get_ref();
    let place = section.span().start;
    let rules = [raw.consecutive.is_some(), raw.failures.is_some(), raw.failing_for.is_some()];
    if rules.into_iter().filter(|&given| given).count() != 1 {
        let hint = "`consecutive`, `failures` with `within`, or `failing_for`";
        problems.at(place, "[pause] must have exactly one rule", Some(hint.to_owned()));
        return PausePolicy::Never;
    }
    if raw.failures.is_some() != raw.within.is_some() {
        problems.at(place, "`failures` and `within` belong together", None);
        return PausePolicy::Never;
    }
    for count in [&raw.consecutive, &raw.failures].into_iter().flatten() {
        if *count.get_ref() == 0 {
            problems.at(count.span().start, "the number of failures must not be 0", None);
        }
    }
    if let Some(failures) = &raw.consecutive {
        return PausePolicy::Consecutive { failures: *failures.get_ref() };
    }
    let time = raw.within.as_ref().or(raw.failing_for.as_ref());
    let Some(duration) = time.and_then(|text| duration_of(text, problems)) else {
        return PausePolicy::Never;
    };
    match &raw.failures {
        Some(failures) => PausePolicy::TooMany { failures: *failures.get_ref(), within: duration },
        None => PausePolicy::FailingFor { duration },
    }
}
