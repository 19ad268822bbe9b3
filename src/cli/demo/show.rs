//! What the demo prints: colour on a terminal, plain text in a pipe.

use std::io::IsTerminal;

use super::verify::Arrived;

/// Headers that every request has and that tell nothing about a contract.
const UNREMARKABLE: [&str; 4] = ["host", "content-length", "user-agent", "accept"];

/// Headers whose values are credentials.
const CREDENTIALS: [&str; 2] = ["authorization", "x-api-key"];

/// How to print.
#[derive(Clone, Copy)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    pub(super) fn of_stdout() -> Style {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Style { colour: wanted && std::io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A request as it arrived, and the receiver's verdict.
    pub(super) fn request(
        self,
        title: &str,
        arrived: &Arrived,
        verdict: &Result<&'static str, String>,
    ) -> String {
        let mut lines = vec![format!(
            "{}  {} {}",
            self.bold(&format!("{title:<12}")),
            self.bold(&arrived.method),
            arrived.target
        )];
        for (name, value) in &arrived.headers {
            if UNREMARKABLE.contains(&name.as_str()) {
                continue;
            }
            let value = match CREDENTIALS.contains(&name.as_str()) {
                true => "••••••••".to_owned(),
                false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            lines.push(format!("              {} {value}", self.dim(&format!("{name}:"))));
        }
        if !arrived.body.is_empty() {
            lines.push(format!("              {}", String::from_utf8_lossy(&arrived.body)));
        }
        lines.push(match verdict {
            Ok(what) => format!("              {}", self.good(&format!("✔ {what}"))),
            Err(why) => format!("              {}", self.bad(&format!("✘ NOT VERIFIED: {why}"))),
        });
        lines.push(String::new());
        lines.join("\n")
    }
}
