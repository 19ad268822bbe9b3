//! TLS: whom we trust, and what to say when a handshake fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, RootCertStore};

use crate::clock::Clock;
use crate::domain::{Failure, FailureKind, Timestamp};

/// How many hosts' TLS sessions are remembered, so that a new connection to one of them
/// skips the expensive half of the handshake.
pub const TLS_SESSIONS: usize = 4_096;

pub(super) const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// A certificate authority that should be trusted could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("the certificates in {} can't be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{} contains no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("the TLS library can't be set up")]
    Setup(#[from] rustls::Error),
}

/// Certificates are judged at the time that the rest of the program lives in.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// TLS 1.2 or later, trusting Mozilla's authorities and those in the PEM files `extra`.
pub(super) fn client_config(clock: &Clock, extra: &[PathBuf]) -> Result<ClientConfig, RootsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in extra {
        add_roots(&mut roots, path)?;
    }
    // The provider is named, because a process-wide default would depend on what else is
    // linked in.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let time = Arc::new(ClockTime(clock.clone()));
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
    config.resumption = Resumption::in_memory_sessions(TLS_SESSIONS);
    Ok(config)
}

/// The same for connections that can't be HTTP/2: a websocket begins as an HTTP/1 request.
pub(super) fn without_http2(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    config
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), RootsError> {
    let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| RootsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(e.into()))? {
        let certificate = certificate.map_err(|e| unreadable(e.into()))?;
        roots.add(certificate).map_err(|e| unreadable(e.into()))?;
        found += 1;
    }
    if found == 0 {
        return Err(RootsError::Empty { path: path.to_owned() });
    }
    Ok(())
}

/// The failure for a handshake with `host` that went wrong.
pub(super) fn handshake_failure(host: &str, error: &io::Error) -> Failure {
    let sentence = match rustls_error(error) {
        Some(error) => explain(host, error),
        None => format!("{host} closed the connection during the TLS handshake."),
    };
    Failure::new(FailureKind::Tls, None, sentence).caused_by(error)
}

/// The TLS library's own error inside an I/O error.
pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn explain(host: &str, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => explain_certificate(host, error),
        rustls::Error::AlertReceived(_) => format!("{host} refused the TLS handshake."),
        rustls::Error::PeerIncompatible(_) => {
            format!("{host} doesn't support TLS 1.2 or later with a common cipher.")
        }
        rustls::Error::InvalidMessage(_) => {
            format!(
                "{host} doesn't answer in TLS. Is its URL one for http:// rather than https://?"
            )
        }
        _ => format!("The TLS handshake with {host} failed."),
    }
}

fn explain_certificate(host: &str, error: &CertificateError) -> String {
    let on = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_seconds(seconds).rfc3339(0)
    };
    match error {
        CertificateError::UnknownIssuer => format!(
            "The certificate of {host} isn't issued by a trusted authority: it is self-signed, \
             or the server doesn't send its intermediate certificates."
        ),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("The certificate of {host} expired on {}.", on(not_after))
        }
        CertificateError::Expired => format!("The certificate of {host} has expired."),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("The certificate of {host} isn't valid before {}.", on(not_before))
        }
        CertificateError::NotValidYet => format!("The certificate of {host} isn't valid yet."),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("The certificate that {host} shows is for another name.")
        }
        _ => format!("The certificate of {host} isn't valid."),
    }
}
