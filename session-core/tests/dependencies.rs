//! The core's closed list: what may be in its tree of dependencies, and with which features.
//!
//! That the tree holds no std is proved elsewhere, by linking it (`scripts/no-std-proof`). Here
//! nobody gets in unnoticed: a package or a feature that is not written down fails.
#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Packages that may be in the tree, and what each group of them is there for.
const ALLOWED: &[(&str, &str)] = &[
    ("traits of ports with async methods", "async-trait"),
    ("tokens are base64", "base64"),
    ("media tokens are deflated", "adler2 miniz_oxide"),
    ("hashes and message authentication", "hmac sha2 sha3"),
    (
        "of the hashes",
        "block-buffer const-oid crypto-common digest hybrid-array keccak typenum",
    ),
    (
        "of the hashes",
        "cfg-if cmov cpubits cpufeatures ctutils sponge-cursor",
    ),
    ("how the hashes know the processor, on ARM", "libc"),
    ("signatures of wallets", "k256"),
    (
        "of the curve",
        "crypto-bigint ecdsa elliptic-curve ff group primefield primeorder wnaf",
    ),
    (
        "of the curve",
        "base16ct der rand_core rfc6979 sec1 signature spki",
    ),
    (
        "rows and answers are kept as JSON",
        "serde serde_core serde_json",
    ),
    ("of JSON: numbers and searching", "itoa memchr zmij"),
    (
        "comparison in constant time, secrets wiped",
        "subtle zeroize",
    ),
    (
        "numbers of 256 bits, as contracts count",
        "ruint ruint-macro",
    ),
    ("errors", "thiserror"),
    (
        "dates",
        "deranged num-conv num-traits powerfmt time time-core",
    ),
    (
        "macros, which run in the compiler",
        "serde_derive thiserror-impl time-macros",
    ),
    ("of the macros", "proc-macro2 quote syn unicode-ident"),
];

/// Packages in the tree at most, the core not counted.
const PACKAGES_MAX: usize = 60;

/// What the core names itself, and the features each may have. `std` is in nobody's list.
const FEATURES: &[(&str, &str)] = &[
    ("async-trait", ""),
    ("base64", "alloc"),
    ("hmac", ""),
    // `precomputed-tables` would need std or a critical section.
    (
        "k256",
        "alloc arithmetic digest ecdsa ecdsa-core sha2 sha256",
    ),
    ("miniz_oxide", "with-alloc"),
    ("ruint", "alloc"),
    ("serde", "alloc derive serde_derive"),
    ("serde_json", "alloc"),
    ("sha2", "alloc oid"),
    ("sha3", "alloc oid"),
    ("subtle", "const-generics i128"),
    ("thiserror", ""),
    // `formatting`, and what switches it on, brings std.
    ("time", "alloc macros parsing"),
    ("zeroize", "alloc derive zeroize_derive"),
];

#[test]
fn nobody_is_in_the_tree_who_is_not_written_down() {
    let allowed: BTreeSet<&str> = ALLOWED
        .iter()
        .flat_map(|(_, names)| names.split(' '))
        .collect();
    let tree = tree();
    let strangers: Vec<&String> = tree
        .keys()
        .filter(|name| !allowed.contains(name.as_str()))
        .collect();
    assert!(
        strangers.is_empty(),
        "not in the core's list: {strangers:?}"
    );
    assert!(
        tree.len() <= PACKAGES_MAX,
        "{} packages, at most {PACKAGES_MAX}",
        tree.len()
    );
}

#[test]
fn what_the_core_names_has_no_feature_that_is_not_written_down() {
    let tree = tree();
    for (name, allowed) in FEATURES {
        let allowed: Vec<&str> = allowed.split(' ').collect();
        let features = tree
            .get(*name)
            .unwrap_or_else(|| panic!("{name} is not in the tree"));
        let surplus: Vec<&String> = features
            .iter()
            .filter(|feature| !allowed.contains(&feature.as_str()))
            .collect();
        assert!(
            surplus.is_empty(),
            "{name} has features that nobody allowed: {surplus:?}"
        );
    }
}

#[test]
fn nobody_in_the_tree_has_the_feature_std() {
    let with_std: Vec<String> = tree()
        .into_iter()
        .filter(|(_, features)| features.contains("std"))
        .map(|(name, _)| name)
        .collect();
    assert!(with_std.is_empty(), "feature std: {with_std:?}");
}

/// The packages that the core links or compiles with, and their features.
fn tree() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "session-core",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args([
            "--format",
            "{p}|{f}",
            "--no-dedupe",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let text = String::from_utf8(output.stdout).expect("cargo writes text");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {complaint}");
    let tree: BTreeMap<String, BTreeSet<String>> = text
        .lines()
        .map(package)
        .filter(|(name, _)| name != "session-core")
        .collect();
    assert!(!tree.is_empty(), "cargo tree showed nothing: {text}");
    tree
}

/// One line: `name v1.2.3 (proc-macro)|feature,feature`.
fn package(line: &str) -> (String, BTreeSet<String>) {
    let (package, features) = line.split_once('|').expect("the format that was asked for");
    let name = package.split(' ').next().unwrap_or_default();
    let features = features.split(',').filter(|feature| !feature.is_empty());
    (name.to_owned(), features.map(str::to_owned).collect())
}
