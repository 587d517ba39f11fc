// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.25;

import {EscrowTreasury} from "./EscrowTreasury.sol";

/// The life of a session: offered as a slot or asked for by a request, booked, attested, perhaps
/// challenged, and paid out. What all variants of the escrow have in common.
///
/// The order of the guards in each function is part of the interface: where two of them fail, a
/// caller sees the first.
abstract contract EscrowSessions is EscrowTreasury {
    /// A slot must start later than this many seconds from now, to be created and to be booked.
    uint256 private constant START_MARGIN = 60;
    /// Seconds after the end in which a session can still be attested as completed.
    uint256 private constant COMPLETED_GRACE = 7_200;
    uint32 private constant MAX_DURATION_MINS = 240;
    uint32 private constant MAX_CANCEL_CUTOFF_MINS = 10_080;

    uint256 public nextSlotId = 1;
    uint256 public nextBookingId = 1;
    uint256 public nextRequestId = 1;

    mapping(uint256 => Slot) public slots;
    mapping(uint256 => Booking) public bookings;
    mapping(uint256 => BookingTerms) public bookingTerms;
    mapping(uint256 => Request) public requests;
    mapping(uint256 => uint256) public slotToBooking;
    mapping(address => uint256) public hostBasePrice;

    function setHostBasePrice(uint256 price) external {
        hostBasePrice[msg.sender] = price;
        emit HostBasePriceSet(msg.sender, price);
    }

    function createSlot(
        uint48 startTime,
        uint32 durationMins,
        uint32 graceMins,
        uint32 minOverlapMins,
        uint32 cancelCutoffMins
    ) external returns (uint256) {
        uint256 price = hostBasePrice[msg.sender];
        require(price > 0, "NO_BASE_PRICE");
        return _createSlot(startTime, durationMins, graceMins, minOverlapMins, cancelCutoffMins, price);
    }

    function cancelSlot(uint256 slotId) external {
        Slot storage slot = slots[slotId];
        require(slot.status == SlotStatus.Open, "NOT_OPEN");
        require(msg.sender == slot.host, "NOT_HOST");
        slot.status = SlotStatus.Cancelled;
        emit SessionSlotCancelled(slotId);
    }

    function book(uint256 slotId) external returns (uint256 bookingId) {
        Slot storage slot = slots[slotId];
        require(slot.status == SlotStatus.Open, "NOT_AVAILABLE");
        // Also refuses a slot that does not exist, whose start is zero.
        require(slot.startTime > block.timestamp + START_MARGIN, "TOO_LATE");
        require(slotToBooking[slotId] == 0, "ALREADY_BOOKED");
        require(msg.sender != slot.host, "HOST_CANNOT_BOOK");
        bookingId = _book(slotId, msg.sender, slot.price);
        _pull(slot.price);
    }

    function createRequest(
        address hostTarget,
        uint48 windowStart,
        uint48 windowEnd,
        uint32 durationMins,
        uint256 amount,
        uint48 expiry
    ) external returns (uint256 requestId) {
        require(hostTarget != address(0), "BAD_ADDR");
        require(durationMins >= 1 && durationMins <= MAX_DURATION_MINS, "BAD_DURATION");
        require(windowStart <= windowEnd, "BAD_TIME");
        require(block.timestamp <= expiry, "EXPIRED");
        requestId = nextRequestId++;
        Request storage request = requests[requestId];
        request.hostTarget = hostTarget;
        request.guest = msg.sender;
        request.windowStart = windowStart;
        request.windowEnd = windowEnd;
        request.durationMins = durationMins;
        request.amount = amount;
        request.expiry = expiry;
        request.status = RequestStatus.Open;
        emit SessionRequestCreated(
            requestId, hostTarget, msg.sender, windowStart, windowEnd, durationMins, amount, expiry
        );
        _pull(amount);
    }

    /// Also after its expiry: that is how the guest gets the tokens back.
    function cancelRequest(uint256 requestId) external {
        Request storage request = requests[requestId];
        require(request.status == RequestStatus.Open, "NOT_OPEN");
        require(msg.sender == request.guest, "NOT_GUEST");
        request.status = RequestStatus.Cancelled;
        _credit(request.guest, request.amount);
        emit SessionRequestCancelled(requestId, request.amount);
    }

    function acceptRequest(
        uint256 requestId,
        uint48 startTime,
        uint32 graceMins,
        uint32 minOverlapMins,
        uint32 cancelCutoffMins
    ) external returns (uint256 slotId, uint256 bookingId) {
        Request storage request = requests[requestId];
        require(request.status == RequestStatus.Open, "NOT_OPEN");
        require(block.timestamp <= request.expiry, "EXPIRED");
        require(msg.sender != request.guest, "GUEST_CANNOT_ACCEPT");
        require(msg.sender == request.hostTarget, "NOT_HOST");
        uint256 price = hostBasePrice[msg.sender];
        require(request.amount >= price, "LOW_OFFER");
        require(request.windowStart <= startTime && startTime <= request.windowEnd, "BAD_TIME");
        // The slot shows what the host asks for; the booking holds what the guest paid in.
        slotId = _createSlot(
            startTime,
            request.durationMins,
            graceMins,
            minOverlapMins,
            cancelCutoffMins,
            price > 0 ? price : request.amount
        );
        bookingId = _book(slotId, request.guest, request.amount);
        request.status = RequestStatus.Accepted;
        request.slotId = slotId;
        request.bookingId = bookingId;
        request.host = msg.sender;
        emit SessionRequestAccepted(requestId, msg.sender, slotId, bookingId, startTime);
    }

    function cancelBookingAsGuest(uint256 bookingId) external {
        Booking storage booking = _booked(bookingId);
        require(msg.sender == booking.guest, "NOT_GUEST");
        Slot storage slot = slots[booking.slotId];
        require(block.timestamp < slot.startTime, "ALREADY_STARTED");
        booking.status = BookingStatus.Cancelled;
        // Added to the clock and not taken from the start, which may be less than the cut-off.
        if (block.timestamp + uint256(slot.cancelCutoffMins) * 60 <= slot.startTime) {
            slot.status = SlotStatus.Open;
            // Else nobody could book the slot again.
            slotToBooking[booking.slotId] = 0;
            _cancelled(bookingId, Outcome.CancelledByGuest, 0);
        } else {
            slot.status = SlotStatus.Settled;
            uint256 penalty = booking.amount * bookingTerms[bookingId].lateCancelPenaltyBps / BPS;
            _cancelled(bookingId, Outcome.CancelledByGuest, penalty);
        }
    }

    function cancelBookingAsHost(uint256 bookingId) external {
        Booking storage booking = _booked(bookingId);
        Slot storage slot = slots[booking.slotId];
        require(msg.sender == slot.host, "NOT_HOST");
        require(block.timestamp < slot.startTime, "ALREADY_STARTED");
        booking.status = BookingStatus.Cancelled;
        slot.status = SlotStatus.Cancelled;
        _cancelled(bookingId, Outcome.CancelledByHost, 0);
    }

    function attest(uint256 bookingId, Outcome outcome, bytes32 metricsHash) external {
        require(msg.sender == oracle, "NOT_ORACLE");
        Booking storage booking = _booked(bookingId);
        require(outcome != Outcome.None, "BAD_OUTCOME");
        require(_isVerdict(outcome), "BAD_ATTEST_OUTCOME");
        Slot storage slot = slots[booking.slotId];
        if (outcome == Outcome.Completed) {
            uint256 opens = uint256(slot.startTime) + uint256(slot.minOverlapMins) * 60;
            require(block.timestamp >= opens, "OVERLAP_NOT_MET");
            require(block.timestamp <= _end(slot) + COMPLETED_GRACE, "TOO_LATE");
        } else {
            uint256 grace = uint256(slot.graceMins) * 60;
            require(block.timestamp >= slot.startTime + grace, "GRACE_NOT_OVER");
            require(block.timestamp <= _end(slot) + grace, "NO_SHOW_TOO_LATE");
        }
        _attest(bookingId, outcome, metricsHash, bookingTerms[bookingId].challengeWindow);
    }

    function claimIfUnattested(uint256 bookingId) external {
        Booking storage booking = _booked(bookingId);
        Slot storage slot = slots[booking.slotId];
        require(_isParty(booking, slot), "NOT_PARTY");
        uint256 opens = _end(slot) + bookingTerms[bookingId].noAttestBuffer;
        require(block.timestamp >= opens, "TOO_EARLY");
        booking.status = BookingStatus.Finalized;
        slot.status = SlotStatus.Cancelled;
        _credit(booking.guest, booking.amount);
        emit UnattestedRefunded(bookingId, booking.amount);
    }

    function challenge(uint256 bookingId) external {
        Booking storage booking = bookings[bookingId];
        require(booking.status == BookingStatus.Attested, "NOT_ATTESTED");
        require(block.timestamp < booking.finalizableAt, "WINDOW_OVER");
        require(_isParty(booking, slots[booking.slotId]), "NOT_PARTY");
        uint256 bond = bookingTerms[bookingId].challengeBond;
        booking.status = BookingStatus.Disputed;
        booking.challenger = msg.sender;
        booking.bondAmount = bond;
        booking.disputedAt = uint64(block.timestamp);
        emit Challenged(bookingId, msg.sender, bond);
        _pull(bond);
    }

    function resolveDispute(uint256 bookingId, Outcome outcome) external onlyOwner {
        _disputed(bookingId);
        require(_isVerdict(outcome), "BAD_OUTCOME");
        _resolve(bookingId, outcome);
    }

    /// The owner did not answer: what was attested stands, and the challenge failed.
    function finalizeDisputeByTimeout(uint256 bookingId) external {
        Booking storage booking = _disputed(bookingId);
        uint256 opens = uint256(booking.disputedAt) + bookingTerms[bookingId].disputeTimeout;
        require(block.timestamp >= opens, "TOO_EARLY");
        _resolve(bookingId, booking.oracleOutcome);
    }

    function finalize(uint256 bookingId) external {
        Booking storage booking = bookings[bookingId];
        BookingStatus status = booking.status;
        bool decided = status == BookingStatus.Attested || status == BookingStatus.Resolved;
        require(decided, "NOT_FINALIZABLE");
        require(block.timestamp >= booking.finalizableAt, "TOO_EARLY");
        Slot storage slot = slots[booking.slotId];
        booking.status = BookingStatus.Finalized;
        slot.status = SlotStatus.Settled;

        Outcome outcome = booking.oracleOutcome;
        if (outcome == Outcome.NoShowHost) {
            _credit(booking.guest, booking.amount);
            emit Finalized(bookingId, outcome, 0, booking.amount, 0);
        } else {
            (uint256 hostPaid, uint256 feePaid) = _payHost(bookingId, slot.host, booking.amount);
            emit Finalized(bookingId, outcome, hostPaid, 0, feePaid);
        }
    }

    function getSlot(uint256 slotId) external view returns (Slot memory) {
        return slots[slotId];
    }

    function getBooking(uint256 bookingId) external view returns (Booking memory) {
        return bookings[bookingId];
    }

    function getBookingTerms(uint256 bookingId) external view returns (BookingTerms memory) {
        return bookingTerms[bookingId];
    }

    function getRequest(uint256 requestId) external view returns (Request memory) {
        return requests[requestId];
    }

    function _createSlot(
        uint48 startTime,
        uint32 durationMins,
        uint32 graceMins,
        uint32 minOverlapMins,
        uint32 cancelCutoffMins,
        uint256 price
    ) internal returns (uint256 slotId) {
        require(startTime > block.timestamp + START_MARGIN, "START_TOO_SOON");
        require(durationMins >= 1 && durationMins <= MAX_DURATION_MINS, "BAD_DURATION");
        require(minOverlapMins <= durationMins, "BAD_OVERLAP");
        require(cancelCutoffMins <= MAX_CANCEL_CUTOFF_MINS, "BAD_CUTOFF");
        slotId = nextSlotId++;
        slots[slotId] = Slot({
            host: msg.sender,
            startTime: startTime,
            durationMins: durationMins,
            price: price,
            graceMins: graceMins,
            minOverlapMins: minOverlapMins,
            cancelCutoffMins: cancelCutoffMins,
            status: SlotStatus.Open
        });
        emit SessionSlotCreated(slotId, msg.sender, startTime, durationMins, price);
    }

    /// Writes the verdict down. `window` is how many seconds the parties have to challenge it.
    function _attest(uint256 bookingId, Outcome outcome, bytes32 metricsHash, uint256 window)
        internal
    {
        Booking storage booking = bookings[bookingId];
        booking.status = BookingStatus.Attested;
        booking.oracleOutcome = outcome;
        booking.metricsHash = metricsHash;
        booking.attestedAt = uint64(block.timestamp);
        booking.finalizableAt = uint64(block.timestamp + window);
        emit Attested(bookingId, outcome, metricsHash, booking.finalizableAt);
    }

    function _booked(uint256 bookingId) internal view returns (Booking storage booking) {
        booking = bookings[bookingId];
        require(booking.status == BookingStatus.Booked, "NOT_BOOKED");
    }

    function _isVerdict(Outcome outcome) internal pure returns (bool) {
        return outcome >= Outcome.Completed && outcome <= Outcome.NoShowGuest;
    }

    function _end(Slot storage slot) internal view returns (uint256) {
        return uint256(slot.startTime) + uint256(slot.durationMins) * 60;
    }

    function _disputed(uint256 bookingId) private view returns (Booking storage booking) {
        booking = bookings[bookingId];
        require(booking.status == BookingStatus.Disputed, "NOT_DISPUTED");
    }

    /// The terms are those of this instant, also for a request that was made under others.
    function _book(uint256 slotId, address guest, uint256 amount) private returns (uint256 bookingId) {
        bookingId = nextBookingId++;
        slots[slotId].status = SlotStatus.Booked;
        slotToBooking[slotId] = bookingId;
        Booking storage booking = bookings[bookingId];
        booking.slotId = slotId;
        booking.guest = guest;
        booking.amount = amount;
        booking.status = BookingStatus.Booked;
        bookingTerms[bookingId] = BookingTerms({
            feeBps: feeBps,
            lateCancelPenaltyBps: lateCancelPenaltyBps,
            challengeWindow: challengeWindow,
            noAttestBuffer: noAttestBuffer,
            disputeTimeout: disputeTimeout,
            challengeBond: challengeBond
        });
        emit SessionBooked(bookingId, slotId, guest, amount);
    }

    function _cancelled(uint256 bookingId, Outcome reason, uint256 penalty) private {
        Booking storage booking = bookings[bookingId];
        uint256 refund = booking.amount - penalty;
        _credit(booking.guest, refund);
        (uint256 hostPaid, uint256 feePaid) =
            _payHost(bookingId, slots[booking.slotId].host, penalty);
        emit SessionBookingCancelled(bookingId, reason, refund, penalty, hostPaid, feePaid);
    }

    /// Gives the bond to whoever was right, and lets the booking be finalized at once. A challenge
    /// was right where it changed the outcome, whether or not that moves money.
    function _resolve(uint256 bookingId, Outcome outcome) private {
        Booking storage booking = bookings[bookingId];
        address challenger = booking.challenger;
        address winner = challenger;
        if (outcome == booking.oracleOutcome) {
            address host = slots[booking.slotId].host;
            winner = challenger == host ? booking.guest : host;
        }
        booking.status = BookingStatus.Resolved;
        booking.oracleOutcome = outcome;
        booking.finalizableAt = uint64(block.timestamp);
        _credit(winner, booking.bondAmount);
        emit Resolved(bookingId, outcome);
    }

    /// Credits the host with a gross amount less the fee, and the treasury of today with the fee.
    function _payHost(uint256 bookingId, address host, uint256 gross)
        private
        returns (uint256 hostPaid, uint256 feePaid)
    {
        feePaid = gross * bookingTerms[bookingId].feeBps / BPS;
        hostPaid = gross - feePaid;
        _credit(host, hostPaid);
        _credit(treasury, feePaid);
    }

    function _isParty(Booking storage booking, Slot storage slot) private view returns (bool) {
        return msg.sender == booking.guest || msg.sender == slot.host;
    }
}
