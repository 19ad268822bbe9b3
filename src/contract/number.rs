//! Numbers as ECMAScript prints them, as far as that loses nothing.

use std::borrow::Cow;

/// More significant digits than any double prints.
const MAX_DOUBLE_DIGITS: usize = 17;

/// The value `0.digits × 10^point`, without zeros at either end of the digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    /// Reads a JSON number. `None` where the exponent is beyond all reason.
    fn parse(raw: &str) -> Option<Decimal> {
        let (negative, unsigned) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent),
            None => (unsigned, "0"),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            // ECMAScript prints negative zero like the positive one.
            return Some(Decimal { negative: false, digits, point: 0 });
        }
        let leading_zeros = i64::try_from(all.len() - significant.len()).ok()?;
        let exponent: i64 = exponent.parse().ok()?;
        let point = i64::try_from(whole.len()).ok()?.checked_sub(leading_zeros)?;
        Some(Decimal { negative, digits, point: point.checked_add(exponent)? })
    }

    /// ECMA-262, `Number::toString` with radix 10: its `k` is the number of digits, its `n`
    /// the place of the point.
    fn to_ecmascript(&self) -> String {
        let digits = &self.digits;
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        let text = match self.point {
            _ if digits.is_empty() => "0".to_owned(),
            point @ 1..=21 if point >= length => format!("{digits}{}", zeros(point - length)),
            point @ 1..=21 => {
                let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
                format!("{whole}.{fraction}")
            }
            point @ -5..=0 => format!("0.{}{digits}", zeros(-point)),
            point => {
                let (first, rest) = digits.split_at(1);
                let dot = if rest.is_empty() { "" } else { "." };
                format!("{first}{dot}{rest}e{:+}", point - 1)
            }
        };
        if self.negative { format!("-{text}") } else { text }
    }
}

/// A JSON number as `JSON.stringify(JSON.parse(raw))` prints it; as it was written where a
/// double can't hold its exact value.
pub(super) fn ecmascript(raw: &str) -> Cow<'_, str> {
    let Some(written) = Decimal::parse(raw) else { return Cow::Borrowed(raw) };
    if written.digits.len() > MAX_DOUBLE_DIGITS {
        return Cow::Borrowed(raw);
    }
    let Ok(double) = raw.parse::<f64>() else { return Cow::Borrowed(raw) };
    // The shortest digits that read back as the same double are also what ECMAScript prints.
    match Decimal::parse(&format!("{double:e}")) {
        Some(printed) if double.is_finite() && printed == written => {
            Cow::Owned(printed.to_ecmascript())
        }
        _ => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_form_that_ecmascript_prints() {
        for (raw, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("1.10", "1.1"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("-12.50e-1", "-1.25"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.5e-9", "1.5e-9"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("123e20", "1.23e+22"),
            ("9007199254740993", "9007199254740993"),
            ("9007199254740992", "9007199254740992"),
        ] {
            assert_eq!(ecmascript(raw), expected, "{raw}");
        }
    }

    #[test]
    fn what_a_double_cannot_hold_stays_as_it_was_written() {
        for raw in [
            "12345678901234567890",
            "0.1000000000000000055511151231257827",
            "1e400",
            "-1e-400",
            "1e99999999999999999999",
            "3.14159265358979323846",
        ] {
            assert_eq!(ecmascript(raw), raw);
        }
    }
}
