//! The words for a signature that nothing explains, and for what else there is to say.

use super::words::{Cause, Context, deviation, place_words};
use crate::contract::diagnosis::{Diagnosis, Finding, Note, TOLERANCE, WORK_BYTES};
use crate::dashboard::words::{distance, exact, number};
use crate::domain::Timestamp;

pub(super) fn finding(found: &Finding, about: &Diagnosis, context: Context) -> Vec<Cause> {
    let header = &about.header;
    let cause = match found {
        Finding::MissingHeader { alike } if alike.is_empty() => Cause::new(
            format!("There is no header {header}."),
            "If it isn’t in what your code got, a proxy or a gateway may have dropped it; or the request isn’t from us.",
        )
        .with(vec![("Expected", format!("{header}: {}", about.form))]),
        Finding::MissingHeader { alike } => Cause::new(
            format!("There is no header {header}, only {}.", alike.join(", ")),
            "That looks like a signature, but not like one of ours for this request.",
        )
        .with(vec![("Expected", format!("{header}: {}", about.form))]),
        Finding::Malformed => Cause::new(
            format!("The header {header} isn’t written as we write it."),
            "Paste the whole value, and nothing else.",
        )
        .with(vec![("Expected", about.form.clone())]),
        Finding::Length { found, expected } => {
            let name = hash_of(*found).map(|name| format!(", as {name} makes it")).unwrap_or_default();
            Cause::new(
                format!("The signature has {found} bytes{name}; ours have {expected}."),
                "It was cut off, or made with another hash function.",
            )
        }
        Finding::OtherKind => Cause::new(
            "The header holds only a signature of the other kind of secret.",
            "A shared secret and a key pair sign side by side. Verify with the secret that this webhook has now.",
        ),
        Finding::MissingValue(place) => Cause::new(
            format!("{} is missing, and it is signed.", place_words(place)),
            "Paste all headers of the request.",
        ),
        Finding::NoUrl => Cause::new(
            "The URL is signed, and what you gave can’t be read as one.",
            "Give the whole URL that was called, with https:// and its query.",
        ),
        Finding::NotJson { offset } => Cause::new(
            format!("The body isn’t JSON: it stops being that at byte {offset}."),
            "It may have been cut off when it was copied, or by a log.",
        ),
        Finding::SecretForm(sentence) => Cause::new(
            "The secret that you pasted isn’t one of ours.",
            format!("{sentence} Copy it from the webhook’s page."),
        ),
        Finding::NoSecret => Cause::new(
            "There is no secret to verify this signature with.",
            "The webhook has none of that kind. Without a secret nothing is signed.",
        ),
        Finding::Differs(deviations) => {
            return deviations.iter().map(|one| deviation(one, context)).collect();
        }
        Finding::AsSent => Cause::new(
            "All that is signed is as we sent it, so the secret or the signature is another one.",
            "The webhook’s secret was replaced since, or yours is of another webhook, application or environment; or the signature was cut or changed on its way.",
        ),
    };
    vec![cause]
}

fn hash_of(bytes: usize) -> Option<&'static str> {
    Some(match bytes {
        16 => "MD5",
        20 => "SHA-1",
        32 => "SHA-256",
        48 => "SHA-384",
        64 => "SHA-512 or a key pair",
        _ => return None,
    })
}

pub(super) fn note(note: &Note, now: Timestamp) -> String {
    let minutes = TOLERANCE.as_secs() / 60;
    match note {
        Note::Old(time) => format!(
            "It says that it was made at {}, {} ago. Receivers should refuse what is older than {minutes} minutes, so yours may refuse this one rightly. Each attempt is signed anew.",
            exact(*time),
            distance(*time, now)
        ),
        Note::Ahead(time) => format!(
            "It says that it was made at {}, which is {} from now. A clock is wrong: this server’s, or the one of whoever signed it.",
            exact(*time),
            distance(*time, now)
        ),
        Note::UrlTaken(url) => format!("You gave no URL, so the webhook’s was taken: {url}"),
        Note::MethodTaken(method) => {
            format!("You gave no method, so the webhook’s was taken: {method}")
        }
    }
}

pub(super) fn tried(about: &Diagnosis) -> String {
    let tried = about.tried;
    let count = |count: usize| number(u64::try_from(count).unwrap_or(u64::MAX));
    let plural = |number: usize, one: &str, more: &str| {
        format!("{} {}", count(number), if number == 1 { one } else { more })
    };
    let mut text = format!(
        "Tried: {}, alone and with the usual mistakes; {}; {} in all.",
        plural(tried.secrets, "secret", "secrets"),
        plural(tried.bodies, "form of the body", "forms of the body"),
        plural(tried.signatures, "signature", "signatures"),
    );
    if tried.cut {
        let megabytes = WORK_BYTES / 1024 / 1024;
        text.push_str(&format!(
            " The body is too large to try everything: at most {megabytes} MB are hashed."
        ));
    }
    text
}
