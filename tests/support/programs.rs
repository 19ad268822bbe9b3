//! Other languages, which share no code with the server, to check what it sends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Runs a Python program that finds its input in `given` and prints what it returns with
/// `answer(…)`.
#[track_caller]
pub fn python(program: &str, given: &Value) -> Value {
    let frame = format!(
        "import hashlib, hmac, json, sys\n\
         given = json.loads(sys.stdin.buffer.read())\n\
         def answer(value): sys.stdout.buffer.write(json.dumps(value).encode())\n\
         {program}"
    );
    run("python3", &["-c", &frame], given)
}

/// Runs a JavaScript program, in the same way.
#[track_caller]
pub fn node(program: &str, given: &Value) -> Value {
    let frame = format!(
        "const crypto = require('crypto');\n\
         const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n\
         const answer = (value) => process.stdout.write(JSON.stringify(value));\n\
         {program}"
    );
    run("node", &["-e", &frame], given)
}

#[track_caller]
fn run(program: &str, arguments: &[&str], given: &Value) -> Value {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
    // The programs read everything before they write, so this can't block.
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed: {complaints}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{program} printed no answer: {error}\n{complaints}"))
}

/// The hexadecimal HMAC-SHA256 of each content, by Python's `hmac`, keyed with a text.
#[track_caller]
pub fn hmac_sha256_hex<'a>(key: &str, contents: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let contents: Vec<String> = contents.into_iter().map(hex::encode).collect();
    let signed = python(
        "key = given['key'].encode()\n\
         answer([hmac.new(key, bytes.fromhex(one), hashlib.sha256).hexdigest() for one in given['contents']])",
        &json!({ "key": key, "contents": contents }),
    );
    serde_json::from_value(signed).unwrap()
}

/// A receiver in another language, listening until it is dropped.
pub struct HttpProgram {
    child: Child,
    port: u16,
    output: BufReader<ChildStdout>,
}

/// Where the documented examples stand, and what they `require`.
const DOCUMENTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documented");

/// A documented example, as it was printed.
pub fn documented(file: &str) -> String {
    std::fs::read_to_string(format!("{DOCUMENTED}/{file}")).unwrap()
}

/// Runs a documented example in the language of its file's name and returns what it prints.
/// Only the host and the key are changed.
#[track_caller]
pub fn run_documented(file: &str, changes: &[(&str, &str)]) -> String {
    let mut source = documented(file);
    for (printed, real) in changes {
        source = source.replace(printed, real);
    }
    let (program, arguments): (_, &[&str]) = match file.rsplit('.').next() {
        Some("sh") => ("bash", &["-c"]),
        Some("mjs") => ("node", &["--input-type=module", "-e"]),
        Some("py") => ("python3", &["-c"]),
        _ => panic!("no language for {file}"),
    };
    let output = Command::new(program).args(arguments).arg(&source).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} failed: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

impl HttpProgram {
    /// A server in JavaScript. `program` defines `respond(request, body)`, which returns the
    /// status to answer with.
    pub fn node(program: &str) -> HttpProgram {
        let frame = format!(
            "const crypto = require('crypto');\n{program}\n\
             const server = require('http').createServer((request, response) => {{\n\
               const parts = [];\n\
               request.on('data', (part) => parts.push(part));\n\
               request.on('end', () => {{\n\
                 response.statusCode = respond(request, Buffer.concat(parts).toString('utf8'));\n\
                 response.end();\n\
               }});\n\
             }});\n\
             server.listen(0, '127.0.0.1', () => console.log(server.address().port));"
        );
        HttpProgram::run(&frame)
    }

    /// A documented handler for Express, which is stood in for by a few lines of our own. It
    /// listens on any free port, whatever it says itself.
    pub fn express(file: &str) -> HttpProgram {
        let source = documented(file);
        let listens = source.contains("app.listen(");
        HttpProgram::run(&if listens { source } else { format!("{source}\napp.listen(0);") })
    }

    fn run(source: &str) -> HttpProgram {
        let mut child = Command::new("node")
            .args(["-e", source])
            .env("NODE_PATH", format!("{DOCUMENTED}/node_modules"))
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node can't be run: {error}"));
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port but {line:?}"));
        HttpProgram { child, port, output }
    }

    /// The next line that it prints.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for HttpProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
