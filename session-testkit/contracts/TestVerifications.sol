// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

/// A mirror of verifications for tests: since when a wallet counts as verified, in seconds since the
/// epoch, or zero. Anybody sets.
contract TestVerifications {
    mapping(address => uint64) public verifiedAt;

    function setVerifiedAt(address wallet, uint64 instant) external {
        verifiedAt[wallet] = instant;
    }
}
