// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {ExplicitPrice} from "./ExplicitPrice.sol";
import {EscrowTreasury} from "./EscrowTreasury.sol";

/// V1 with prices of single slots. It was deployed under the name "SessionEscrowV2", and has nothing
/// of what V2 is here: whoever talks to it must go by what a contract can do, not by its name.
contract SessionEscrowV1p is ExplicitPrice {
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
