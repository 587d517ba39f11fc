// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowSessions} from "./EscrowSessions.sol";
import {EscrowTreasury} from "./EscrowTreasury.sol";

/// The first escrow. A slot costs what its host asks for at its creation.
contract SessionEscrowV1 is EscrowSessions {
    constructor(
        address paymentToken,
        address oracle,
        address treasury,
        uint16 feeBps,
        uint48 challengeWindow,
        uint256 challengeBond,
        uint16 lateCancelPenaltyBps,
        uint48 noAttestBuffer,
        uint48 disputeTimeout
    )
        EscrowTreasury(
            paymentToken,
            oracle,
            treasury,
            feeBps,
            challengeWindow,
            challengeBond,
            lateCancelPenaltyBps,
            noAttestBuffer,
            disputeTimeout
        )
    {}
}
