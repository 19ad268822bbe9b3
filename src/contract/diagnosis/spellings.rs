//! A secret as a request may hold it that sends the secret itself.

use zeroize::Zeroizing;

use super::given::ENCODINGS;
use crate::contract::filters::{percent_encode, xml_text};
use crate::contract::{form, json};

/// The ways in which the filters of templates write a whole text, the text itself among them,
/// the longest first. Each comes once.
pub fn spellings(text: &str) -> Vec<Zeroizing<String>> {
    let mut quoted = Vec::new();
    json::write_string(text.as_bytes(), &mut quoted);
    let quoted = Zeroizing::new(String::from_utf8_lossy(&quoted).into_owned());
    let in_json = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or(&quoted);
    let mut all = vec![
        text.to_owned(),
        percent_encode(text),
        form::encode(text),
        in_json.to_owned(),
        xml_text(text).into_owned(),
    ];
    all.extend(ENCODINGS.map(|encoding| encoding.write(text.as_bytes())));
    all.sort_unstable_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
    all.dedup();
    all.into_iter().map(Zeroizing::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_text_comes_once_and_the_longest_first() {
        let all = spellings("\"a\" b&é\\");
        for one in [
            "\"a\" b&é\\",
            "%22a%22%20b%26%C3%A9%5C",
            "%22a%22+b%26%C3%A9%5C",
            "\\\"a\\\" b&é\\\\",
            "&quot;a&quot; b&amp;é\\",
            "ImEiIGImw6lc",
        ] {
            assert!(all.iter().any(|known| **known == one), "{one}: {all:?}");
        }
        assert!(all.is_sorted_by_key(|one| std::cmp::Reverse(one.len())));
        assert_eq!(spellings("plain").iter().filter(|one| ***one == "plain").count(), 1);
    }
}
