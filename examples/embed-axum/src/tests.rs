#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use super::*;

async fn host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tickets.db").display());
    let host = Host::open(&url).await.unwrap();
    (folder, host)
}

async fn room_of_alice(host: &Host, tickets: i64) -> String {
    let (status, created) = call(&host.routes(), "alice", "/live/rooms/create", &json!({}))
        .await
        .unwrap();
    assert_eq!(status, 200, "{created}");
    let room = created["room_id"].as_str().unwrap().to_owned();
    host.offer(&room, tickets).await.unwrap();
    room
}

#[tokio::test]
async fn whoever_gets_no_seat_pays_for_no_ticket() {
    let (_folder, host) = host().await;
    let app = host.routes();
    let room = room_of_alice(&host, 5).await;
    let buy = json!({"room_id": room});
    assert_eq!(call(&app, "bob", "/tickets", &buy).await.unwrap().0, 200);
    assert_eq!(host.count(&room).await.unwrap(), (1, 1));

    // The room ends, its tickets do not.
    let join = json!({"room_id": room});
    let (_, seat) = call(&app, "alice", "/live/rooms/join", &join)
        .await
        .unwrap();
    let stay = json!({"room_id": room, "connection_id": seat["connection_id"]});
    let (status, _) = call(&app, "alice", "/live/rooms/leave", &stay)
        .await
        .unwrap();
    assert_eq!(status, 200);
    let (status, said) = call(&app, "carol", "/tickets", &buy).await.unwrap();
    assert_eq!((status, &said["error"]), (409, &json!("no seat")));
    assert_eq!(host.count(&room).await.unwrap(), (1, 0));
    host.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_as_many_sit_as_have_tickets() {
    let (_folder, host) = host().await;
    let room = room_of_alice(&host, 1).await;
    let buyers = ["bob", "carol", "bob", "carol", "bob", "carol"].map(|who| {
        let (app, buy) = (host.routes(), json!({"room_id": room}));
        tokio::spawn(async move { call(&app, who, "/tickets", &buy).await.unwrap().0 })
    });
    let mut sold = 0;
    for buyer in buyers {
        sold += u32::from(buyer.await.unwrap() == 200);
    }
    assert_eq!(sold, 1);
    assert_eq!(host.count(&room).await.unwrap(), (1, 1));
    host.close().await;
}

#[tokio::test]
async fn the_host_alone_says_who_calls() {
    let (_folder, host) = host().await;
    let app = host.routes();
    let (status, _) = call(&app, "mallory", "/live/credits", &json!({}))
        .await
        .unwrap();
    assert_eq!(status, 401);
    let (status, _) = call(&app, "mallory", "/tickets", &json!({})).await.unwrap();
    assert_eq!(status, 401);
    host.close().await;
}
