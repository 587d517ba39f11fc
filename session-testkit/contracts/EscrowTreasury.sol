// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowTypes, IToken} from "./EscrowTypes.sol";

/// Who may do what, the settings with their limits, and the tokens: what is held, what is owed, how
/// it is withdrawn and what may be swept.
abstract contract EscrowTreasury is EscrowTypes {
    uint256 public constant BPS = 10_000;
    uint48 public constant MAX_CHALLENGE_WINDOW = 30 days;
    uint48 public constant MAX_NO_ATTEST_BUFFER = 30 days;
    uint48 public constant MAX_DISPUTE_TIMEOUT = 180 days;
    uint16 internal constant MAX_FEE_BPS = 2_000;

    /// Set once, and yet no immutable: so the deployed code is the compiled code, byte for byte, and
    /// a test can compare the two.
    IToken public paymentToken;

    address public owner;
    address public pendingOwner;
    address public oracle;
    address public treasury;

    uint16 public feeBps;
    uint16 public lateCancelPenaltyBps;
    uint48 public challengeWindow;
    uint48 public noAttestBuffer;
    uint48 public disputeTimeout;
    uint256 public challengeBond;

    /// All that belongs to somebody: amounts of bookings and requests, bonds, and what is owed. It
    /// rises when tokens are pulled and falls when they are withdrawn, and never else.
    uint256 public totalHeld;
    mapping(address => uint256) public owed;

    modifier onlyOwner() {
        require(msg.sender == owner, "NOT_OWNER");
        _;
    }

    constructor(
        address paymentToken_,
        address oracle_,
        address treasury_,
        uint16 feeBps_,
        uint48 challengeWindow_,
        uint256 challengeBond_,
        uint16 lateCancelPenaltyBps_,
        uint48 noAttestBuffer_,
        uint48 disputeTimeout_
    ) {
        require(paymentToken_ != address(0), "BAD_ADDR");
        paymentToken = IToken(paymentToken_);
        owner = msg.sender;
        emit OwnershipTransferred(address(0), msg.sender);
        _setOracle(oracle_);
        _setTreasury(treasury_);
        _setFeeBps(feeBps_);
        _setChallengeWindow(challengeWindow_);
        _setChallengeBond(challengeBond_);
        _setLateCancelPenaltyBps(lateCancelPenaltyBps_);
        _setNoAttestBuffer(noAttestBuffer_);
        _setDisputeTimeout(disputeTimeout_);
    }

    function withdrawOwed() external {
        _withdraw(msg.sender);
    }

    function withdrawOwed(address to) external {
        _withdraw(to);
    }

    /// Tokens that came without a call belong to nobody. Open to anybody, as the receiver is fixed.
    function sweepTokenExcess() external {
        uint256 excess = paymentToken.balanceOf(address(this)) - totalHeld;
        require(excess > 0, "NOTHING_TO_SWEEP");
        emit TokenSwept(treasury, excess);
        require(paymentToken.transfer(treasury, excess), "TRANSFER_FAILED");
    }

    /// No function takes native coin, but nobody can refuse what a block reward or the end of
    /// another contract brings.
    function sweepNative() external {
        uint256 amount = address(this).balance;
        require(amount > 0, "NOTHING_TO_SWEEP");
        emit NativeSwept(treasury, amount);
        (bool taken,) = treasury.call{value: amount}("");
        require(taken, "TRANSFER_FAILED");
    }

    function transferOwnership(address newOwner) external onlyOwner {
        require(newOwner != address(0), "BAD_ADDR");
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(owner, newOwner);
    }

    function acceptOwnership() external {
        require(msg.sender == pendingOwner, "NOT_PENDING_OWNER");
        emit OwnershipTransferred(owner, msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
    }

    function setOracle(address newOracle) external onlyOwner {
        _setOracle(newOracle);
    }

    function setTreasury(address newTreasury) external onlyOwner {
        _setTreasury(newTreasury);
    }

    function setFeeBps(uint16 newFeeBps) external onlyOwner {
        _setFeeBps(newFeeBps);
    }

    function setChallengeWindow(uint48 newWindow) external onlyOwner {
        _setChallengeWindow(newWindow);
    }

    function setChallengeBond(uint256 newBond) external onlyOwner {
        _setChallengeBond(newBond);
    }

    function setLateCancelPenaltyBps(uint16 newPenaltyBps) external onlyOwner {
        _setLateCancelPenaltyBps(newPenaltyBps);
    }

    function setNoAttestBuffer(uint48 newBuffer) external onlyOwner {
        _setNoAttestBuffer(newBuffer);
    }

    function setDisputeTimeout(uint48 newTimeout) external onlyOwner {
        _setDisputeTimeout(newTimeout);
    }

    /// Takes tokens in. Called last, so that a token that calls back finds everything written down.
    function _pull(uint256 amount) internal {
        totalHeld += amount;
        require(paymentToken.transferFrom(msg.sender, address(this), amount), "TRANSFER_FAILED");
    }

    /// Nothing is ever pushed: a receiver that cannot be paid must not hold up the others.
    function _credit(address to, uint256 amount) internal {
        if (amount > 0) {
            owed[to] += amount;
        }
    }

    function _withdraw(address to) private {
        require(to != address(0), "BAD_ADDR");
        uint256 amount = owed[msg.sender];
        require(amount > 0, "NOTHING_OWED");
        owed[msg.sender] = 0;
        totalHeld -= amount;
        emit OwedWithdrawn(msg.sender, to, amount);
        require(paymentToken.transfer(to, amount), "TRANSFER_FAILED");
    }

    function _setOracle(address newOracle) private {
        require(newOracle != address(0), "BAD_ADDR");
        emit OracleUpdated(oracle, newOracle);
        oracle = newOracle;
    }

    function _setTreasury(address newTreasury) private {
        require(newTreasury != address(0), "BAD_ADDR");
        emit TreasuryUpdated(treasury, newTreasury);
        treasury = newTreasury;
    }

    function _setFeeBps(uint16 newFeeBps) private {
        require(newFeeBps <= MAX_FEE_BPS, "BAD_FEE");
        emit FeeBpsUpdated(feeBps, newFeeBps);
        feeBps = newFeeBps;
    }

    function _setChallengeWindow(uint48 newWindow) private {
        require(newWindow <= MAX_CHALLENGE_WINDOW, "BAD_WINDOW");
        emit ChallengeWindowUpdated(challengeWindow, newWindow);
        challengeWindow = newWindow;
    }

    /// Without a bond a challenge would cost nothing.
    function _setChallengeBond(uint256 newBond) private {
        require(newBond > 0, "BAD_BOND");
        emit ChallengeBondUpdated(challengeBond, newBond);
        challengeBond = newBond;
    }

    function _setLateCancelPenaltyBps(uint16 newPenaltyBps) private {
        require(newPenaltyBps <= BPS, "BAD_PENALTY");
        emit LateCancelPenaltyBpsUpdated(lateCancelPenaltyBps, newPenaltyBps);
        lateCancelPenaltyBps = newPenaltyBps;
    }

    function _setNoAttestBuffer(uint48 newBuffer) private {
        require(newBuffer <= MAX_NO_ATTEST_BUFFER, "BAD_BUFFER");
        emit NoAttestBufferUpdated(noAttestBuffer, newBuffer);
        noAttestBuffer = newBuffer;
    }

    function _setDisputeTimeout(uint48 newTimeout) private {
        require(newTimeout <= MAX_DISPUTE_TIMEOUT, "BAD_TIMEOUT");
        emit DisputeTimeoutUpdated(disputeTimeout, newTimeout);
        disputeTimeout = newTimeout;
    }
}
