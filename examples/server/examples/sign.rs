//! A wallet for the tour of the README: a fixed key of no value, and its signatures.
//!
//! ```text
//! $ cargo run -q --release -p session-server --example sign -- wallet
//! 0x…
//! $ cargo run -q --release -p session-server --example sign -- sign NONCE
//! 0x…
//! ```
//!
//! `WALLET_SEED=2` (any text) makes another wallet.

use session_core::crypto::{LocalSigner, eip191, sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::var("WALLET_SEED").unwrap_or_else(|_| "1".to_owned());
    let signer = LocalSigner::from_bytes(&sha256(seed.as_bytes()))?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["wallet"] => println!("{}", signer.wallet()),
        ["sign", nonce] => println!("{}", signer.sign_prehash(&eip191::digest(nonce.as_bytes()))),
        _ => return Err("usage: sign wallet | sign sign NONCE".into()),
    }
    Ok(())
}
