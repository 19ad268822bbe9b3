//! What is wrong with a contract file: where, why, and what to do about it.

use std::fmt;

/// The most problems that are reported of one file.
pub const MAX_PROBLEMS: usize = 100;

/// One mistake in a contract file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// A sentence without a full stop.
    pub message: String,
    /// What the author may have meant.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Collects the problems of one file.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Problems<'a> {
        Problems { file, text, found: Vec::new() }
    }

    /// The line of a byte of the file.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// The line on which the content of the string at `offset` starts: a line break right
    /// behind the opening quotes of a multi-line string isn't part of it.
    pub(super) fn first_line_of(&self, offset: usize) -> usize {
        let line = self.line_at(offset);
        let rest = self.text.get(offset..).unwrap_or_default();
        let content = rest.strip_prefix("'''").or_else(|| rest.strip_prefix("\"\"\""));
        match content {
            Some(content) if content.starts_with('\n') || content.starts_with("\r\n") => line + 1,
            _ => line,
        }
    }

    pub(super) fn at(&mut self, offset: usize, message: impl Into<String>, hint: Option<String>) {
        self.on_line(self.line_at(offset), message, hint);
    }

    /// Reports a problem, unless the same was already said of the same line.
    pub(super) fn on_line(
        &mut self,
        line: usize,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let message = message.into();
        let known = self.found.iter().any(|old| old.line == line && old.message == message);
        if !known && self.found.len() < MAX_PROBLEMS {
            self.found.push(Problem { file: self.file.to_owned(), line, message, hint });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    /// All of them, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.line);
        self.found
    }
}

/// "did you mean `…`?" with the candidate that is closest to `word`, where one is close.
pub(super) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let tolerance = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}
