//! Looking at everything that is stored: the audit, and the export of one room.

use serde_json::json;
use session_core::audit::{Audit, RoomExport};
use session_core::policy::Policy;
use session_core::types::RoomId;

use crate::config::Config;
use crate::parts::Failure;

/// Checks everything that is stored as of one instant; the report goes to standard output.
pub(crate) async fn audit(config: &Config) -> Result<(), Failure> {
    let mut audit = Audit::new(&Policy::default());
    let database = config.database.open_existing().await?;
    let shown = database.archive().show(&mut audit).await;
    database.close().await;
    shown?;
    let report = audit.finish();
    let mut text = json!({ "ok": report.is_clean() });
    if let (Some(text), serde_json::Value::Object(report)) =
        (text.as_object_mut(), serde_json::to_value(&report)?)
    {
        text.extend(report);
    }
    println!("{text}");
    if report.is_clean() {
        Ok(())
    } else {
        let broken: u64 = report.invariants.values().sum();
        Err(format!("{broken} things are not as they should be; the report names them").into())
    }
}

/// Prints what the journal tells of one room, signed with the key of receipts.
pub(crate) async fn export(config: &Config, room: RoomId) -> Result<(), Failure> {
    let key = config
        .receipt_key
        .as_ref()
        .ok_or("RECEIPT_SIGNING_KEY is not set: an export is signed with it")?;
    let mut export = RoomExport::new(room);
    let database = config.database.open_existing().await?;
    let shown = database.archive().show(&mut export).await;
    database.close().await;
    shown?;
    let bundle = export.finish()?;
    if bundle.unsealed > 0 {
        let unsealed = bundle.unsealed;
        eprintln!("{unsealed} entries about this room are in no block yet: export again later");
    }
    if config.is_receipt_key_drawn {
        let signer = key.wallet();
        eprintln!("signed by {signer}, a key that was drawn for development: nobody's word");
    }
    println!("{}", serde_json::to_string(&bundle.signed(key)?)?);
    Ok(())
}
