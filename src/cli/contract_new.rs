//! `hookwright contract new`: a commented file to start from.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::contract::{Contract, SHIPPED, is_contract_name};

const STARTER: &str = include_str!("contract_starter.toml");

#[derive(Args, Clone, Debug)]
pub struct New {
    /// The contract's name: lower-case letters, digits and hyphens
    name: String,
    /// The company's name as people write it [default: made from the name]
    #[arg(long)]
    title: Option<String>,
    /// Start from a contract that comes with the program, which `contract list` shows
    #[arg(long)]
    from: Option<String>,
    /// Where to write it; `-` prints it [default: NAME.toml]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Writes the file. One that is there already is left alone.
///
/// # Errors
/// Where the name can't be a contract's, or the file can't be written.
pub(super) fn run(new: &New) -> anyhow::Result<ExitCode> {
    if !is_contract_name(&new.name) {
        bail!("`{}` can't be a contract's name: lower-case letters, digits and hyphens", new.name);
    }
    let file = new.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", new.name)));
    let text = text(new, &file)?;
    let shown = file.display().to_string();
    if let Err(problems) = Contract::load(&shown, &text) {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("{}", lines.join("\n"));
    }
    if file == Path::new("-") {
        return super::print(text.trim_end());
    }
    let mut options = std::fs::OpenOptions::new();
    let mut out =
        options.write(true).create_new(true).open(&file).with_context(|| {
            format!("{shown} can't be written; name another file with --output")
        })?;
    out.write_all(text.as_bytes()).with_context(|| format!("{shown} can't be written"))?;
    super::print(&format!(
        "{shown} is written. Change it, and look at what it does:\n\n  \
         hookwright contract check {shown}\n  hookwright contract show {shown}\n\n\
         An environment speaks it when the configuration says so:\n\n  \
         [environments.production]\n  contract = \"{shown}\""
    ))
}

fn text(new: &New, file: &Path) -> anyhow::Result<String> {
    let title = new.title.clone().unwrap_or_else(|| title_of(&new.name));
    if title.contains(['"', '\\']) || title.chars().any(char::is_control) {
        bail!("a title can't contain quotes, backslashes or control characters");
    }
    let Some(from) = &new.from else { return Ok(starter(&new.name, &title, file)) };
    let Some((_, shipped)) = SHIPPED.iter().find(|(name, _)| name == from) else {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        bail!("there is no contract {from}; shipped are {}", names.join(", "));
    };
    let lines = shipped.lines().map(|line| match line.split_once(" = ") {
        Some(("name", _)) => format!("name = \"{}\"", new.name),
        Some(("title", _)) => format!("title = \"{title}\""),
        _ => line.to_owned(),
    });
    // Only the first of each: events and groups have names and titles of their own.
    let head = shipped.lines().take_while(|line| !line.starts_with('[')).count();
    let changed: Vec<String> = lines.take(head).collect();
    let rest: Vec<&str> = shipped.lines().skip(head).collect();
    Ok(format!("{}\n{}\n", changed.join("\n"), rest.join("\n")))
}

fn starter(name: &str, title: &str, file: &Path) -> String {
    let header: Vec<String> = name.split('-').map(capitalised).collect();
    STARTER
        .replace("{{title}}", title)
        .replace("{{name}}", name)
        .replace("{{file}}", &file.display().to_string())
        .replace("{{prefix}}", &header.join("-"))
        .replace("{{key_prefix}}", &name.replace('-', "_"))
}

fn title_of(name: &str) -> String {
    name.split('-').map(capitalised).collect::<Vec<_>>().join(" ")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
