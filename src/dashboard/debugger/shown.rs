//! A diagnosis as the page shows it.

use super::findings;
use super::words::{self, Cause, Context, Side};
use crate::contract::diagnosis::{Computed, Diagnosis, PartKind, Unread, Verdict};
use crate::domain::Timestamp;

/// Characters of signed content that are shown.
const CONTENT_CHARS: usize = 20_000;

/// Characters of one part of it that are shown in the table.
const PART_CHARS: usize = 600;

/// The result, on top of the page.
pub(super) struct Shown {
    /// Of the banner.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) heading: String,
    pub(super) sentence: String,
    pub(super) causes: Vec<Cause>,
    /// Whether the causes are certain, or only what was noticed.
    pub(super) certain: bool,
    pub(super) notes: Vec<String>,
    /// The heading about the signature of the receiver's code, and what is wrong with it.
    pub(super) code: Option<(String, Vec<Cause>)>,
    pub(super) parts: Vec<(String, String)>,
    pub(super) content: String,
    pub(super) form: (String, String),
    pub(super) tried: String,
    pub(super) unread: Vec<(usize, String)>,
}

impl Shown {
    /// `event` is the id of the event that the request was compared with; `pasted` says whether
    /// a pasted secret was.
    pub(super) fn of(
        found: &Diagnosis,
        (now, pasted): (Timestamp, bool),
        (event, unread): (Option<String>, &[Unread]),
    ) -> Shown {
        let context = Context { side: Side::Request, now, pasted };
        let (class, word, heading, sentence) = heading(found, event.as_deref());
        let mut causes = match &found.verdict {
            Verdict::Explained(all) | Verdict::Valid { remarks: all, .. } => {
                all.iter().map(|one| words::deviation(one, context)).collect()
            }
            Verdict::Unexplained(findings) => {
                let of = |one| findings::finding(one, found, context);
                findings.iter().flat_map(of).collect()
            }
            Verdict::NotSigned | Verdict::NotRebuildable(_) => Vec::new(),
        };
        show_difference(&mut causes, found);
        let content: String =
            found.signed.iter().filter_map(|part| part.value.as_deref()).collect();
        let literal = |part: &PartKind| *part == PartKind::Literal;
        let parts = found.signed.iter().map(|part| {
            let value = part.value.as_deref().map(|text| visible(text, PART_CHARS));
            let value =
                if literal(&part.kind) { value.map(|it| format!("“{it}”")) } else { value };
            let value = value.unwrap_or_else(|| "missing".to_owned());
            let value = if value.is_empty() { "(empty)".to_owned() } else { value };
            (words::part(&part.kind), value)
        });
        Shown {
            class,
            word,
            heading,
            sentence,
            causes,
            certain: matches!(found.verdict, Verdict::Explained(_)),
            notes: found.notes.iter().map(|note| findings::note(note, now)).collect(),
            code: code(&found.computed, Context { side: Side::Code, ..context }),
            parts: parts.collect(),
            content: visible(&content, CONTENT_CHARS),
            form: (found.header.clone(), found.form.clone()),
            tried: findings::tried(found),
            unread: unread.iter().map(|one| (one.line, one.text.clone())).collect(),
        }
    }
}

/// Where no cause shows where the content parts, the first does.
fn show_difference(causes: &mut [Cause], found: &Diagnosis) {
    if causes.iter().any(|cause| cause.difference.is_some()) {
        return;
    }
    if let (Some(first), Some(difference)) = (causes.first_mut(), &found.difference) {
        first.difference = Some(words::compared(difference, Side::Request));
    }
}

fn heading(found: &Diagnosis, event: Option<&str>) -> (&'static str, &'static str, String, String) {
    let compared = match event {
        Some(event) if found.tried.attempts > 0 => {
            format!(" It was compared with event {event} as it was sent.")
        }
        _ => String::new(),
    };
    match &found.verdict {
        Verdict::Valid { owner, .. } => {
            let by = match &owner.webhook {
                Some(name) => format!("It was made with the signing secret of {name}."),
                None => "It was made with the secret that you pasted.".to_owned(),
            };
            let sentence = format!(
                "{by} If your code refuses it, compare what it signs with the parts below, one by one."
            );
            ("delivered", "Valid", "The signature is valid.".to_owned(), sentence)
        }
        Verdict::Explained(causes) => {
            let what = if causes.len() == 1 { "This is why" } else { "These together are why" };
            let sentence = format!(
                "{what}. It is certain: put right, it gives the very signature that you pasted.{compared}"
            );
            ("failed", "Not valid", "The signature doesn’t fit the request.".to_owned(), sentence)
        }
        _ => {
            let sentence = match event {
                None => {
                    "Say the event’s id below, if you know it: then the request is compared with what was sent."
                }
                Some(_) => "Nothing that was tried gives the signature that you pasted.",
            };
            let heading = "The signature isn’t valid, and no usual mistake explains it.";
            let sentence = format!("{sentence}{compared}");
            ("failed", "Not valid", heading.to_owned(), sentence)
        }
    }
}

fn code(computed: &Computed, context: Context) -> Option<(String, Vec<Cause>)> {
    let none = Vec::new();
    Some(match computed {
        Computed::None => return None,
        Computed::Right => {
            ("Your code’s signature is right for what is shown below.".to_owned(), none)
        }
        Computed::Unexplained => (
            "No usual mistake gives your code’s signature. Print what it signs, and compare that with the content below, character by character."
                .to_owned(),
            none,
        ),
        Computed::Explained(deviations, difference) => {
            let of = |one| words::deviation(one, context);
            let mut causes: Vec<Cause> = deviations.iter().map(of).collect();
            let shows = causes.iter().any(|cause| cause.difference.is_some());
            if let (false, Some(first), Some(difference)) =
                (shows, causes.first_mut(), difference)
            {
                first.difference = Some(words::compared(difference, Side::Code));
            }
            ("What is wrong in your code".to_owned(), causes)
        }
    })
}

/// A text with everything in it that can't be seen made visible, up to so many characters.
pub(super) fn visible(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most) + 16);
    let mut rest = text.chars().peekable();
    for (count, one) in rest.by_ref().enumerate() {
        if count == most {
            out.push_str(" … (cut here)");
            return out;
        }
        match one {
            '\n' => out.push_str("↵\n"),
            '\r' => out.push_str("‹CR›"),
            '\t' => out.push_str("‹TAB›"),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.push_str(&format!("‹U+{:04X}›", u32::from(one))),
            other => out.push(other),
        }
    }
    let spaces = out.len() - out.trim_end_matches(' ').len();
    out.truncate(out.len() - spaces);
    out.extend(std::iter::repeat_n('·', spaces));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        assert_eq!(visible("a\tb\r\nc  ", 100), "a‹TAB›b‹CR›↵\nc··");
        assert_eq!(visible("\u{feff}{\u{a0}}é", 100), "‹U+FEFF›{‹U+00A0›}é");
        assert_eq!(visible("abcdef", 3), "abc … (cut here)");
        assert_eq!(visible("abc", 3), "abc");
    }
}
