//! `{{...}}` in recorded strings.

use std::collections::BTreeMap;

use serde_json::Value;
use session_core::crypto::eip191;
use session_core::types::{Timestamp, decode_hex_array};

use super::mint::{Flaw, LIFETIME_SECONDS, token};
use super::record::Account;
use crate::report::{Difference, quoted};

/// What templates may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) accounts: &'a BTreeMap<String, Account>,
    pub(super) vars: &'a BTreeMap<String, Value>,
    pub(super) jwt_secret: &'a str,
    pub(super) now: Timestamp,
}

impl Scope<'_> {
    /// A text with every template in it replaced.
    pub(super) fn fill(&self, text: &str) -> Result<String, Difference> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (template, after) = after.split_once("}}").ok_or_else(|| {
                Difference::not_understood(format!("template without end in {}", quoted(text)))
            })?;
            filled.push_str(before);
            filled.push_str(&self.text_of(template)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// A value with every template in every string of it replaced. A string that is nothing but a
    /// variable becomes the variable's value, whatever its kind.
    pub(super) fn fill_value(&self, value: &Value) -> Result<Value, Difference> {
        Ok(match value {
            Value::String(text) => match self.whole_variable(text) {
                Some(value) => value.clone(),
                None => Value::String(self.fill(text)?),
            },
            Value::Array(list) => list
                .iter()
                .map(|value| self.fill_value(value))
                .collect::<Result<_, _>>()?,
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| Ok((self.fill(key)?, self.fill_value(value)?)))
                .collect::<Result<_, Difference>>()?,
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn whole_variable(&self, text: &str) -> Option<&Value> {
        self.vars.get(text.strip_prefix("{{")?.strip_suffix("}}")?)
    }

    fn text_of(&self, template: &str) -> Result<String, Difference> {
        let unknown = || Difference::not_understood(format!("template {{{{{template}}}}}"));
        let parts: Vec<&str> = template.split(':').collect();
        match parts.as_slice() {
            ["ADDR", account] => Ok(self.account(account)?.wallet.to_eip55()),
            ["addr", account] => Ok(self.account(account)?.wallet.to_string()),
            ["jwt", account] => self.jwt(account, LIFETIME_SECONDS, None),
            ["jwt_alg_none", account] => self.jwt(account, LIFETIME_SECONDS, Some(Flaw::AlgNone)),
            ["jwt_exp_offset", account, seconds] => {
                self.jwt(account, seconds.parse().map_err(|_| unknown())?, None)
            }
            ["jwt_no_exp", account] => self.jwt(account, LIFETIME_SECONDS, Some(Flaw::NoExpiry)),
            ["jwt_wrong_secret", account] => {
                self.jwt(account, LIFETIME_SECONDS, Some(Flaw::WrongSecret))
            }
            ["sign_raw32", account, variable] => {
                let text = self.variable(variable)?;
                let digits = text.strip_prefix("0x").unwrap_or(&text);
                let bytes: [u8; 32] = decode_hex_array(digits)
                    .map_err(|error| Difference::new(format!("variable {variable}: {error}")))?;
                self.sign(account, &bytes)
            }
            ["sign_utf8", account, variable] => {
                self.sign(account, self.variable(variable)?.as_bytes())
            }
            [variable] if self.vars.contains_key(*variable) => self.variable(variable),
            _ => Err(unknown()),
        }
    }

    pub(super) fn account(&self, name: &str) -> Result<&Account, Difference> {
        let account = self.accounts.get(name);
        account.ok_or_else(|| Difference::not_understood(format!("account {name}")))
    }

    fn variable(&self, name: &str) -> Result<String, Difference> {
        match self.vars.get(name) {
            None => Err(Difference::not_understood(format!("variable {name}"))),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
        }
    }

    fn jwt(&self, account: &str, lasts: i128, flaw: Option<Flaw>) -> Result<String, Difference> {
        let wallet = self.account(account)?.wallet;
        Ok(token(
            wallet,
            i128::from(self.now.unix()),
            lasts,
            self.jwt_secret,
            flaw,
        ))
    }

    fn sign(&self, account: &str, message: &[u8]) -> Result<String, Difference> {
        let signer = self.account(account)?.signer.as_ref().ok_or_else(|| {
            Difference::not_understood(format!("account {account} has no private key"))
        })?;
        Ok(signer.sign_prehash(&eip191::digest(message)).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use session_core::auth::JwtKeys;
    use session_core::crypto::{LocalSigner, Secret, Signature};

    const NOW: u64 = 1_800_000_000;

    fn with_scope(check: impl FnOnce(Scope<'_>, session_core::types::Wallet)) {
        let signer = LocalSigner::from_bytes(&[7; 32]).unwrap();
        let wallet = signer.wallet();
        let accounts = BTreeMap::from([(
            "a".to_owned(),
            Account {
                wallet,
                signer: Some(signer),
            },
        )]);
        let vars = BTreeMap::from([
            ("n".to_owned(), json!("11".repeat(32))),
            ("count".to_owned(), json!(5)),
        ]);
        check(
            Scope {
                accounts: &accounts,
                vars: &vars,
                jwt_secret: "secret",
                now: Timestamp::from_unix(NOW),
            },
            wallet,
        );
    }

    #[test]
    fn variables_and_addresses_are_put_in_wherever_they_stand() {
        with_scope(|scope, wallet| {
            let filled = scope.fill_value(&json!({"x": ["{{addr:a}}-{{ADDR:a}}", "{{count}}"]}));
            let both = format!("{wallet}-{}", wallet.to_eip55());
            assert_eq!(filled, Ok(json!({"x": [both, 5]})));
            assert_eq!(scope.fill("{a={{count}}}").as_deref(), Ok("{a=5}"));
        });
    }

    #[test]
    fn only_the_good_token_is_good() {
        with_scope(|scope, wallet| {
            let keys = JwtKeys::new(Secret::new("secret"), Vec::new()).unwrap();
            let verify = |template: &str| {
                let token = scope.fill(template).unwrap();
                keys.verify(&token, scope.now)
                    .map(|claims| (claims.sub, claims.exp.unix()))
            };
            assert_eq!(verify("{{jwt:a}}"), Ok((wallet, NOW + 3600)));
            assert_eq!(verify("{{jwt_exp_offset:a:60}}"), Ok((wallet, NOW + 60)));
            for bad in [
                "jwt_exp_offset:a:-5",
                "jwt_no_exp:a",
                "jwt_wrong_secret:a",
                "jwt_alg_none:a",
            ] {
                assert!(verify(&format!("{{{{{bad}}}}}")).is_err(), "{bad}");
            }
        });
    }

    #[test]
    fn text_and_raw_bytes_are_signed_as_wallets_do() {
        with_scope(|scope, wallet| {
            for (template, message) in [
                ("{{sign_utf8:a:n}}", "11".repeat(32).into_bytes()),
                ("{{sign_raw32:a:n}}", vec![0x11; 32]),
            ] {
                let signature = Signature::parse(&scope.fill(template).unwrap()).unwrap();
                assert_eq!(signature.recover(&eip191::digest(&message)), Ok(wallet));
            }
        });
    }

    #[test]
    fn an_unknown_template_is_not_understood() {
        with_scope(|scope, _| {
            for template in [
                "{{addr:b}}",
                "{{nonce}}",
                "{{jwt}}",
                "{{moon:a}}",
                "{{addr:a",
                "{{sign_raw32:a:count}}",
            ] {
                assert!(scope.fill(template).is_err(), "{template}");
            }
        });
    }
}
