//! Checks of single settings.

use anyhow::bail;

use crate::domain::SecretText;

/// The names of environments stand in headers and addresses.
pub(super) fn check_name(name: &str) -> anyhow::Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        bail!("environment {name:?}: a name has 1 to 64 letters, digits, `-`, `_` and `.`");
    }
    Ok(())
}

/// A secret that nobody guesses.
pub(super) fn secret(
    name: &str,
    value: Option<SecretText>,
    min_bytes: usize,
) -> anyhow::Result<Option<SecretText>> {
    match value {
        Some(text) if text.expose().len() < min_bytes => {
            bail!("{name} is too short: anything under {min_bytes} characters can be guessed")
        }
        value => Ok(value),
    }
}

/// A limit of at least one.
pub(super) fn positive(name: &str, value: Option<usize>, default: usize) -> anyhow::Result<usize> {
    match value {
        Some(0) => bail!("{name} must be at least 1"),
        value => Ok(value.unwrap_or(default)),
    }
}
