//! The folder tree is the architecture: who may know whom is checked here, not hoped for.

use std::path::{Path, PathBuf};

/// A folder or file below `src`, and the words that must not stand in its code.
struct Rule {
    place: &'static str,
    forbidden: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        place: "domain",
        forbidden: &[
            "tokio",
            "rusqlite",
            "hyper",
            "axum",
            "http::",
            "minijinja",
            "crate::store",
            "crate::engine",
            "crate::sender",
            "crate::api",
            "crate::contract",
            "crate::clock",
            "async fn",
        ],
        why: "domain has no I/O, no async, no SQL and no HTTP",
    },
    Rule {
        place: "contract",
        forbidden: &[
            "tokio",
            "rusqlite",
            "hyper",
            "axum",
            "crate::store",
            "crate::engine",
            "crate::sender",
            "crate::api",
        ],
        why: "a contract is compiled and rendered without any I/O",
    },
    Rule {
        place: "store",
        forbidden: &[
            "hyper",
            "axum",
            "crate::engine",
            "crate::sender",
            "crate::api",
            "crate::contract",
        ],
        why: "the store knows transitions, not who asks for them",
    },
    Rule {
        place: "sender",
        forbidden: &["rusqlite", "axum", "crate::store", "crate::engine", "crate::api"],
        why: "the sender makes one attempt and knows nothing of deliveries",
    },
    Rule {
        place: "engine",
        forbidden: &["rusqlite", "hyper", "axum", "crate::api", "crate::cli"],
        why: "the engine speaks to the store and the sender through their own words",
    },
    Rule {
        place: "api",
        forbidden: &["rusqlite", "crate::cli"],
        why: "the only place that knows SQL is the store",
    },
    Rule {
        place: "dashboard",
        forbidden: &["rusqlite", "hyper", "crate::engine", "crate::sender", "crate::cli"],
        why: "pages read the store and change things through the native API",
    },
    Rule {
        place: "cli",
        forbidden: &["rusqlite", "axum"],
        why: "the command line wires, it doesn't serve",
    },
];

/// Lines of a source file. A longer one wants a pure piece taken out.
const FILE_LINES: usize = 500;

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code of a file without its comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(number, line)| (number + 1, line.to_owned())).collect()
}

#[test]
fn every_module_keeps_to_its_layer() {
    let mut broken = Vec::new();
    for rule in RULES {
        for file in sources(&root().join("src").join(rule.place)) {
            for (number, line) in code(&file) {
                for word in rule.forbidden.iter().filter(|word| line.contains(**word)) {
                    broken.push(format!("{}:{number}: `{word}`: {}", file.display(), rule.why));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn only_two_places_read_the_time_or_make_randomness() {
    let allowed = ["src/clock.rs", "src/entropy.rs"].map(|file| root().join(file));
    let words = ["SystemTime::now", "Instant::now", "tokio::time::", "rand::", "getrandom"];
    let mut broken = Vec::new();
    for file in sources(&root().join("src")).into_iter().filter(|file| !allowed.contains(file)) {
        for (number, line) in code(&file) {
            for word in words.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{number}: `{word}`", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn files_are_short_enough_to_read() {
    let mut long = Vec::new();
    for folder in ["src", "tests"] {
        for file in sources(&root().join(folder)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            if lines > FILE_LINES {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}
