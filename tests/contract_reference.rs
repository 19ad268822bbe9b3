//! `docs/contract-reference.md` is made from the code: the keys of the format from the
//! structs that read them, operations, names and filters from the tables that check them.
//! `UPDATE_DOCS=1 cargo test --test contract_reference` writes it anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hookwright::api::status;
use hookwright::contract::reference;
use hookwright::contract::routes::Operation;
use hookwright::domain::ErrorCode;

const PAGE: &str = "docs/contract-reference.md";

/// The structs that read a contract, in the order of the page, with what a contract writes.
const SECTIONS: [(&str, &str, &str); 16] = [
    ("file.rs", "RawContract", "At the top"),
    ("file.rs", "RawDelivery", "`[delivery]`"),
    ("file.rs", "RawSignature", "`[[signature]]`"),
    ("file.rs", "RawSecret", "`[secret]`"),
    ("file.rs", "RawKeyPair", "`[secret.ed25519]`"),
    ("file.rs", "RawPause", "`[pause]`"),
    ("file.rs", "RawEndpoint", "`[endpoint]`"),
    ("file.rs", "RawHandshake", "`[[handshake]]`"),
    ("file.rs", "RawGroup", "`[[groups]]`"),
    ("file.rs", "RawEvent", "`[[events]]`"),
    ("routes/load.rs", "RawRoute", "`[[routes]]`"),
    ("routes/load.rs", "RawTemplates", "`[templates]`"),
    ("routes/load.rs", "RawKeys", "`[keys]`"),
    ("routes/load.rs", "RawIds", "`[ids]`"),
    ("routes/load.rs", "RawErrors", "`[errors]`"),
    ("routes/load.rs", "RawErrorWord", "`[errors.codes]`"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A struct of the source: what its doc comment says, and its fields with theirs.
struct Section {
    about: String,
    keys: Vec<(String, String)>,
}

/// Reads the struct (or type alias) `name` out of a source file.
fn section(source: &str, name: &str) -> Option<Section> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == "struct" || word == "type") && words.any(|word| word == name)
    };
    let start = lines.iter().position(|line| !line.starts_with("//") && declares(line))?;
    let mut section = Section { about: comment_above(&lines, start), keys: Vec::new() };
    if !lines[start].ends_with('{') {
        return Some(section);
    }
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        if *line == "}" {
            break;
        }
        let field = line.rsplit_once(") ").map_or(*line, |(_, field)| field);
        if let Some((key, kind)) = field.split_once(": ").filter(|_| !line.starts_with(['/', '#']))
        {
            // Sections have a table of their own.
            if name == "RawContract" && kind.contains("Raw") {
                continue;
            }
            let key = key.trim_start_matches("pub ").trim_start_matches("r#");
            section.keys.push((key.to_owned(), comment_above(&lines, index)));
        }
    }
    Some(section)
}

/// The doc comment right above a line, on one line.
fn comment_above(lines: &[&str], index: usize) -> String {
    let above = lines[..index].iter().rev();
    let mut words: Vec<&str> = above
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    words.reverse();
    words.join(" ").replace('|', "\\|")
}

fn page() -> String {
    let mut page = String::from(
        "# Contract reference\n\nEvery key of a contract file, every name and filter of its templates, every \
         operation of its routes.\nThis page is made from the code; [contracts.md](contracts.md) explains how they go \
         together.\n\n# Keys\n",
    );
    for (file, name, title) in SECTIONS {
        let path: PathBuf = root().join("src/contract").join(file);
        let source = std::fs::read_to_string(&path).unwrap();
        let section = section(&source, name).unwrap_or_else(|| panic!("{name} isn't in {file}"));
        let about =
            section.about.split_once("]`: ").map_or(section.about.as_str(), |(_, about)| about);
        let _ = write!(page, "\n## {title}\n\n{}\n", sentence(about));
        if section.keys.is_empty() {
            continue;
        }
        page.push_str("\n| key | what it says |\n|---|---|\n");
        for (key, about) in &section.keys {
            assert!(!about.is_empty(), "{name}.{key} has no doc comment");
            let _ = writeln!(page, "| `{key}` | {about} |");
        }
    }
    page.push_str("\nOur codes, with their statuses: ");
    let codes =
        ErrorCode::ALL.map(|code| format!("`{}` ({})", code.as_str(), status(code).as_u16()));
    let _ = writeln!(page, "{}.", codes.join(", "));
    names(&mut page);
    operations(&mut page);
    page
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn names(page: &mut String) {
    page.push_str(
        "\n# Names in templates of deliveries\n\n| name | what it is | where |\n|---|---|---|\n",
    );
    for name in reference::names() {
        let _ = writeln!(page, "| `{}` | {} | {} |", name.name, name.about, name.places.join(", "));
    }
    page.push_str("\n# Filters\n\n| filter | what it makes |\n|---|---|\n");
    for (name, about) in reference::filters() {
        let _ = writeln!(page, "| `{name}` | {} |", about.replace('|', "\\|"));
    }
    page.push_str("\nOnly in routes:\n\n| filter | what it makes |\n|---|---|\n");
    for (name, about) in reference::route_filters() {
        let _ = writeln!(page, "| `{name}` | {} |", about.replace('|', "\\|"));
    }
}

fn operations(page: &mut String) {
    page.push_str(
        "\n# Operations of routes\n\nTemplates of responses also know `application.uid`, `application.name`, \
         `environment`, and `path`, `query` and `body` of the request.\n\n\
         | operation | what it does | input (required in bold) | names in its response | status |\n|---|---|---|---|---|\n",
    );
    for &operation in Operation::ALL {
        let field = |field: &hookwright::contract::routes::Field| match field.required {
            true => format!("**`{}`**", field.name),
            false => format!("`{}`", field.name),
        };
        let input: Vec<String> = operation.input().fields().iter().map(field).collect();
        let answers: Vec<String> =
            operation.answers().iter().map(|(name, samples)| members(name, samples[0])).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            operation.name(),
            operation.about(),
            input.join(", "),
            answers.join("; "),
            operation.status()
        );
    }
}

/// A name of a response with the members that it has.
fn members(name: &str, sample: &str) -> String {
    let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
    let members: Vec<&str> = sample.as_object().unwrap().keys().map(String::as_str).collect();
    format!("`{name}` ({})", members.join(", "))
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = root().join(PAGE);
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = written.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(
        written == page,
        "{PAGE} is out of date: run UPDATE_DOCS=1 cargo test --test contract_reference\n{difference:#?}"
    );
}

#[test]
fn the_guide_names_only_keys_that_exist() {
    let guide = std::fs::read_to_string(root().join("docs/contracts.md")).unwrap();
    let page = page();
    let keys = guide.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| key));
    for key in keys.filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
        let code = ["contract"].contains(&key) || page.contains(&format!("`{key}`"));
        assert!(code, "{key} is not a key of contracts");
    }
}
