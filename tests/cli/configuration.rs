//! File, environment variables and flags, and what is said where they are wrong.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::process::{ServerProcess, hookwright};

/// The environments of a configuration show in the error for one that isn't among them.
fn environments(command: &mut Command) -> String {
    command.args(["--environment", "nowhere"]).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, names) = said.split_once("the configuration has ").unwrap_or_else(|| panic!("{said}"));
    names.trim().to_owned()
}

fn key_create(dir: &Path) -> Command {
    let mut command = hookwright(&["key", "create", "--data-dir"]);
    command.arg(dir).current_dir(dir);
    command
}

/// What a server says that is started with this file.
fn serve(dir: &Path, file: &str, args: &[&str]) -> Output {
    std::fs::write(dir.join("hookwright.toml"), file).unwrap();
    let mut command = hookwright(&["serve"]);
    if !args.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn assert_says(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it started");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn variables_beat_the_file_and_flags_beat_variables() {
    let dir = tempfile::tempdir().unwrap();
    // Keys are made in a store that is there.
    assert!(ServerProcess::start(dir.path(), &[]).terminate().0.success());
    let file = "[environments.from-the-file]\ncontract = \"klink\"\n";
    std::fs::write(dir.path().join("other.toml"), file).unwrap();
    let other = dir.path().join("other.toml");
    assert_eq!(environments(&mut key_create(dir.path())), "production");
    std::fs::write(dir.path().join("hookwright.toml"), file.replace("the-file", "here")).unwrap();
    assert_eq!(environments(&mut key_create(dir.path())), "from-here");
    assert_eq!(
        environments(key_create(dir.path()).env("HOOKWRIGHT_CONFIG", &other)),
        "from-the-file"
    );
    let variable = "from-a-variable=standard,and-another=kakiyo";
    assert_eq!(
        environments(key_create(dir.path()).env("HOOKWRIGHT_ENVIRONMENTS", variable)),
        "and-another, from-a-variable"
    );
    assert_eq!(
        environments(
            key_create(dir.path())
                .env("HOOKWRIGHT_ENVIRONMENTS", variable)
                .args(["--environments", "from-a-flag=standard"])
        ),
        "from-a-flag"
    );
}

#[test]
fn every_source_is_read_for_single_settings_too() {
    let dir = tempfile::tempdir().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Held until the end of the test.
    let address = busy.local_addr().unwrap().to_string();
    let file = format!("listen = \"{address}\"\ndata_dir = \"from-the-file\"\n");
    std::fs::write(dir.path().join("hookwright.toml"), &file).unwrap();
    let serve = || {
        let mut command = hookwright(&["serve"]);
        command.current_dir(dir.path()).stdin(Stdio::null());
        command
    };
    let said = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&mut serve()).contains(&address));
    assert!(dir.path().join("from-the-file").is_dir());
    // Which address it can't have shows which source counts.
    let others: Vec<_> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let [variable, flag] = [0, 1].map(|index| others[index].local_addr().unwrap().to_string());
    assert!(said(serve().env("HOOKWRIGHT_LISTEN", &variable)).contains(&variable));
    let both = said(serve().env("HOOKWRIGHT_LISTEN", &variable).args(["--listen", &flag]));
    assert!(both.contains(&flag) && !both.contains(&variable), "{both}");
    let dir_of_variable = dir.path().join("from-a-variable");
    said(serve().env("HOOKWRIGHT_DATA_DIR", &dir_of_variable));
    assert!(dir_of_variable.is_dir());
    drop((busy, others));
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    for (file, line, words) in [
        ("lisen = \"127.0.0.1:0\"\n", 1, "unknown field `lisen`"),
        ("# a comment\n\nlisen = \"x\"\n", 3, "listen"),
        ("log = \"info\"\nlisten = \"nowhere\"\n", 2, "socket address"),
        ("log = \"info\"\nlisten = 8071\n", 2, "socket address"),
        ("\n\nshutdown_grace = \"soon\"\n", 3, "such as 30s"),
        ("shutdown_grace = 30\n", 1, "string"),
        ("window = -1\n", 1, "-1"),
        ("\nretention = \"a while\"\n", 2, "such as 90d, or forever"),
        ("retention = 90\n", 1, "string"),
        ("payload_retention = \"59s\"\n", 1, "at least 60 seconds"),
        ("[environments.production]\nretention = \"0d\"\n", 2, "at least 60 seconds"),
        ("allow_private = [\"127.0.0.1/99\"]\n", 1, "IP"),
        ("log = \"info\"\nlog = \"warn\"\n", 2, "duplicate key"),
        ("log = \"info\"\n[environments.production]\nconract = \"klink\"\n", 3, "contract"),
        ("log = \"info\"\nlisten = \n", 2, ""),
        ("log = \"info\"\n[environments\n", 2, ""),
    ] {
        let output = serve(dir.path(), file, &[]);
        assert_says(&output, &[&format!("hookwright.toml:{line}: "), words]);
    }
}

