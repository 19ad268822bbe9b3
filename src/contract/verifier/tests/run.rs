//! Runs the programs as their readers would: each language's own tools, all programs of a
//! language at once, because compilers take longer to start than to compile.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Language;

/// Programs that run at the same time.
const AT_ONCE: usize = 2;

/// What each program finds, in their order: whether the request is good. Nothing where the
/// machine hasn't got the language, which it has to have in CI.
pub(super) fn verdicts(language: Language, programs: &[String]) -> Option<Vec<bool>> {
    let folder = tempfile::tempdir().unwrap();
    let commands = match prepared(language, programs, folder.path()) {
        Some(commands) => commands,
        None => {
            let title = language.title();
            assert!(std::env::var_os("CI").is_none(), "{title} is missing on this machine");
            // Not by the macro, whose words are only seen where a test fails.
            let warning = format!("\nNOT TESTED: {title} is missing on this machine\n");
            std::io::stderr().write_all(warning.as_bytes()).unwrap();
            return None;
        }
    };
    let next = AtomicUsize::new(0);
    let take = || {
        let taken = std::iter::from_fn(|| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (program, arguments) = commands.get(number)?;
            let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
            Some((number, verdict(&output.unwrap(), &programs[number])))
        });
        taken.collect::<Vec<_>>()
    };
    let mut found: Vec<(usize, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(take)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    found.sort_unstable();
    assert_eq!(found.len(), programs.len());
    Some(found.into_iter().map(|(_, good)| good).collect())
}

/// A program has to end as it says.
fn verdict(output: &Output, program: &str) -> bool {
    let said = String::from_utf8_lossy(&output.stdout);
    match (output.status.code(), said.trim()) {
        (Some(0), "The signature is valid.") => true,
        (Some(1), "The signature is NOT valid.") => false,
        other => panic!("{other:?}\n{}\n{program}", String::from_utf8_lossy(&output.stderr)),
    }
}

type Run = (PathBuf, Vec<String>);

/// How each program is run; `None` where the language is missing.
fn prepared(language: Language, programs: &[String], folder: &Path) -> Option<Vec<Run>> {
    let (tool, suffix) = match language {
        Language::Node => ("node", "js"),
        Language::Python => ("python3", "py"),
        Language::Php => ("php", "php"),
        Language::Ruby => ("ruby", "rb"),
        Language::Go => return go(programs, folder),
        Language::Java => return java(programs, folder),
    };
    is_there(tool).then(|| {
        let runs = programs.iter().enumerate().map(|(number, program)| {
            let file = folder.join(format!("{number}.{suffix}"));
            std::fs::write(&file, program).unwrap();
            let mut arguments = vec![file.display().to_string()];
            if language == Language::Php {
                // Warnings would stand in the output.
                let loud = ["-d", "display_errors=1", "-d", "error_reporting=-1"];
                arguments.splice(0..0, loud.map(str::to_owned));
            }
            (PathBuf::from(tool), arguments)
        });
        runs.collect()
    })
}

fn is_there(tool: &str) -> bool {
    let mut command = Command::new(tool);
    match command.stdin(Stdio::null()).output() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{tool} can't be run: {error}"),
    }
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn go(programs: &[String], folder: &Path) -> Option<Vec<Run>> {
    if !is_there("go") {
        return None;
    }
    std::fs::write(folder.join("go.mod"), "module verifiers\n\ngo 1.18\n").unwrap();
    for (number, program) in programs.iter().enumerate() {
        let package = folder.join(format!("p{number}"));
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("main.go"), program).unwrap();
    }
    let different = succeeds(Command::new("gofmt").arg("-d").arg(folder));
    assert_eq!(different, "", "gofmt would lay the programs out in another way");
    std::fs::create_dir(folder.join("built")).unwrap();
    let mut build = Command::new("go");
    build.args(["build", "-ldflags=-s -w", "-o", "built/", "./..."]).current_dir(folder);
    // Go compiles its standard library once for each cache.
    build.env("GOCACHE", std::env::temp_dir().join("hookwright-tests-go-build"));
    build.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").env_remove("GO111MODULE");
    succeeds(&mut build);
    let run = |number| (folder.join("built").join(format!("p{number}")), Vec::new());
    Some((0..programs.len()).map(run).collect())
}

/// The first one is run from its source, as its first line says; the others are compiled
/// together, under names of their own.
fn java(programs: &[String], folder: &Path) -> Option<Vec<Run>> {
    if !is_there("javac") {
        return None;
    }
    let source = folder.join("Verify.java");
    std::fs::write(&source, &programs[0]).unwrap();
    let mut compile = Command::new("javac");
    compile.args(["-Xlint:all", "-Werror", "-d"]).arg(folder);
    let mut runs = vec![(PathBuf::from("java"), vec![source.display().to_string()])];
    for (number, program) in programs.iter().enumerate().skip(1) {
        let name = format!("Verify{number}");
        let renamed =
            program.replacen("public class Verify {", &format!("public class {name} {{"), 1);
        let file = folder.join(format!("{name}.java"));
        std::fs::write(&file, renamed).unwrap();
        compile.arg(file);
        let place = folder.display().to_string();
        let arguments = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &place, &name];
        runs.push((PathBuf::from("java"), arguments.map(str::to_owned).to_vec()));
    }
    if runs.len() > 1 {
        succeeds(&mut compile);
    }
    Some(runs)
}
