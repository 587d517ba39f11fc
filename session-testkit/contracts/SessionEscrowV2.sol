// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowTreasury} from "./EscrowTreasury.sol";
import {ExplicitPrice} from "./ExplicitPrice.sol";
import {MutualOutcome} from "./MutualOutcome.sol";

/// V1p with outcomes that both parties signed. No deployed contract is this one.
contract SessionEscrowV2 is ExplicitPrice, MutualOutcome {
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
