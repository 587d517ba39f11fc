//! Statements of both parties: hashes, and signatures made, read and recovered.

use serde_json::Value;
use session_core::crypto::{LocalSigner, keccak256};
use session_core::escrow::abi::Uint64;
use session_core::escrow::statement::{STATEMENT_TYPE, Statement, StatementSignature, domain};
use session_core::escrow::{BookingKey, EscrowId, Outcome};
use session_core::types::Wallet;

use super::{parsed, same_bytes, word};
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let escrow = escrow(members.value("domain")?)?;
    let statement = statement(escrow, members.value("message")?)?;
    let hash = |name| word(name, members.value(name)?);
    let hashes = [
        (
            "/typehash",
            hash("typehash")?,
            keccak256(STATEMENT_TYPE.as_bytes()),
        ),
        (
            "/domain_separator",
            hash("domain_separator")?,
            domain(&escrow).separator(),
        ),
        (
            "/struct_hash",
            hash("struct_hash")?,
            statement.struct_hash(),
        ),
        ("/digest", hash("digest")?, statement.digest()),
    ];
    let parties = [
        ("/host", members.value("host")?),
        ("/guest", members.value("guest")?),
    ];
    members.finish()?;
    let mut differences = Vec::new();
    for (place, expected, got) in hashes {
        differences.extend(same_bytes(place, &expected, &got).err());
    }
    for (place, party) in parties {
        differences.extend(
            signed(&statement, party)
                .err()
                .map(|difference| difference.within(place)),
        );
    }
    Difference::all(differences)
}

fn escrow(value: &Value) -> Result<EscrowId, Difference> {
    let members = Members::of(value)?;
    let escrow = EscrowId {
        chain_id: parsed("chainId", members.value("chainId")?)?,
        address: parsed("verifyingContract", members.value("verifyingContract")?)?,
    };
    let [name, version] = [members.text("name")?, members.text("version")?];
    members.finish()?;
    let own = domain(&escrow);
    if (name, version) == (own.name, own.version) {
        Ok(escrow)
    } else {
        let named = format!("{name} {version}");
        Err(Difference::not_understood(format!(
            "domain {}",
            quoted(&named)
        )))
    }
}

fn statement(escrow: EscrowId, value: &Value) -> Result<Statement, Difference> {
    let members = Members::of(value)?;
    let code: u8 = parsed("outcome", members.value("outcome")?)?;
    let outcome = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.code() == code);
    let deadline = parsed("deadline", members.value("deadline")?)?;
    let statement = Statement {
        key: BookingKey {
            escrow,
            booking: parsed("bookingId", members.value("bookingId")?)?,
        },
        outcome: outcome.ok_or_else(|| Difference::not_understood(format!("outcome {code}")))?,
        metrics_hash: word("metricsHash", members.value("metricsHash")?)?,
        deadline: Uint64::new(deadline)
            .ok_or_else(|| Difference::not_understood(format!("deadline {deadline}")))?,
    };
    members.finish()?;
    Ok(statement)
}

/// That the key of a party makes the recorded signature, and that this one recovers to the party.
fn signed(statement: &Statement, party: &Value) -> Verdict {
    let members = Members::of(party)?;
    let key = word("test_key", members.value("test_key")?)?;
    let key = LocalSigner::from_bytes(&key)
        .map_err(|error| Difference::not_understood(format!("test_key: {error}")))?;
    let address = members.text("address")?;
    let recorded = members.text("signature")?;
    members.finish()?;
    let wallet = Wallet::parse_checked(address)
        .map_err(|error| Difference::not_understood(format!("address: {error}")))?;
    if key.wallet() != wallet {
        return Err(Difference::between(
            "/address",
            address,
            key.wallet().to_eip55(),
        ));
    }
    let signature = StatementSignature::parse(recorded)
        .map_err(|error| Difference::new(format!("/signature: refused: {error}")))?;
    same_bytes(
        "/signature",
        &signature.to_bytes(),
        &statement.sign(&key).to_bytes(),
    )?;
    match statement.signer(&signature) {
        Ok(signer) if signer == wallet => Ok(()),
        Ok(other) => Err(Difference::between("/signature", address, other.to_eip55())),
        Err(error) => Err(Difference::between("/signature", address, error)),
    }
}
