// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowSessions} from "./EscrowSessions.sol";

/// The capability of slots with a price of their own, whatever the host asks for otherwise.
abstract contract ExplicitPrice is EscrowSessions {
    function createSlotWithPrice(
        uint48 startTime,
        uint32 durationMins,
        uint32 graceMins,
        uint32 minOverlapMins,
        uint32 cancelCutoffMins,
        uint256 price
    ) external returns (uint256) {
        require(price > 0, "BAD_PRICE");
        return _createSlot(startTime, durationMins, graceMins, minOverlapMins, cancelCutoffMins, price);
    }
}
