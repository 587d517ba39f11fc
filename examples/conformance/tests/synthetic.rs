//! Scenarios that no record holds: everything the format allows, and everything it does not.

#![allow(clippy::unwrap_used, reason = "what is not as expected ends the test")]
#![allow(clippy::needless_pass_by_value, reason = "callers write literals")]

mod common;

use common::{replay, written};
use serde_json::{Value, json};
use session_conformance::report::Report;
use session_conformance::stores::StoreKind;

fn accounts() -> Value {
    json!({
        "a": {
            "address": "0xc224c484c27472e7e24bf347a499175d7d871ce1",
            "private_key": "0x7d39478a7242158cd2ae4909a17f6c651440532e4848ccc418b7493065f43efe",
        },
        "b": {"address": "0x0000000000000000000000000000000000000001"},
    })
}

fn file_of(steps: Value) -> Value {
    let given = json!({
        "accounts": accounts(),
        "names": {"a": "alice"},
        "credits": [{"account": "b", "base_granted_seconds": 100, "consumed_seconds": 10}],
        "vars": {"n": "11".repeat(32)},
        "bookings": [],
    });
    json!({
        "unit": {},
        "scenarios": [{"id": "made-up", "profile": "mock", "given": given, "steps": steps}],
    })
}

async fn run(steps: Value, store: &StoreKind) -> Report {
    let (_directory, file) = written(&file_of(steps));
    replay(&file, "", store).await
}

async fn failure(steps: Value) -> String {
    let report = run(steps, &StoreKind::Memory).await;
    assert!(!report.is_success(), "{report}");
    assert_eq!(
        (report.files[0].passed, report.files[0].failures.len()),
        (0, 1),
        "{report}"
    );
    report.files[0].failures[0].1.to_string()
}

fn get(path: &str, token: &str, response: Value) -> Value {
    let headers = json!({"authorization": format!("Bearer {token}")});
    let request = json!({"method": "GET", "path": path, "headers": headers});
    json!({"do": "request", "request": request, "response": response})
}

fn post(path: &str, body: Value, response: Value) -> Value {
    let headers = json!({"authorization": "Bearer {{jwt:a}}", "content-type": "application/json"});
    let request = json!({"method": "POST", "path": path, "headers": headers, "json": body});
    json!({"do": "request", "request": request, "response": response})
}

fn with(mut step: Value, name: &str, value: Value) -> Value {
    step[name] = value;
    step
}

fn credits(remaining: u64, base: u64, bonus: u64, consumed: u64) -> Value {
    json!({"status": 200, "json": {
        "remaining_seconds": remaining, "base_granted_seconds": base,
        "bonus_granted_seconds": bonus, "consumed_seconds": consumed,
    }})
}

/// A stay in a room, metered to the second, with everything that a step can do.
fn stay() -> Value {
    let create = post(
        "/rooms/create",
        json!({}),
        json!({"status": 200, "json": {
            "room_id": "placeholder", "channel": "placeholder", "visibility": "open",
        }}),
    );
    let create = with(create, "bind", json!({"room": "/room_id"}));
    let create = with(
        create,
        "compare",
        json!({
            "/room_id": "uuid4", "/channel": "template:heaven-free-{{room}}",
        }),
    );
    let join = post(
        "/rooms/join",
        json!({"room_id": "{{room}}"}),
        json!({"status": 500, "text": "no"}),
    );
    let join = with(
        join,
        "bind",
        json!({"connection": "/connection_id", "left": "/remaining_seconds"}),
    );
    let join = with(
        join,
        "deviation",
        json!({"defect": "D0", "answer": {"status": [200, 201], "json": {
            "channel": "heaven-free-{{room}}", "host_wallet": "{{addr:a}}", "agora_token": "placeholder",
        }}}),
    );
    let join = with(
        join,
        "compare",
        json!({"/agora_token": "agora:publisher:ttl=90"}),
    );
    let seat = json!({"room_id": "{{room}}", "connection_id": "{{connection}}"});
    let renew = post(
        "/rooms/token/renew",
        seat.clone(),
        json!({"status": 200, "json": {
            "agora_token": "placeholder", "token_expires_in_seconds": 90, "remaining_seconds": 153,
            "events": [{"type": "credits_low", "wallet": "{{addr:a}}", "remaining_seconds": 193, "at_epoch": 0}],
        }}),
    );
    // The worker notices the threshold before the client does; the instant is its own.
    let renew = with(
        renew,
        "compare",
        json!({
            "/agora_token": "agora:publisher:ttl=90",
            "/events": "contains:{type=credits_low,wallet={{addr:a}}}",
        }),
    );
    let leave = post(
        "/rooms/leave",
        seat,
        json!({"status": 200, "json": {
            "ok": true, "debited_seconds": 47, "remaining_seconds": 153, "closed": true,
        }}),
    );
    json!([
        create,
        {"do": "set_credits", "account": "a", "base_granted_seconds": 1800, "consumed_seconds": 1600},
        join,
        {"do": "advance_clock", "seconds": 47},
        renew,
        leave,
        get("/credits", "{{jwt:a}}", credits(153, 1800, 0, 1647)),
        {"do": "set_credits", "credits": [{"account": "{{addr:a}}", "consumed_seconds": 1800, "bonus_granted_seconds": 9}]},
        get("/credits", "{{jwt:a}}", credits(9, 1800, 9, 1800)),
        get("/credits", "{{jwt:b}}", credits(90, 100, 0, 10)),
        with(get("/credits", "{{jwt_no_exp:a}}", json!({"status": 200})), "ours", json!({"status": 401, "why": "prose"})),
        with(get("/credits", "{{jwt:a}}", credits(9, 1800, 9, 1800)), "ours", json!({"status": 200})),
        with(get("/credits", "{{jwt:a}}", json!({"status": 200})), "ours", json!({"json": {"remaining_seconds": 9}})),
        get("/nope", "{{jwt:a}}", json!({"status": 404, "text": "404 Not Found", "headers": {
            "content-type": "text/plain; charset=utf-8", "x-unheard-of": null,
        }})),
        get("/health", "", json!({"status": 200})),
    ])
}

