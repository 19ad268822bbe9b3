//! Where two texts part.

/// Characters that are shown before the place at which two texts part.
const BEFORE_CHARS: usize = 24;
/// Characters that are shown from there on.
const BEHIND_CHARS: usize = 48;

/// The first place at which two texts differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In bytes of either, from the beginning.
    pub offset: usize,
    /// What both have right before it.
    pub common: String,
    /// Whether more stands before that.
    pub cut: bool,
    /// How what was signed goes on; empty at its end.
    pub signed: String,
    /// How what was given goes on.
    pub given: String,
}

impl Difference {
    /// `None` where there is none.
    pub(super) fn between(signed: &str, given: &str) -> Option<Difference> {
        let mut pairs = signed.char_indices().zip(given.chars());
        let shorter = signed.len().min(given.len());
        let found = pairs.find(|((_, one), other)| one != other).map(|((offset, _), _)| offset);
        let offset = match found {
            Some(offset) => offset,
            None if signed.len() == given.len() => return None,
            None => shorter,
        };
        let before = &signed[..offset];
        let skipped = before.chars().count().saturating_sub(BEFORE_CHARS);
        let excerpt = |text: &str| text[offset..].chars().take(BEHIND_CHARS).collect();
        Some(Difference {
            offset,
            common: before.chars().skip(skipped).collect(),
            cut: skipped > 0,
            signed: excerpt(signed),
            given: excerpt(given),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_part_at_a_character_and_not_within_one() {
        let found = Difference::between("aé1", "aê1").unwrap();
        assert_eq!((found.offset, found.common.as_str()), (1, "a"));
        assert_eq!((found.signed.as_str(), found.given.as_str()), ("é1", "ê1"));
        assert_eq!(Difference::between("é", "é"), None);
    }

    #[test]
    fn one_that_ends_early_goes_on_with_nothing() {
        let found = Difference::between("abc", "ab").unwrap();
        assert_eq!((found.offset, found.given.as_str(), found.cut), (2, "", false));
        let long = "x".repeat(100);
        let found = Difference::between(&long, &format!("{long}\n")).unwrap();
        assert_eq!((found.offset, found.given.as_str(), found.cut), (100, "\n", true));
        assert_eq!(found.common.len(), BEFORE_CHARS);
    }
}
