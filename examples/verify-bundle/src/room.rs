//! What the bundle of a room tells.

use session_core::audit::{SignedBundle, Story};
use session_core::types::encode_hex;

/// Checks a bundle, and tells it.
///
/// # Errors
/// Why it does not hold.
pub(crate) fn check(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let signed = SignedBundle::parse(text)?;
    let story = signed.verify()?;
    tell(&signed, &story);
    Ok(())
}

fn tell(signed: &SignedBundle, story: &Story) {
    let bundle = &signed.bundle;
    println!("signed by {}", signed.signer);
    println!("chain {}", bundle.chain);
    if let Some((first, last)) = bundle.blocks.first().zip(bundle.blocks.last()) {
        println!("blocks {} to {}", first.number, last.number);
    }
    println!("head {}", encode_hex(&story.head));
    println!("room {}", bundle.room);
    if let Some((at, host)) = story.created {
        println!("created at {at} by {host}");
    }
    for (connection, stay) in &story.stays {
        let end = match stay.left {
            Some((at, why)) => format!("{at} ({})", why.name()),
            None => "now".to_owned(),
        };
        println!(
            "stay {connection} of {} from {} to {end}: {} seconds",
            stay.wallet, stay.joined_at, stay.charged
        );
    }
    if let Some((at, why)) = story.closed {
        println!("closed at {at} ({})", why.name());
    }
    if bundle.unsealed > 0 {
        println!("{} entries are in no block yet", bundle.unsealed);
    }
}
