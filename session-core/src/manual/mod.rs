//! The manual: what does not belong to one item.
//!
//! | page | answers |
//! | --- | --- |
//! | [`time`] | whose clock counts, what is charged, what an outage is |
//! | [`money`] | units, double entry, guards, repeats, and who can prove what |
//! | [`threats`] | who may do what, what an attacker gets, what is not defended |
//! | [`stores`] | how to write a store, and in what order |
//! | [`servers`] | what several servers share, and what each has for itself |
//! | [`defaults`] | every number, where it comes from, and how to change it |
//!
//! Why it is built so is told by the decision records in `docs/adr`; what words mean, by
//! `docs/glossary.md`; how to run it, by `docs/operations.md`; what has been tried, by
//! `docs/proof.md`; what others do, by `docs/compare.md`.

#[doc = include_str!("defaults.md")]
pub mod defaults {}
#[doc = include_str!("money.md")]
pub mod money {}
#[doc = include_str!("servers.md")]
pub mod servers {}
#[doc = include_str!("stores.md")]
pub mod stores {}
#[doc = include_str!("threats.md")]
pub mod threats {}
#[doc = include_str!("time.md")]
pub mod time {}

#[cfg(test)]
mod rows;
#[cfg(test)]
mod tests;
