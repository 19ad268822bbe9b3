//! Secrets in every form in which they could leak.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// What must not be seen.
#[derive(Default)]
pub(super) struct Canaries(Vec<Canary>);

struct Canary {
    what: String,
    /// The bytes to look for, and which form they are.
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canaries {
    /// A secret text. Where it stands for key bytes (base64 behind a prefix, or hex), those
    /// are looked for too.
    pub(super) fn add(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 16, "{what} could be found by accident");
        let mut forms = encodings(text.as_bytes());
        forms.push(("text", text.as_bytes().to_vec()));
        let encoded = text.rsplit_once('_').map_or(text, |(_, rest)| rest);
        forms.push(("without its prefix", encoded.as_bytes().to_vec()));
        for key in [BASE64_STANDARD.decode(encoded).ok(), hex::decode(encoded).ok()] {
            // Fewer bytes would be found by accident.
            let Some(key) = key.filter(|key| key.len() >= 8) else { continue };
            forms.extend(encodings(&key));
            forms.push(("key bytes", key));
        }
        self.0.push(Canary { what: what.to_owned(), forms });
    }

    /// What is found in `bytes`.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let bytes = widened(bytes);
        let mut found = Vec::new();
        for canary in &self.0 {
            for (form, needle) in &canary.forms {
                if bytes.contains(&widened(needle)) {
                    found.push(format!("{} ({form})", canary.what));
                }
            }
        }
        found
    }

    /// Fails where what was printed or logged shows one.
    pub(super) fn assert_none_printed(&self, output: &str) {
        let found = self.found_in(output.as_bytes());
        let shows = |line: &&str| !self.found_in(line.as_bytes()).is_empty();
        assert!(found.is_empty(), "{found:?}, first in {:?}", output.lines().find(shows));
    }

    /// Fails where any file below `dir` holds one, but for `except`.
    pub(super) fn assert_none_below(&self, dir: &Path, except: Option<&str>) {
        let files = files_below(dir);
        // The name of a key is no secret: the files are read as they are.
        let readable =
            |file: &PathBuf| widened(&std::fs::read(file).unwrap()).contains("first admin key");
        assert!(files.iter().any(readable), "{files:?}");
        for file in files.iter().filter(|file| !except.is_some_and(|name| file.ends_with(name))) {
            let found = self.found_in(&std::fs::read(file).unwrap());
            assert!(found.is_empty(), "{} holds {found:?}", file.display());
        }
    }
}

/// How bytes are printed: as text of some base, or as Rust shows a slice of them.
fn encodings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    vec![
        ("base64", BASE64_STANDARD_NO_PAD.encode(bytes).into_bytes()),
        ("base64url", BASE64_URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("upper-case hex", hex::encode_upper(bytes).into_bytes()),
        ("a list of numbers", list.join(", ").into_bytes()),
        ("escaped", bytes.escape_ascii().to_string().into_bytes()),
    ]
}

/// Bytes as characters of the same number: text is searched much faster than bytes.
fn widened(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_leak_in_any_form_would_be_found() {
    let mut canaries = Canaries::default();
    let key = [0xabu8; 24];
    canaries.add("a secret", &format!("whsec_{}", BASE64_STANDARD.encode(key)));
    for leak in [
        format!("secret=whsec_{}!", BASE64_STANDARD.encode(key)).into_bytes(),
        format!("{key:?}").into_bytes(),
        format!("{:?}", bytes::Bytes::copy_from_slice(&key)).into_bytes(),
        hex::encode(key).into_bytes(),
        [&b"page"[..], &key, b"page"].concat(),
    ] {
        assert!(!canaries.found_in(&leak).is_empty(), "{}", leak.escape_ascii());
    }
    assert!(canaries.found_in(b"nothing to see, whsec_ included").is_empty());
}
