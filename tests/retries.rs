//! Retry schedules, timeouts and pausing, seen from outside, under a simulated clock.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::receiver::{Receiver, Reply, Script, Step};
use support::server::{START, TestServer, eventually};

use hookwright::domain::Timestamp;

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a time"));
    Timestamp::parse_rfc3339(text).unwrap()
}

/// What an endpoint of this contract needs to take this event.
fn endpoint(contract: &str, event: &str, url: &str) -> Value {
    let mut fields = json!({ "url": url, "name": "Test", "filterTypes": [event] });
    if contract == "kynectlocal" {
        fields["secret"] = json!("a-secret-of-the-customer");
    }
    fields
}

/// Publishes to a receiver that always fails, and follows the whole schedule: each wait, in
/// seconds, must be what the contract says, stretched by no more than `jitter`.
async fn follow_schedule(contract: &str, event: &str, waits: &[u64], jitter: f64) {
    let server = TestServer::start(&[contract]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application(contract, "tenant").await;
    let fields = endpoint(contract, event, receiver.url("/hook").as_str());
    server.endpoint(contract, "tenant", fields).await;
    let message = server.publish(contract, "tenant", event, "{}").await;

    for (index, &wait) in waits.iter().enumerate() {
        server.wait_for_attempts(contract, "tenant", &message, index + 1).await;
        let delivery = &server.deliveries(contract, "tenant", &message).await[0];
        assert_eq!(delivery["statusText"], "pending");
        assert_eq!(delivery["attempts"], index + 1);
        let due = time(&delivery["nextAttempt"]);
        let planned = due.since(server.clock.now());
        let (least, most) =
            (Duration::from_secs(wait), Duration::from_secs(wait).mul_f64(1.0 + jitter));
        assert!(planned >= least && planned <= most, "wait {index}: {planned:?}, not {wait} s");
        // A moment before it is due, nothing happens; the attempt's own time shows it below.
        server.clock.advance(planned - Duration::from_millis(1));
        server.clock.advance(Duration::from_millis(1));
        let attempts = server.wait_for_attempts(contract, "tenant", &message, index + 2).await;
        assert_eq!(time(&attempts[index + 1]["timestamp"]), due);
    }

    let delivery = server.wait_for_status(contract, "tenant", &message, "failed").await;
    assert_eq!(delivery["nextAttempt"], Value::Null);
    server.clock.advance(Duration::from_secs(40 * 3_600));
    let other = server.publish(contract, "tenant", event, "{}").await;
    server.wait_for_attempts(contract, "tenant", &other, 1).await;
    let attempts = server.attempts(contract, "tenant", &message).await;
    assert_eq!(attempts.len(), waits.len() + 1, "nothing follows the last retry");
}

const STANDARD_WAITS: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

#[tokio::test]
async fn standard_retries_seven_times_over_28_hours() {
    follow_schedule("standard", "invoice.paid", &STANDARD_WAITS, 0.25).await;
}

#[tokio::test]
async fn klink_retries_after_30_60_and_90_seconds() {
    follow_schedule("klink", "contact.created", &[30, 60, 90], 0.0).await;
}

#[tokio::test]
async fn kakiyo_retries_after_1_2_and_4_seconds() {
    // The fourth failure in a row pauses the webhook; the schedule is used up by then.
    let server = TestServer::start(&["kakiyo"]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application("kakiyo", "team").await;
    let fields = endpoint("kakiyo", "message.sent", receiver.url("/hook").as_str());
    let id = server.endpoint("kakiyo", "team", fields).await;
    let message = server.publish("kakiyo", "team", "message.sent", "{}").await;
    for (index, wait) in [1, 2, 4].into_iter().enumerate() {
        server.wait_for_attempts("kakiyo", "team", &message, index + 1).await;
        let delivery = &server.deliveries("kakiyo", "team", &message).await[0];
        let due = time(&delivery["nextAttempt"]);
        assert_eq!(due.since(server.clock.now()), Duration::from_secs(wait));
        server.clock.advance(Duration::from_secs(wait));
    }
    server.wait_for_status("kakiyo", "team", &message, "failed").await;
    let path = format!("/api/v1/app/team/endpoint/{id}");
    let shown = server.call("kakiyo", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["paused"], true);
    assert_eq!(shown["disabled"], true);
    assert_eq!(shown["pauseReason"], "4 failed attempts in a row");
}

#[tokio::test]
async fn kynectlocal_tomba_and_rechat_retry_like_the_standard() {
    follow_schedule("kynectlocal", "lead.created", &STANDARD_WAITS, 0.25).await;
    follow_schedule("tomba", "save_lead", &STANDARD_WAITS, 0.25).await;
    follow_schedule("rechat", "Deals", &STANDARD_WAITS, 0.25).await;
}

#[tokio::test]
async fn a_paused_endpoint_loses_nothing_and_gets_it_all_when_it_is_enabled() {
    let server = TestServer::start(&["kakiyo"]).await;
    let healthy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let receiver = Receiver::start(Script::by({
        let healthy = healthy.clone();
        move |_| match healthy.load(std::sync::atomic::Ordering::SeqCst) {
            true => Reply::status(200),
            false => Reply::status(503),
        }
    }))
    .await;
    server.application("kakiyo", "team").await;
    let fields = endpoint("kakiyo", "message.sent", receiver.url("/hook").as_str());
    let id = server.endpoint("kakiyo", "team", fields).await;
    let path = format!("/api/v1/app/team/endpoint/{id}");
    // Four messages, four failures in a row.
    for _ in 0..4 {
        let message = server.publish("kakiyo", "team", "message.sent", r#"{"n":0}"#).await;
        server.wait_for_attempts("kakiyo", "team", &message, 1).await;
    }
    eventually("the pause", async || {
        server.call("kakiyo", "GET", &path, Value::Null).await.expect(200)["paused"] == true
    })
    .await;
    // While it is paused nothing is sent, not even what is due, and nothing is lost.
    let mut waiting = Vec::new();
    for n in 1..=5 {
        let payload = format!(r#"{{"n":{n}}}"#);
        waiting.push(server.publish("kakiyo", "team", "message.sent", &payload).await);
    }
    server.clock.advance(Duration::from_secs(3_600));
    for message in &waiting {
        assert_eq!(server.deliveries("kakiyo", "team", message).await[0]["statusText"], "pending");
        assert!(server.attempts("kakiyo", "team", message).await.is_empty());
    }
    assert_eq!(receiver.requests().len(), 4);
    let line = &server.ledger().await[0];
    assert_eq!((line.accepted, line.pending), (9, 9));

    healthy.store(true, std::sync::atomic::Ordering::SeqCst);
    let shown =
        server.call("kakiyo", "PATCH", &path, json!({ "disabled": false })).await.expect(200);
    assert_eq!((&shown["paused"], &shown["disabled"]), (&json!(false), &json!(false)));
    for message in &waiting {
        server.wait_for_status("kakiyo", "team", message, "succeeded").await;
    }
    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
    assert_eq!(server.ledger().await[0].succeeded, 9);
}

#[tokio::test]
async fn more_than_fifty_failures_in_an_hour_pause_a_klink_webhook() {
    let server = TestServer::start(&["klink"]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application("klink", "w").await;
    let fields = endpoint("klink", "room.solved", receiver.url("/hook").as_str());
    let id = server.endpoint("klink", "w", fields).await;
    let path = format!("/api/v1/app/w/endpoint/{id}");
    for _ in 0..50 {
        let message = server.publish("klink", "w", "room.solved", "{}").await;
        server.wait_for_attempts("klink", "w", &message, 1).await;
    }
    let shown = server.call("klink", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["paused"], false, "fifty are still allowed");
    let message = server.publish("klink", "w", "room.solved", "{}").await;
    server.wait_for_attempts("klink", "w", &message, 1).await;
    let shown = server.call("klink", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["paused"], true);
    assert_eq!(shown["pauseReason"], "more than 50 failed attempts within 1 hour");
    assert_eq!(time(&shown["pausedAt"]), START);
}

#[tokio::test]
async fn a_receiver_that_hangs_times_out_after_the_contracts_time() {
    for (contract, event, seconds) in
        [("klink", "room.solved", 10), ("kakiyo", "message.sent", 30), ("standard", "any", 15)]
    {
        let server = TestServer::start(&[contract]).await;
        let receiver = Receiver::start(Reply::step(Step::Hang)).await;
        server.application(contract, "t").await;
        let mut fields = endpoint(contract, event, receiver.url("/hook").as_str());
        if contract == "standard" {
            fields["filterTypes"] = Value::Null;
        }
        server.endpoint(contract, "t", fields).await;
        let message = server.publish(contract, "t", event, "{}").await;
        receiver.wait_for(1).await;
        server.clock.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert!(server.attempts(contract, "t", &message).await.is_empty());
        server.clock.advance(Duration::from_millis(1));
        let attempts = server.wait_for_attempts(contract, "t", &message, 1).await;
        assert_eq!(attempts[0]["responseDurationMs"], seconds * 1_000);
        assert_eq!(attempts[0]["responseStatusCode"], 0);
        assert_eq!(attempts[0]["error"]["kind"], "timeout");
        assert_eq!(attempts[0]["error"]["phase"], "wait");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_by_the_standard_contract() {
    let server = TestServer::start(&["standard"]).await;
    let receiver = Receiver::start(Reply::status(503).header("retry-after", "120")).await;
    server.application("standard", "t").await;
    server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
    let message = server.publish("standard", "t", "any", "{}").await;
    let attempts = server.wait_for_attempts("standard", "t", &message, 1).await;
    assert_eq!(attempts[0]["responseStatusCode"], 503);
    let delivery = &server.deliveries("standard", "t", &message).await[0];
    assert_eq!(time(&delivery["nextAttempt"]).since(START), Duration::from_secs(120));
}

#[tokio::test]
async fn a_contract_that_does_not_know_retry_after_keeps_its_schedule() {
    for (contract, event, wait) in [("klink", "room.solved", 30), ("kakiyo", "message.sent", 1)] {
        let server = TestServer::start(&[contract]).await;
        let receiver = Receiver::start(Reply::status(503).header("retry-after", "120")).await;
        server.application(contract, "t").await;
        let fields = endpoint(contract, event, receiver.url("/").as_str());
        server.endpoint(contract, "t", fields).await;
        let message = server.publish(contract, "t", event, "{}").await;
        server.wait_for_attempts(contract, "t", &message, 1).await;
        let delivery = &server.deliveries(contract, "t", &message).await[0];
        assert_eq!(time(&delivery["nextAttempt"]).since(START), Duration::from_secs(wait));
    }
}

#[tokio::test]
async fn every_2xx_acknowledges_and_nothing_else_does() {
    for (contract, event) in [("standard", "any"), ("klink", "room.solved")] {
        for (status, expected) in [
            (200, "succeeded"),
            (204, "succeeded"),
            (299, "succeeded"),
            (300, "pending"),
            (304, "pending"),
            (400, "pending"),
            (404, "pending"),
            (500, "pending"),
        ] {
            let server = TestServer::start(&[contract]).await;
            let receiver = Receiver::start(Reply::status(status)).await;
            server.application(contract, "t").await;
            let fields = endpoint(contract, event, receiver.url("/").as_str());
            server.endpoint(contract, "t", fields).await;
            let message = server.publish(contract, "t", event, "{}").await;
            server.wait_for_attempts(contract, "t", &message, 1).await;
            let delivery = &server.deliveries(contract, "t", &message).await[0];
            assert_eq!(delivery["statusText"], expected, "{contract}: {status}");
        }
    }
}

#[tokio::test]
async fn jitter_spreads_the_retries_of_one_moment() {
    let server = TestServer::start(&["standard"]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application("standard", "t").await;
    server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
    let mut waits = Vec::new();
    for _ in 0..20 {
        let message = server.publish("standard", "t", "any", "{}").await;
        server.wait_for_attempts("standard", "t", &message, 1).await;
        let delivery = &server.deliveries("standard", "t", &message).await[0];
        waits.push(time(&delivery["nextAttempt"]).since(START));
    }
    waits.sort_unstable();
    let (first, last) = (waits[0], waits[19]);
    assert!(first >= Duration::from_secs(5) && last <= Duration::from_millis(5_500), "{waits:?}");
    // That twenty even draws lie within a tenth of the range happens once in 10^17 runs.
    assert!(last - first > Duration::from_millis(50), "{waits:?}");
}

#[tokio::test]
async fn where_410_has_no_meaning_it_is_a_failure_like_any_other() {
    let server = TestServer::start(&["klink"]).await;
    let receiver = Receiver::start(Reply::status(410)).await;
    server.application("klink", "w").await;
    let fields = endpoint("klink", "room.solved", receiver.url("/").as_str());
    let id = server.endpoint("klink", "w", fields).await;
    let message = server.publish("klink", "w", "room.solved", "{}").await;
    server.wait_for_attempts("klink", "w", &message, 1).await;
    assert_eq!(server.deliveries("klink", "w", &message).await[0]["statusText"], "pending");
    let path = format!("/api/v1/app/w/endpoint/{id}");
    let shown = server.call("klink", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["disabled"], false);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled() {
    let server = TestServer::start(&["standard"]).await;
    let receiver = Receiver::start(Reply::status(410)).await;
    server.application("standard", "t").await;
    let id = server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
    let message = server.publish("standard", "t", "any", "{}").await;
    server.wait_for_status("standard", "t", &message, "failed").await;
    let path = format!("/api/v1/app/t/endpoint/{id}");
    let shown = server.call("standard", "GET", &path, Value::Null).await.expect(200);
    assert_eq!((&shown["disabled"], &shown["paused"]), (&json!(true), &json!(false)));
    assert!(shown["disabledReason"].as_str().unwrap().contains("410"));
}

#[tokio::test]
async fn an_endpoint_that_failed_for_five_days_is_disabled_until_somebody_enables_it() {
    let server = TestServer::start(&["standard"]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application("standard", "t").await;
    let id = server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
    let path = format!("/api/v1/app/t/endpoint/{id}");
    for day in 0..5 {
        let message = server.publish("standard", "t", "any", "{}").await;
        server.wait_for_attempts("standard", "t", &message, 1).await;
        let shown = server.call("standard", "GET", &path, Value::Null).await.expect(200);
        assert_eq!(shown["disabled"], false, "day {day}");
        server.clock.advance(Duration::from_secs(86_400));
    }
    // Now the retries of those messages are due, and the first to fail is one too many.
    let mut shown = Value::Null;
    eventually("the pause", async || {
        shown = server.call("standard", "GET", &path, Value::Null).await.expect(200);
        shown["disabled"] == true
    })
    .await;
    assert_eq!(shown["pauseReason"], "every attempt failed for 5 days");
    let enabled = server.call("standard", "PATCH", &path, json!({ "disabled": false })).await;
    assert_eq!(enabled.expect(200)["disabled"], false);
}

#[tokio::test]
async fn redirects_are_failures_and_are_not_followed() {
    let server = TestServer::start(&["standard"]).await;
    let target = Receiver::start(Reply::status(200)).await;
    let location = target.url("/elsewhere").to_string();
    let receiver = Receiver::start(Reply::status(307).header("location", &location)).await;
    server.application("standard", "t").await;
    server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
    let message = server.publish("standard", "t", "any", "{}").await;
    let attempts = server.wait_for_attempts("standard", "t", &message, 1).await;
    assert_eq!(attempts[0]["responseStatusCode"], 307);
    assert_eq!(attempts[0]["statusText"], "fail");
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_restart_forgets_neither_retries_nor_what_is_waiting() {
    let mut server = TestServer::start(&["klink"]).await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    server.application("klink", "w").await;
    let fields = endpoint("klink", "room.solved", receiver.url("/hook").as_str());
    server.endpoint("klink", "w", fields).await;
    let message = server.publish("klink", "w", "room.solved", "{}").await;
    server.wait_for_attempts("klink", "w", &message, 1).await;
    server.restart().await;
    server.clock.advance(Duration::from_secs(29));
    assert_eq!(server.attempts("klink", "w", &message).await.len(), 1);
    server.clock.advance(Duration::from_secs(1));
    server.wait_for_status("klink", "w", &message, "succeeded").await;
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn a_resend_starts_at_once_with_a_schedule_of_its_own() {
    let server = TestServer::start(&["klink"]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    server.application("klink", "w").await;
    let fields = endpoint("klink", "room.solved", receiver.url("/hook").as_str());
    let id = server.endpoint("klink", "w", fields).await;
    let message = server.publish("klink", "w", "room.solved", "{}").await;
    for (index, wait) in [30, 60, 90].into_iter().enumerate() {
        server.wait_for_attempts("klink", "w", &message, index + 1).await;
        server.clock.advance(Duration::from_secs(wait));
    }
    server.wait_for_status("klink", "w", &message, "failed").await;
    server.clock.advance(Duration::from_secs(1));
    let path = format!("/api/v1/app/w/msg/{message}/endpoint/{id}/resend");
    server.call("klink", "POST", &path, Value::Null).await.expect(202);
    let attempts = server.wait_for_attempts("klink", "w", &message, 5).await;
    assert_eq!(attempts[4]["triggerType"], 1);
    assert_eq!(attempts[4]["number"], 5);
    let delivery = server.wait_for_status("klink", "w", &message, "pending").await;
    assert_eq!(time(&delivery["nextAttempt"]).since(server.clock.now()), Duration::from_secs(30));
    server.ledger().await;
}
