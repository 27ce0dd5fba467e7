//! The chain's head, signed once a day: whoever keeps a signed head elsewhere can show that nothing before it was made
//! anew later, not even by the owner of the database.
//!
//! The key (Ed25519, RFC 8032) is made at the first signature and lies sealed in the data directory; each host of an
//! installation has its own.

use std::io::ErrorKind;

use anyhow::Context;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::SignedHead;
use utoipa::ToSchema;

use crate::App;
use crate::fault::{Fault, Result};
use crate::views::iso;

/// In the data directory.
const KEY_FILE: &str = "ledger-signing.key";
/// What it is sealed as.
const PLACE: &str = "ledger/signing-key";

/// A head of the chain and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeadView {
    /// How many entries it covers.
    pub entries: i64,
    /// The chain's hash up to there, hexadecimal.
    pub hash: String,
    /// When it was signed, epoch milliseconds.
    pub signed_ms: i64,
    /// The same time, RFC 3339.
    pub signed_at: String,
    /// The key's public half, Ed25519, hexadecimal.
    pub public_key: String,
    /// The signature over the bytes that `signed_bytes` makes, hexadecimal.
    pub signature: String,
}

/// What is signed: a title, how many entries (8 bytes, big-endian), when (8 bytes), the hash.
fn signed_bytes(entries: i64, at: i64, hash: &[u8]) -> Vec<u8> {
    [b"hudhud ledger head 1".as_slice(), &entries.to_be_bytes(), &at.to_be_bytes(), hash].concat()
}

impl HeadView {
    /// Whether the key named in it made the signature.
    #[must_use]
    pub fn holds(&self) -> bool {
        let (Ok(hash), Ok(key), Ok(signature)) =
            (hex::decode(&self.hash), hex::decode(&self.public_key), hex::decode(&self.signature))
        else {
            return false;
        };
        let signed = signed_bytes(self.entries, self.signed_ms, &hash);
        UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).is_ok()
    }
}

impl From<SignedHead> for HeadView {
    fn from(head: SignedHead) -> Self {
        Self {
            entries: head.seq,
            hash: hex::encode(head.hash),
            signed_ms: head.at,
            signed_at: iso(head.at),
            public_key: hex::encode(head.public_key),
            signature: hex::encode(head.signature),
        }
    }
}

/// Signs the head as it is, unless that one is signed already. `None` for an empty ledger.
///
/// # Errors
/// When the database is away, or the key cannot be read or made.
#[crate::boxed]
pub async fn sign(app: &App) -> Result<Option<HeadView>> {
    let head = app.store.ledger_head().await?;
    if head.seq == 0 {
        return Ok(None);
    }
    if let Some(signed) = app.store.signed_head(head.seq).await? {
        return Ok(Some(signed.into()));
    }
    let pair = key(app).map_err(Fault::internal)?;
    let at = app.clock.now_ms();
    let signed = SignedHead {
        seq: head.seq,
        signature: pair.sign(&signed_bytes(head.seq, at, &head.hash)).as_ref().to_vec(),
        hash: head.hash,
        at,
        public_key: pair.public_key().as_ref().to_vec(),
    };
    app.store.keep_signed_head(&signed).await?;
    // Another process may have been faster: its signature is the one on record.
    Ok(app.store.signed_head(head.seq).await?.map(HeadView::from))
}

/// A page of the signed heads before one that covers so many entries, the newest first.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, before: Option<i64>, limit: u32) -> Result<Vec<HeadView>> {
    let rows = app.store.latest_signed_heads(before, i64::from(limit)).await?;
    Ok(rows.into_iter().map(HeadView::from).collect())
}

/// The key of this host, made if there is none.
fn key(app: &App) -> anyhow::Result<Ed25519KeyPair> {
    let file = app.data_dir.join(KEY_FILE);
    let sealed = match std::fs::read(&file) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let fresh = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
            let sealed = app.vault.seal(PLACE, &SecretString::from(hex::encode(fresh.as_ref())))?;
            let draft = app.data_dir.join(format!("{KEY_FILE}.{}", hex::encode(app.vault.random_bytes::<8>()?)));
            std::fs::write(&draft, &sealed).with_context(|| format!("writing {}", draft.display()))?;
            // A link refuses to replace the key of a process that was faster.
            let placed = std::fs::hard_link(&draft, &file);
            std::fs::remove_file(&draft)?;
            match placed {
                Ok(()) => sealed,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::read(&file)?,
                Err(error) => return Err(error).with_context(|| format!("writing {}", file.display())),
            }
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let opened = app.vault.open(PLACE, &sealed).context("opening the ledger's signing key")?;
    let bytes = hex::decode(opened.expose_secret()).context("the ledger's signing key is damaged")?;
    Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| anyhow::anyhow!("the ledger's signing key is damaged"))
}
