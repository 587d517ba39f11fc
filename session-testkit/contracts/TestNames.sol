// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

/// A registry of names for tests. Whoever owns no name has an empty one. Anybody sets.
contract TestNames {
    mapping(address => string) public primaryName;

    function setPrimaryName(address wallet, string calldata name) external {
        primaryName[wallet] = name;
    }
}