#[tokio::test]
async fn a_stay_is_metered_to_the_second_on_memory() {
    let report = run(stay(), &StoreKind::Memory).await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn a_stay_is_metered_to_the_second_on_sqlite() {
    let report = run(stay(), &StoreKind::Sqlite).await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn a_signature_of_a_wallet_signs_in() {
    let verify = |signature: &str| {
        let body = json!({"wallet": "{{ADDR:a}}", "signature": signature, "nonce": "{{n}}"});
        let expected = json!({"status": 401, "json": {"error": "invalid or expired nonce"}});
        post("/auth/verify", body, expected)
    };
    let steps = json!([verify("{{sign_utf8:a:n}}"), verify("{{sign_raw32:a:n}}")]);
    let report = run(steps, &StoreKind::Memory).await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn each_wrong_expectation_is_told_with_its_pointer() {
    let good = json!({"status": 200, "headers": {"content-type": "application/json"}, "json": {"ok": true}});
    for (pointer, wrong, told) in [
        ("/status", json!(201), "status: expected 201, got 200"),
        ("/json/ok", json!(false), "/ok: expected false, got true"),
        ("/json", json!({}), "/ok: expected no such member, got true"),
        (
            "/json",
            json!({"ok": true, "b": 1}),
            "/b: expected 1, got no such member",
        ),
        (
            "/headers/content-type",
            json!("text/html"),
            "header content-type: expected",
        ),
        (
            "/headers/content-type",
            Value::Null,
            "header content-type: expected none, got",
        ),
    ] {
        let mut response = good.clone();
        *response.pointer_mut(pointer).unwrap() = wrong;
        let told_now = failure(json!([get("/health", "", response)])).await;
        assert!(told_now.contains(told), "{told_now}");
        assert!(told_now.starts_with("step 1 GET /health: "), "{told_now}");
    }
    let text = failure(json!([get(
        "/health",
        "",
        json!({"status": 200, "text": "ok"})
    )]))
    .await;
    assert!(text.contains("body: expected \"ok\""), "{text}");
    let unbound = with(
        get("/health", "", good.clone()),
        "bind",
        json!({"v": "/absent"}),
    );
    assert!(
        failure(json!([unbound]))
            .await
            .contains("/absent: expected a value")
    );
    for ours in [
        json!({"status": 400}),
        json!({"status": [400, 404]}),
        json!({"json": {"ok": false}}),
    ] {
        let step = with(get("/health", "", good.clone()), "ours", ours.clone());
        failure(json!([step])).await;
    }
}

#[tokio::test]
async fn what_is_not_understood_fails() {
    let good = json!({"status": 200, "json": {"ok": true}});
    let health = get("/health", "", good);
    let request = |name: &str, value: Value| {
        let mut step = health.clone();
        step["request"][name] = value;
        step
    };
    for step in [
        json!({"do": "moon"}),
        json!({"seconds": 1}),
        json!({"do": "advance_clock", "seconds": -1}),
        json!({"do": "advance_clock", "seconds": 1.5}),
        json!({"do": "advance_clock", "seconds": 1, "minutes": 1}),
        json!({"do": "advance_clock", "seconds": 1_000_000_000}),
        json!({"do": "set_credits", "account": "a"}),
        json!({"do": "set_credits", "account": "nobody", "base_granted_seconds": 1}),
        json!({"do": "set_credits", "account": "b", "consumed_seconds": 1000}),
        with(health.clone(), "chain_effect", json!({"attest": {}})),
        with(health.clone(), "compare", json!({"/ok": "moon"})),
        with(health.clone(), "compare", json!({"/ok": "moon:5"})),
        with(health.clone(), "compare", json!({"/ok": "range:a..b"})),
        with(
            health.clone(),
            "ours",
            json!({"status": 200, "text_contains": "ok"}),
        ),
        with(health.clone(), "ours", json!({"status": "200"})),
        with(health.clone(), "repeat", json!(3)),
        with(health.clone(), "response", Value::Null),
        with(health.clone(), "response", json!({"json": {"ok": true}})),
        with(
            health.clone(),
            "response",
            json!({"status": 200, "json_has": {}}),
        ),
        request("path", json!("/{{moon}}")),
        request("path", json!("/{{addr:nobody}}")),
        request("path", json!("not a path")),
        request("method", json!("G E T")),
        request("headers", json!({"x": "{{sign_utf8:b:n}}"})),
        request("cookies", json!({})),
    ] {
        let told = failure(json!([step.clone()])).await;
        assert!(
            told.contains("not understood by this build"),
            "{step}: {told}"
        );
    }
}

#[tokio::test]
async fn a_given_that_nobody_understands_fails() {
    let steps = json!([get("/health", "", json!({"status": 200}))]);
    for (name, value, told) in [
        ("bookings", json!([{"booking_id": "1"}]), "status"),
        (
            "bookings",
            json!([{"booking_id": "1", "status": 9, "guest": "g", "slot": null}]),
            "status 9",
        ),
        (
            "presence",
            json!([{"booking_id": "1", "rows": [], "moon": 1}]),
            "moon",
        ),
        ("moon", json!([]), "moon"),
    ] {
        let mut file = file_of(steps.clone());
        file["scenarios"][0]["given"][name] = value;
        let (_directory, file) = written(&file);
        let report = replay(&file, "", &StoreKind::Memory).await.to_string();
        assert!(
            report.contains("not understood by this build") && report.contains(told),
            "{report}"
        );
    }
}

/// A booked session as a record may hold it: two parties, who was there, and a chain that fails.
#[tokio::test]
async fn what_must_reach_the_chain_is_looked_at() {
    let attest = |effect: Value| {
        let mut file = file_of(json!([{
            "do": "request",
            "request": {
                "method": "POST",
                "path": "/session/7/attest",
                "headers": {"x-service-token": "golden-service-token"},
            },
            "response": {"status": 200},
        }]));
        file["scenarios"][0]["profile"] = json!("live");
        let given = &mut file["scenarios"][0]["given"];
        given["accounts"]["h"] = json!({"address": "0x00000000000000000000000000000000000a11ce"});
        given["accounts"]["g"] = json!({"address": "0x0000000000000000000000000000000000000b0b"});
        given["bookings"] = json!([{
            "booking_id": "7", "status": 1, "guest": "g",
            "slot": {
                "host": "h", "start_offset_s": -1800,
                "durationMins": 30, "graceMins": 5, "minOverlapMins": 10,
            },
        }]);
        if !effect.is_null() {
            file["scenarios"][0]["steps"][0]["chain_effect"] = effect;
        }
        file
    };
    for (effect, passed) in [
        (json!({"attest": {"booking_id": "7", "outcome": 2}}), 1),
        (json!({"attest": {"booking_id": "7", "outcome": 3}}), 0),
        (json!({"attest": {"booking_id": "8", "outcome": 2}}), 0),
        (Value::Null, 0),
    ] {
        let (_directory, file) = written(&attest(effect.clone()));
        let report = replay(&file, "", &StoreKind::Memory).await;
        assert_eq!(report.files[0].passed, passed, "{effect}: {report}");
    }
    let mut down = attest(Value::Null);
    down["scenarios"][0]["given"]["chain"] = json!({"failure": "rpc"});
    down["scenarios"][0]["steps"][0]["response"]["status"] = json!(503);
    let (_directory, file) = written(&down);
    let report = replay(&file, "", &StoreKind::Memory).await;
    assert_eq!(report.files[0].passed, 1, "{report}");
}
