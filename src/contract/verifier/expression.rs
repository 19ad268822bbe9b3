//! The simple templates: literals and single expressions, one behind the other.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::contract) enum Piece {
    Literal(String),
    /// What stands between the braces, without spaces around its parts. Both names of the
    /// message's id are written as `id`.
    Expression(String),
}

/// Takes a template apart.
///
/// # Errors
/// Why it is more than a row of pieces.
pub(in crate::contract) fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    if source.contains("{%") || source.contains("{#") || source.contains("{{-") {
        return Err("what is signed is put together by statements of the template".to_owned());
    }
    let mut pieces = Vec::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        if !before.is_empty() {
            pieces.push(Piece::Literal(before.to_owned()));
        }
        let (expression, behind) =
            after.split_once("}}").ok_or_else(|| "a brace is never closed".to_owned())?;
        pieces.push(Piece::Expression(normalised(expression)));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

fn normalised(expression: &str) -> String {
    let mut filters = expression.split('|').map(str::trim);
    let name = match filters.next().unwrap_or_default() {
        "message.id" => "id",
        name => name,
    };
    std::iter::once(name).chain(filters).collect::<Vec<_>>().join("|")
}

/// The text of a template's string literal; `None` for anything else, or with escapes in it.
pub(in crate::contract) fn unquote(quoted: &str) -> Option<String> {
    let quoted = quoted.trim();
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)))?;
    (!inner.contains(['\\', '"', '\''])).then(|| inner.to_owned())
}
