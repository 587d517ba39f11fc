//! Somebody else holds the database.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::server::Server;

const ASK: &str = r#"{"wallet":"0x1111111111111111111111111111111111111111"}"#;

#[test]
fn a_locked_database_is_answered_with_when_to_come_again_and_works_afterwards() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &[]);
    assert_eq!(server.post("/auth/nonce", ASK).status, 200);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let file = SqliteConnectOptions::new().filename(folder.path().join("session.db"));
        let mut holder = file.connect().await.expect("it opens");
        sqlx::query("BEGIN EXCLUSIVE")
            .execute(&mut holder)
            .await
            .expect("it locks");
        let refused = server.post("/auth/nonce", ASK);
        assert_eq!(refused.status, 503, "{}", refused.body);
        let wait = refused
            .header("retry-after")
            .and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(wait.is_some_and(|seconds| seconds > 0), "{refused:?}");
        assert!(
            !refused.body.contains("session.db"),
            "nothing of the inside: {}",
            refused.body
        );
        assert_eq!(
            server.get("/health").status,
            200,
            "the process lives all the same"
        );
        sqlx::query("ROLLBACK")
            .execute(&mut holder)
            .await
            .expect("it unlocks");
        holder.close().await.expect("it closes");
    });
    let granted = server.post("/auth/nonce", ASK);
    assert_eq!(granted.status, 200, "{}", granted.body);
}
