//! A certificate for receivers that speak TLS, made for one run.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate that stands for itself, and its key.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    /// For those who are to trust it.
    pub(super) pem: String,
}

impl Identity {
    /// For receivers at an address.
    ///
    /// # Errors
    /// Those of the library that makes it.
    pub(super) fn new(address: IpAddr) -> anyhow::Result<Identity> {
        let failed = "can't make a certificate";
        let key = KeyPair::generate().context(failed)?;
        let params = CertificateParams::new(vec![address.to_string()]).context(failed)?;
        let certificate = params.self_signed(&key).context(failed)?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            pem: certificate.pem(),
        })
    }

    /// Takes connections as this identity, for HTTP/1.1.
    ///
    /// # Errors
    /// Those of the TLS library.
    pub(super) fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key().into())?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Makes connections that trust the web's authorities and, where there is one, an identity.
///
/// # Errors
/// Those of the TLS library.
pub(super) fn connector(trusted: Option<&Identity>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(identity) = trusted {
        roots.add(identity.certificate.clone())?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The provider is named, because a process-wide default would depend on what else is linked in.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
