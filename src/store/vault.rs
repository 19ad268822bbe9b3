//! The vault: what must not be readable in the store's files is sealed here first.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// The length of a master key, in bytes.
const KEY_BYTES: usize = 32;
/// The length of a nonce of XChaCha20-Poly1305, in bytes. So long that random ones don't meet.
const NONCE_BYTES: usize = 24;
/// No key file is longer than this, in bytes: 44 of base64 and some white space.
const KEY_FILE_BYTES_MAX: u64 = 1_024;

/// Why the vault can't be used, or a value not opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the master key is not base64")]
    NotBase64,
    #[error("the master key has {actual} bytes, not {KEY_BYTES}")]
    WrongLength { actual: usize },
    #[error("the key file {} can't be used", path.display())]
    KeyFile { path: PathBuf, source: Box<VaultError> },
    #[error("the key file {} can't be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the key file {} can't be written", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("the value can't be sealed")]
    Seal,
    /// Another key, another owner, or changed bytes: the cipher can't tell them apart.
    #[error("the value was not sealed with this master key, or it was changed since")]
    Open,
}

/// The key that everything confidential in a store is sealed with. Its memory is wiped.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Makes a new key.
    pub fn generate(entropy: &Entropy) -> MasterKey {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(&mut *bytes);
        MasterKey(bytes)
    }

    /// Reads a key from base64 with padding. White space around it is ignored.
    ///
    /// # Errors
    /// Where the text isn't base64 or isn't 32 bytes long.
    pub fn from_base64(text: &str) -> Result<MasterKey, VaultError> {
        let bytes =
            Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| VaultError::NotBase64)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| VaultError::WrongLength { actual: bytes.len() })?;
        Ok(MasterKey(Zeroizing::new(key)))
    }

    /// The key as base64, to be written down.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    /// Reads the key file at `path`, or makes one that only its owner can read. An existing
    /// file is never changed: without its key the store's secrets are lost.
    ///
    /// # Errors
    /// Where the file can't be read or written, or holds something else.
    pub fn load_or_create(path: &Path, entropy: &Entropy) -> Result<MasterKey, VaultError> {
        if path.exists() {
            return load(path);
        }
        match create(path, entropy) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
            Err(source) => Err(VaultError::Unwritable { path: path.to_owned(), source }),
        }
    }
}

fn load(path: &Path) -> Result<MasterKey, VaultError> {
    let read = || {
        if fs::metadata(path)?.len() > KEY_FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long for a key"));
        }
        fs::read_to_string(path)
    };
    let text = read()
        .map(Zeroizing::new)
        .map_err(|source| VaultError::Unreadable { path: path.to_owned(), source })?;
    MasterKey::from_base64(&text)
        .map_err(|source| VaultError::KeyFile { path: path.to_owned(), source: Box::new(source) })
}

/// Makes the file whole or not at all: an empty one, left by a full disk, would be refused for
/// ever.
fn create(path: &Path, entropy: &Entropy) -> io::Result<MasterKey> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Readable by its owner alone, as all temporary files are.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let key = MasterKey::generate(entropy);
    let mut text = key.to_base64();
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // The name must survive a power cut too, or the next start would make another key.
    File::open(folder)?.sync_all()?;
    Ok(key)
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[master key]")
    }
}

/// Seals and opens values with a master key, by XChaCha20-Poly1305.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    entropy: Entropy,
}

impl Vault {
    pub fn new(key: MasterKey, entropy: Entropy) -> Vault {
        Vault { cipher: XChaCha20Poly1305::new((&*key.0).into()), entropy }
    }

    /// The randomness that it was made with, for ids that the store makes.
    pub(super) fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// Seals `plaintext` for the owner named by `associated_data`: a random nonce, then the
    /// ciphertext. It opens only with the same associated data, so a sealed value that is
    /// moved to another owner is of no use there.
    ///
    /// # Errors
    /// Where the plaintext is longer than the cipher takes.
    pub fn seal(&self, plaintext: &[u8], associated_data: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_BYTES] = self.entropy.bytes();
        let payload = Payload { msg: plaintext, aad: associated_data };
        let ciphertext =
            self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Seal)?;
        Ok([&nonce[..], &ciphertext].concat())
    }

    /// Opens what [`Vault::seal`] made for the same owner.
    ///
    /// # Errors
    /// Where the key or the owner is another one, or a byte was changed.
    pub fn open(
        &self,
        sealed: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, ciphertext) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Open)?;
        let payload = Payload { msg: ciphertext, aad: associated_data };
        let plaintext =
            self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Open)?;
        Ok(Zeroizing::new(plaintext))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(seed: u64) -> Vault {
        let entropy = Entropy::seeded(seed);
        Vault::new(MasterKey::generate(&entropy), entropy)
    }

    #[test]
    fn what_was_sealed_opens_only_for_its_owner_with_its_key_and_unchanged() {
        let (vault, other) = (vault(1), vault(2));
        let sealed = vault.seal(b"whsec_top", b"ep_1").unwrap();
        assert_eq!(vault.open(&sealed, b"ep_1").unwrap().as_slice(), b"whsec_top");
        assert!(vault.open(&sealed, b"ep_2").is_err());
        assert!(other.open(&sealed, b"ep_1").is_err());
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(vault.open(&changed, b"ep_1").is_err(), "byte {position}");
        }
        for length in 0..sealed.len() {
            assert!(vault.open(&sealed[..length], b"ep_1").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_ciphertext_is_the_one_of_an_independent_implementation() {
        // From draft-irtf-cfrg-xchacha-03, appendix A.3.1.
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let vault =
            Vault::new(MasterKey::from_base64(&STANDARD.encode(key)).unwrap(), Entropy::seeded(0));
        let sealed = hex::decode(concat!(
            "404142434445464748494a4b4c4d4e4f5051525354555657",
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb",
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452",
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
            "21f9664c97637da9768812f615c68b13b52e",
            "c0875924c1c7987947deafd8780acf49",
        ))
        .unwrap();
        let associated = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you \
            only one tip for the future, sunscreen would be it.";
        assert_eq!(vault.open(&sealed, &associated).unwrap().as_slice(), text);
    }

    #[test]
    fn no_two_seals_are_alike_and_debug_output_shows_nothing() {
        let vault = vault(1);
        assert_ne!(vault.seal(b"x", b"").unwrap(), vault.seal(b"x", b"").unwrap());
        let key = MasterKey::generate(&Entropy::seeded(1));
        assert!(!format!("{key:?} {vault:?}").contains(key.to_base64().as_str()));
    }

    #[test]
    fn a_key_file_is_made_once_and_then_only_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = MasterKey::load_or_create(&path, &Entropy::seeded(1)).unwrap();
        let again = MasterKey::load_or_create(&path, &Entropy::seeded(2)).unwrap();
        assert_eq!(*first.0, *again.0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn broken_key_files_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let long = "A".repeat(2_000);
        for (content, expected) in [
            ("", "has 0 bytes"),
            ("AAAA", "has 3 bytes"),
            ("not base64!", "not base64"),
            (&long, "can't be read"),
        ] {
            fs::write(&path, content).unwrap();
            let error = MasterKey::load_or_create(&path, &Entropy::system()).unwrap_err();
            let source = std::error::Error::source(&error).unwrap();
            assert!(format!("{error}: {source}").contains(expected), "{error}: {source}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let nowhere = folder.path().join("missing/master.key");
        let error = MasterKey::load_or_create(&nowhere, &Entropy::system()).unwrap_err();
        assert!(matches!(error, VaultError::Unwritable { .. }), "{error}");
    }
}
