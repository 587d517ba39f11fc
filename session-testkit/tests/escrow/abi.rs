//! Calls, records and logs as bytes: words of 32.

use revm::primitives::{Address, B256, U256};
use session_core::crypto::keccak256;

/// A number, an address, a hash or a truth as one word.
pub(crate) trait Word {
    fn word(self) -> U256;
}

impl Word for U256 {
    fn word(self) -> U256 {
        self
    }
}

impl Word for u64 {
    fn word(self) -> U256 {
        U256::from(self)
    }
}

impl Word for Address {
    fn word(self) -> U256 {
        U256::from_be_slice(self.as_slice())
    }
}

impl Word for B256 {
    fn word(self) -> U256 {
        U256::from_be_bytes(self.0)
    }
}

/// The first four bytes of the hash of a signature such as `book(uint256)`.
pub(crate) fn selector(signature: &str) -> [u8; 4] {
    keccak256(signature.as_bytes())[..4].try_into().unwrap()
}

/// The hash of an event's signature, which is the first topic of its logs.
pub(crate) fn topic(signature: &str) -> B256 {
    B256::from(keccak256(signature.as_bytes()))
}

/// A call of a function none of whose arguments has a length of its own.
pub(crate) fn calldata(signature: &str, arguments: &[U256]) -> Vec<u8> {
    let mut data = selector(signature).to_vec();
    for argument in arguments {
        data.extend(argument.to_be_bytes::<32>());
    }
    data
}

pub(crate) fn words(data: &[u8]) -> Vec<U256> {
    assert_eq!(data.len() % 32, 0, "not made of words");
    data.chunks_exact(32).map(U256::from_be_slice).collect()
}

pub(crate) fn address(word: U256) -> Address {
    Address::from_word(B256::from(word))
}

/// A call of `attestMutual`, whose two signatures have lengths of their own.
pub(crate) fn attest_mutual(head: [U256; 4], host: &[u8], guest: &[u8]) -> Vec<u8> {
    let signature = "attestMutual(uint256,uint8,bytes32,uint64,bytes,bytes)";
    let tail = |bytes: &[u8]| {
        let mut tail = U256::from(bytes.len()).to_be_bytes::<32>().to_vec();
        tail.extend(bytes);
        tail.resize(tail.len().next_multiple_of(32), 0);
        tail
    };
    let first = tail(host);
    let offset = 6 * 32;
    let mut arguments = head.to_vec();
    arguments.extend([U256::from(offset), U256::from(offset + first.len())]);
    let mut data = calldata(signature, &arguments);
    data.extend(first);
    data.extend(tail(guest));
    data
}

/// What a call that failed returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing.
    Silent,
    /// `Error(string)`.
    Said(String),
    /// `Panic(uint256)`: arithmetic.
    Panicked(u64),
}

impl Refusal {
    pub(crate) fn of(data: &[u8]) -> Self {
        let Some((selector, body)) = data.split_at_checked(4) else {
            assert!(data.is_empty(), "less than a selector: {data:02x?}");
            return Self::Silent;
        };
        match selector {
            // Error(string)
            [0x08, 0xc3, 0x79, 0xa0] => {
                let [offset, length] = words(&body[..64])[..] else {
                    unreachable!("two words are two")
                };
                assert_eq!(offset, U256::from(32), "a string begins behind its offset");
                let length: usize = length.to();
                let text = body[64..64 + length].to_vec();
                Self::Said(String::from_utf8(text).unwrap())
            }
            // Panic(uint256)
            [0x4e, 0x48, 0x7b, 0x71] => Self::Panicked(words(body)[0].to()),
            other => panic!("an error of another kind: {other:02x?}"),
        }
    }
}
