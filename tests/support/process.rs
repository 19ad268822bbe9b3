//! The real binary, as an operator runs it.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A command of the binary: the one that was built with the tests, unless another is named.
pub fn hookwright(args: &[&str]) -> Command {
    let binary = std::env::var_os("HOOKWRIGHT_TEST_BINARY").filter(|path| !path.is_empty());
    let mut command =
        Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_hookwright").into()));
    command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a command of the binary to its end.
pub fn run(args: &[&str]) -> Output {
    hookwright(args).stdin(Stdio::null()).output().unwrap()
}

/// A server process.
pub struct ServerProcess {
    child: Child,
    pub address: SocketAddr,
    /// Everything it printed and logged so far.
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl ServerProcess {
    /// Starts `serve` on a data directory and a free port, with more arguments, and waits
    /// until it listens.
    pub fn start(data_dir: &Path, args: &[&str]) -> ServerProcess {
        let mut command = hookwright(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(data_dir).args(args);
        ServerProcess::launch(command)
    }

    /// Runs a command that is, or becomes, a server on a free port, and waits until it listens.
    pub fn launch(mut command: Command) -> ServerProcess {
        command.stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let log = collect(child.stderr.take().unwrap(), output.clone());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended: {}", output.lock().unwrap());
            output.lock().unwrap().push_str(&line);
            if let Some(rest) = line.strip_prefix("Hookwright listens on http://") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        let printed = collect(stdout, output.clone());
        ServerProcess { child, address, output, readers: vec![log, printed] }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, without waiting for the end.
    pub fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(mut self) -> (std::process::ExitStatus, String) {
        self.ask_to_stop();
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.output())
    }

    /// The most memory that it ever used, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }
}

/// A test that fails must not leave a server behind.
impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut output = into.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    })
}

/// A kept-alive connection to a server's API.
pub struct Api {
    requests: SendRequest<Full<Bytes>>,
    authorization: String,
}

impl Api {
    pub async fn connect(address: SocketAddr, token: &str) -> Api {
        Api::try_connect(address, token).await.unwrap()
    }

    /// The same with a server that may be gone.
    pub async fn try_connect(address: SocketAddr, token: &str) -> std::io::Result<Api> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (requests, connection) = handshake.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Api { requests, authorization: format!("Bearer {token}") })
    }

    /// Status and JSON of an answer; an error where the server went away.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: String,
    ) -> hyper::Result<(u16, Value)> {
        let authorization = self.authorization.clone();
        self.call_with(method, path, &[("authorization", &authorization)], body).await
    }

    /// The same, with these headers and no others.
    pub async fn call_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> hyper::Result<(u16, Value)> {
        let (head, json) = self.exchange(method, path, headers, body).await?;
        Ok((head.status.as_u16(), json))
    }

    /// The same, with the whole head of the answer.
    pub async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> hyper::Result<(http::response::Parts, Value)> {
        self.requests.ready().await?;
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (head, body) = self.requests.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((head, serde_json::from_slice(&body).unwrap_or_default()))
    }
}
