//! C5: of what only one row may have, one row has it.

use session_core::changeset::{Changeset, Record, Rejection, Unique};
use session_core::ports::Read;
use session_core::room::{Closing, Room, Seat};

use super::broken::{Broken, same};
use super::rows::{
    at, both, connection, deleting, gone, inserting, room, room_id, seat, updating, wallet,
};
use super::stage::{Stage, stored};

/// A room that is hosted by the wallet of another number.
fn hosted(n: u32, host: u32) -> Room {
    Room {
        host: wallet(host),
        ..room(n)
    }
}

fn placed(n: u32, slot: u8) -> Seat {
    Seat { slot, ..seat(n, 1) }
}

/// C5.
pub(super) async fn a_host_has_one_active_room(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    let taken = Rejection::Taken(Unique::ActiveRoomOf(wallet(1)));
    stage
        .refused(
            "a second room of a host",
            &inserting([hosted(2, 1)]),
            taken.clone(),
        )
        .await?;
    let closed = hosted(3, 1).closed(at(1001), Closing::Emptied);
    stage
        .granted("a closed room of a host", &inserting([closed]))
        .await?;
    stage
        .refused(
            "a closed room that opens again",
            &updating(1, hosted(3, 1)),
            taken,
        )
        .await?;
    stage
        .granted("a room of another host", &inserting([room(4)]))
        .await?;
    let found = stage.list(Read::ActiveRoomOf(wallet(1))).await?;
    same(
        "the active room of a host",
        &found,
        &vec![stored(1, room(1))],
    )
}

/// C5.
pub(super) async fn a_place_a_number_and_a_wallet_are_taken_once(
    stage: &Stage,
) -> Result<(), Broken> {
    stage
        .granted("two rooms", &inserting([room(1), room(2)]))
        .await?;
    let first = placed(1, 1);
    stage.granted("a seat", &inserting([first.clone()])).await?;
    let other = placed(2, 2);
    let clashes = [
        (
            "a second seat of a wallet",
            Seat {
                wallet: first.wallet,
                ..seat(2, 2)
            },
            Unique::LiveSeatOf(first.wallet),
        ),
        (
            "a second seat in a place",
            Seat {
                slot: 1,
                ..other.clone()
            },
            Unique::Slot(room_id(1), 1),
        ),
        (
            "a second seat under a number",
            Seat {
                uid: first.uid,
                ..other.clone()
            },
            Unique::Uid(room_id(1), first.uid),
        ),
    ];
    for (what, clashing, unique) in &clashes {
        let taken = Rejection::Taken(*unique);
        stage
            .refused(what, &inserting([clashing.clone()]), taken)
            .await?;
    }
    stage.granted("a seat apart", &inserting([other])).await?;
    for (what, clashing, unique) in clashes {
        let taken = Rejection::Taken(unique);
        let moving = updating(1, clashing);
        stage
            .refused(&format!("{what}, by an update"), &moving, taken)
            .await?;
    }
    let elsewhere = Seat {
        slot: 1,
        uid: first.uid,
        ..seat(3, 2)
    };
    stage
        .granted(
            "the same place and number in another room",
            &inserting([elsewhere]),
        )
        .await?;
    Ok(())
}

/// C5.
pub(super) async fn what_is_given_up_is_free(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    stage.granted("a seat", &inserting([placed(1, 1)])).await?;
    stage
        .granted("the end of its stay", &updating(1, gone(placed(1, 1))))
        .await?;
    let same_place = Seat {
        wallet: wallet(1),
        uid: placed(1, 1).uid,
        ..placed(2, 1)
    };
    stage
        .granted(
            "all that it had, for another",
            &inserting([same_place.clone()]),
        )
        .await?;
    stage
        .granted("its removal", &deleting(1, same_place.key()))
        .await?;
    let again = Seat {
        connection: connection(3),
        ..placed(1, 1)
    };
    stage
        .granted("all that it had, once more", &inserting([again]))
        .await?;
    stage.granted("another room", &inserting([room(8)])).await?;
    let closed = room(8).closed(at(1001), Closing::HostLeft);
    stage.granted("its end", &updating(1, closed)).await?;
    stage
        .granted("another room of its host", &inserting([hosted(9, 8)]))
        .await?;
    Ok(())
}

/// C5.
pub(super) async fn a_holder_keeps_what_it_has(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    stage.granted("a seat", &inserting([placed(1, 1)])).await?;
    let seen = Seat {
        last_seen_at: at(1020),
        ..placed(1, 1)
    };
    stage
        .granted("an update that takes nothing", &updating(1, seen))
        .await?;
    stage
        .granted(
            "an update that takes another place",
            &updating(2, placed(1, 5)),
        )
        .await?;
    stage
        .granted("the place it had, for another", &inserting([placed(2, 1)]))
        .await?;
    let taken = Rejection::Taken(Unique::Slot(room_id(1), 1));
    stage
        .refused("the place it had, back", &updating(3, placed(1, 1)), taken)
        .await
}

/// C5.
pub(super) async fn a_value_changes_hands_within_a_changeset(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    let [one, two, three] = [placed(1, 1), placed(2, 2), placed(3, 3)];
    stage
        .granted("three seats", &inserting([one, two, three]))
        .await?;
    let around = [placed(1, 2), placed(2, 3), placed(3, 1)]
        .map(|seat| updating(1, seat))
        .into_iter()
        .fold(Changeset::default(), both);
    stage.granted("three who change places", &around).await?;
    let found = stage.list(Read::LiveSeatsIn(room_id(1))).await?;
    let expected = [placed(3, 1), placed(1, 2), placed(2, 3)].map(|seat| stored(2, seat));
    same("their places", &found, &expected.to_vec())?;

    stage.granted("another room", &inserting([room(8)])).await?;
    let closed = room(8).closed(at(1001), Closing::HostLeft);
    let handover = both(inserting([hosted(9, 8)]), updating(1, closed));
    stage
        .granted(
            "a room that opens as its host's other one closes",
            &handover,
        )
        .await?;
    let leaves = both(inserting([placed(4, 1)]), updating(2, gone(placed(3, 1))));
    stage
        .granted("a seat for which another goes", &leaves)
        .await?;
    let removed = both(inserting([placed(5, 1)]), deleting(1, placed(4, 1).key()));
    stage
        .granted("a seat for which another is removed", &removed)
        .await?;
    Ok(())
}

/// C5.
pub(super) async fn two_rows_of_a_changeset_cannot_share(stage: &Stage) -> Result<(), Broken> {
    let taken = Rejection::Taken(Unique::ActiveRoomOf(wallet(1)));
    stage
        .refused(
            "two rooms of a host",
            &inserting([room(1), hosted(2, 1)]),
            taken,
        )
        .await?;
    stage.granted("a room", &inserting([room(1)])).await?;
    let taken = Rejection::Taken(Unique::Slot(room_id(1), 1));
    let twice = inserting([placed(1, 1), placed(2, 1)]);
    stage
        .refused("two seats in a place", &twice, taken.clone())
        .await?;
    stage
        .granted("two seats apart", &inserting([placed(1, 1), placed(2, 2)]))
        .await?;
    let crowded = both(updating(1, placed(2, 1)), updating(1, placed(1, 1)));
    stage
        .refused("a seat beside one that stays", &crowded, taken)
        .await
}