#[test]
fn values_that_cannot_work_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (file, words) in [
        ("contract = \"klnk\"\n", ["klnk", "klink"]),
        ("[environments.production]\ncontract = \"no.toml\"\n", ["production", "no.toml"]),
        ("[environments.\"a b\"]\ncontract = \"klink\"\n", ["\"a b\"", "letters"]),
        ("admin_key = \"short\"\n", ["admin_key", "16"]),
        ("jwt_secret = \"short\"\n", ["jwt_secret", "16"]),
        ("master_key = \"c2hvcnQ=\"\n", ["master_key", "32"]),
        ("master_key = \"%%%\"\n", ["master_key", "base64"]),
        ("window = 0\n", ["window", "at least 1"]),
        ("payload_retention = \"91d\"\n", ["payload_retention is longer", "90d"]),
        (
            "payload_retention = \"7d\"\n[environments.eu]\nretention = \"5d\"\n",
            ["environment eu", "payload_retention is longer"],
        ),
        ("max_body_bytes = 0\n", ["max_body_bytes", "at least 1"]),
        ("waiting_publishes = 0\n", ["waiting_publishes", "at least 1"]),
        ("waiting_publish_bytes = 0\n", ["waiting_publish_bytes", "at least 1"]),
        ("publish_wait = \"0s\"\n", ["publish_wait", "longer than 0"]),
        ("log = \"hookwright=loud\"\n", ["log", "loud"]),
        ("tls_ca_file = \"no.pem\"\n", ["no.pem", ""]),
        ("user_agent = \"a\\nb\"\n", ["user agent", ""]),
    ] {
        let output = serve(dir.path(), file, &[]);
        assert_says(&output, &words);
        for secret in ["short\"", "c2hvcnQ", "%%%"] {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains(secret), "{file}: {said}");
        }
    }
    for (args, words) in [
        (&["--shutdown-grace", "soon"][..], ["--shutdown-grace", "such as 30s"]),
        (&["--environments", "production"], ["production", "NAME=CONTRACT"]),
        (&["--environments", "a=klink,a=tomba"], ["a=tomba", "twice"]),
        (&["--environments", "a=klnk"], ["klnk", "klink"]),
        (&["--config", "missing.toml"], ["missing.toml", "can't read"]),
        (&["--log-format", "xml"], ["xml", "json"]),
        (&["--listen", "80"], ["--listen", "80"]),
    ] {
        assert_says(&serve(dir.path(), "", args), &words);
    }
}

#[test]
fn a_contract_file_with_problems_is_named_with_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let contract = "name = \"mine\"\ntitle = \"Mine\"\n[delivery]\nbody = '{{ payloat }}'\ntimeout = \"soon\"\n";
    std::fs::write(dir.path().join("mine.toml"), contract).unwrap();
    let output = serve(dir.path(), "[environments.production]\ncontract = \"mine.toml\"\n", &[]);
    assert_says(&output, &["production", "mine.toml:4:", "mine.toml:5:", "payload"]);
}

#[test]
fn the_example_file_is_a_configuration_also_with_its_comments_taken_away() {
    let example = std::fs::read_to_string("hookwright.example.toml").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("example.toml");
    std::fs::write(&config, &example).unwrap();
    let config = config.to_str().unwrap();
    let server = ServerProcess::start(&dir.path().join("data"), &["--config", config]);
    assert!(server.terminate().0.success());

    // Settings are commented out without a space behind the mark.
    let settings: Vec<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .collect();
    assert!(settings.len() > 20, "{settings:?}");
    let kept = settings.iter().filter(|line| {
        let hypothetical =
            ["admin_key", "jwt_secret", "master_key", "source_address", "tls_ca_file", "logo"];
        !hypothetical.iter().any(|name| line.starts_with(name))
            && !line.contains("./my-contract.toml")
    });
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    std::fs::write(config, text).unwrap();
    let server = ServerProcess::start(&dir.path().join("data2"), &["--config", config]);
    assert!(server.terminate().0.success());
}
