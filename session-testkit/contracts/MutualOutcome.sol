// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowSessions} from "./EscrowSessions.sol";

/// The capability of an outcome that host and guest signed both. Nobody is left to challenge it, so
/// it can be finalized at once.
///
/// A signature cannot be used twice: a booking leaves `Booked` once, and what is signed names chain
/// and contract.
abstract contract MutualOutcome is EscrowSessions {
    bytes32 private constant DOMAIN_TYPEHASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant OUTCOME_TYPEHASH =
        keccak256("SessionOutcome(uint256 bookingId,uint8 outcome,bytes32 metricsHash,uint64 deadline)");
    /// Half of the order of secp256k1. Each signature has a twin above it, made without the key.
    uint256 private constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    event MutuallyAttested(uint256 indexed bookingId, Outcome outcome, bytes32 metricsHash);

    /// Open to anybody: the two signatures say it all.
    function attestMutual(
        uint256 bookingId,
        Outcome outcome,
        bytes32 metricsHash,
        uint64 deadline,
        bytes calldata hostSig,
        bytes calldata guestSig
    ) external {
        Booking storage booking = _booked(bookingId);
        require(_isVerdict(outcome), "BAD_ATTEST_OUTCOME");
        Slot storage slot = slots[booking.slotId];
        require(block.timestamp >= slot.startTime, "NOT_STARTED");
        require(block.timestamp <= deadline, "SIG_EXPIRED");
        uint256 refundable = _end(slot) + bookingTerms[bookingId].noAttestBuffer;
        require(block.timestamp < refundable, "TOO_LATE");
        bytes32 digest = _digest(bookingId, outcome, metricsHash, deadline);
        require(_signer(digest, hostSig) == slot.host, "BAD_HOST_SIG");
        require(_signer(digest, guestSig) == booking.guest, "BAD_GUEST_SIG");
        emit MutuallyAttested(bookingId, outcome, metricsHash);
        _attest(bookingId, outcome, metricsHash, 0);
    }

    function _digest(uint256 bookingId, Outcome outcome, bytes32 metricsHash, uint64 deadline)
        private
        view
        returns (bytes32)
    {
        // Asked anew each time: a chain can split and take another id.
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256("SessionEscrow"),
                keccak256("2"),
                block.chainid,
                address(this)
            )
        );
        bytes32 statement =
            keccak256(abi.encode(OUTCOME_TYPEHASH, bookingId, outcome, metricsHash, deadline));
        return keccak256(abi.encodePacked(hex"1901", domain, statement));
    }

    /// Zero, which is nobody, for whatever is no signature of 65 bytes in its one accepted form.
    function _signer(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65) {
            return address(0);
        }
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        if (uint256(s) > MAX_S || (v != 27 && v != 28)) {
            return address(0);
        }
        return ecrecover(digest, v, r, s);
    }
}
