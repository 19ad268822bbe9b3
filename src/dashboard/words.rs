//! The words that pages use for times, durations and numbers.

use std::time::Duration;

use crate::domain::Timestamp;

/// Levels of nesting that are laid out. A level costs two bytes on every line within it.
const LAID_OUT_DEPTH: usize = 64;

/// What laying out may add to a text beside three times its own length, in bytes.
const LAID_OUT_EXTRA_BYTES: usize = 64 * 1024;

/// A time as a person reads it, with its zone: `21 Nov 2026, 14:02:09 UTC`.
pub(super) fn exact(time: Timestamp) -> String {
    time.strftime("%-d %b %Y, %H:%M:%S UTC").unwrap_or_default()
}

/// How far `then` is from `now`, in two units at most: `2 m 10 s`.
pub(super) fn distance(then: Timestamp, now: Timestamp) -> String {
    let far = if then > now { then.since(now) } else { now.since(then) };
    let seconds = far.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => [(minutes, "m"), (seconds % 60, "s")],
        3_600..86_400 => [(hours, "h"), (minutes, "m")],
        _ => [(days, "d"), (hours, "h")],
    };
    let some = parts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// `in 2 m 10 s`, or `2 m 10 s ago`.
pub(super) fn relative(then: Timestamp, now: Timestamp) -> String {
    match then > now {
        true => format!("in {}", distance(then, now)),
        false => format!("{} ago", distance(then, now)),
    }
}

/// How long something took: `38 ms`, `1.24 s`.
pub(super) fn took(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..10_000 => format!("{:.1} ms", duration.as_secs_f64() * 1_000.0),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

/// A number with its thousands apart: `1,204`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// JSON laid out for reading; anything else as it is.
pub(super) fn pretty(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Box<serde_json::value::RawValue>>(text) else {
        return text.to_owned();
    };
    // Laid out token by token, because numbers must stay as they were written.
    laid_out(value.get()).unwrap_or_else(|| text.to_owned())
}

/// `None` where it is nested too deeply, or would grow too long.
fn laid_out(json: &str) -> Option<String> {
    let most_bytes = 4 * json.len() + LAID_OUT_EXTRA_BYTES;
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let mut rest = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(one) = rest.next() {
        if depth > LAID_OUT_DEPTH || text.len() > most_bytes {
            return None;
        }
        if in_string {
            text.push(one);
            in_string = escaped || one != '"';
            escaped = !escaped && one == '\\';
            continue;
        }
        match one {
            '"' => {
                in_string = true;
                text.push(one);
            }
            '{' | '[' => {
                while rest.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                text.push(one);
                if rest.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    text.extend(rest.next());
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(one);
            }
            ',' => {
                text.push(one);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_distances_short() {
        let now = Timestamp::from_seconds(1_752_575_400);
        assert_eq!(exact(now), "15 Jul 2025, 10:30:00 UTC");
        for (seconds, words) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (130, "2 m 10 s ago"),
            (3_600, "1 h ago"),
            (90_000, "1 d 1 h ago"),
        ] {
            assert_eq!(relative(now.before(Duration::from_secs(seconds)), now), words);
        }
        assert_eq!(relative(now + Duration::from_secs(61), now), "in 1 m 1 s");
    }

    #[test]
    fn json_is_laid_out_and_stays_what_it_was() {
        let json = r#"{"a":1.10,"b":[ ],"c":[{},"x\\\",:{"],"d":1e400}"#;
        let pretty = pretty(json);
        assert_eq!(
            pretty,
            "{\n  \"a\": 1.10,\n  \"b\": [],\n  \"c\": [\n    {},\n    \"x\\\\\\\",:{\"\n  ],\n  \"d\": 1e400\n}"
        );
        assert_eq!(super::pretty("not JSON"), "not JSON");
    }

    #[test]
    fn json_that_would_grow_out_of_hand_stays_as_it_came() {
        let nested = |depth: usize, inner: &str| {
            format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth))
        };
        let deepest = nested(LAID_OUT_DEPTH, "1");
        assert_eq!(pretty(&deepest).lines().count(), 2 * LAID_OUT_DEPTH + 1);
        let wide = nested(60, &format!("{}1", "1,".repeat(100_000)));
        for text in [nested(LAID_OUT_DEPTH + 1, "1"), wide] {
            assert_eq!(pretty(&text), text);
        }
    }

    #[test]
    fn durations_and_numbers_are_as_long_as_they_need_be() {
        assert_eq!(took(Duration::from_micros(1_240)), "1.2 ms");
        assert_eq!(took(Duration::from_millis(38)), "38 ms");
        assert_eq!(took(Duration::from_millis(10_004)), "10.00 s");
        for (count, text) in [(7, "7"), (1_204, "1,204"), (1_000_000, "1,000,000")] {
            assert_eq!(number(count), text);
        }
    }
}
