// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

/// The part of a token that the escrow uses.
interface IToken {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Records and events of the escrow. Order and width of every field are read from outside: a record
/// is answered as its words in this order, and a topic is the hash of an event's argument types.
abstract contract EscrowTypes {
    enum SlotStatus {
        Open,
        Booked,
        Cancelled,
        Settled
    }

    enum BookingStatus {
        None,
        Booked,
        Cancelled,
        Attested,
        Disputed,
        Resolved,
        Finalized
    }

    enum RequestStatus {
        None,
        Open,
        Cancelled,
        Accepted
    }

    /// The first three after `None` are what an oracle may attest; the last two are reasons of a
    /// cancellation.
    enum Outcome {
        None,
        Completed,
        NoShowHost,
        NoShowGuest,
        CancelledByHost,
        CancelledByGuest
    }

    /// A slot nobody created reads as all zero, which is `Open`: ask for the host.
    struct Slot {
        address host;
        uint48 startTime;
        uint32 durationMins;
        uint256 price;
        uint32 graceMins;
        uint32 minOverlapMins;
        uint32 cancelCutoffMins;
        SlotStatus status;
    }

    struct Booking {
        uint256 slotId;
        address guest;
        uint256 amount;
        BookingStatus status;
        Outcome oracleOutcome;
        bytes32 metricsHash;
        uint64 attestedAt;
        uint64 finalizableAt;
        address challenger;
        uint256 bondAmount;
        uint64 disputedAt;
    }

    /// What the settings were when the booking was made. They never change for that booking.
    struct BookingTerms {
        uint16 feeBps;
        uint16 lateCancelPenaltyBps;
        uint48 challengeWindow;
        uint48 noAttestBuffer;
        uint48 disputeTimeout;
        uint256 challengeBond;
    }

    struct Request {
        address hostTarget;
        address guest;
        uint48 windowStart;
        uint48 windowEnd;
        uint32 durationMins;
        uint256 amount;
        uint48 expiry;
        RequestStatus status;
        uint256 slotId;
        uint256 bookingId;
        address host;
    }

    event SessionSlotCreated(
        uint256 indexed slotId, address indexed host, uint48 startTime, uint32 durationMins, uint256 price
    );
    event SessionSlotCancelled(uint256 indexed slotId);
    event SessionBooked(
        uint256 indexed bookingId, uint256 indexed slotId, address indexed guest, uint256 amount
    );
    event SessionBookingCancelled(
        uint256 indexed bookingId,
        Outcome reason,
        uint256 refund,
        uint256 penalty,
        uint256 hostPaid,
        uint256 feePaid
    );
    event SessionRequestCreated(
        uint256 indexed requestId,
        address indexed hostTarget,
        address indexed guest,
        uint48 windowStart,
        uint48 windowEnd,
        uint32 durationMins,
        uint256 amount,
        uint48 expiry
    );
    event SessionRequestAccepted(
        uint256 indexed requestId,
        address indexed host,
        uint256 slotId,
        uint256 bookingId,
        uint48 startTime
    );
    event SessionRequestCancelled(uint256 indexed requestId, uint256 refund);
    event Attested(
        uint256 indexed bookingId, Outcome outcome, bytes32 metricsHash, uint64 finalizableAt
    );
    event UnattestedRefunded(uint256 indexed bookingId, uint256 refund);
    event Challenged(uint256 indexed bookingId, address indexed challenger, uint256 bondAmount);
    event Resolved(uint256 indexed bookingId, Outcome finalOutcome);
    event Finalized(
        uint256 indexed bookingId,
        Outcome finalOutcome,
        uint256 hostPaid,
        uint256 guestRefund,
        uint256 feePaid
    );
    event OwedWithdrawn(address indexed from, address indexed to, uint256 amount);
    event HostBasePriceSet(address indexed host, uint256 price);

    event OwnershipTransferStarted(address indexed oldOwner, address indexed newOwner);
    event OwnershipTransferred(address indexed oldOwner, address indexed newOwner);
    event OracleUpdated(address indexed oldOracle, address indexed newOracle);
    event TreasuryUpdated(address indexed oldTreasury, address indexed newTreasury);
    event FeeBpsUpdated(uint16 oldFeeBps, uint16 newFeeBps);
    event ChallengeWindowUpdated(uint48 oldWindow, uint48 newWindow);
    event ChallengeBondUpdated(uint256 oldBond, uint256 newBond);
    event LateCancelPenaltyBpsUpdated(uint16 oldPenaltyBps, uint16 newPenaltyBps);
    event NoAttestBufferUpdated(uint48 oldBuffer, uint48 newBuffer);
    event DisputeTimeoutUpdated(uint48 oldTimeout, uint48 newTimeout);
    event TokenSwept(address indexed to, uint256 amount);
    event NativeSwept(address indexed to, uint256 amount);
}
