//! What goes over the wire, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{EVENT, attempts, form, publish, server, succeeded, workspace};
use super::support::programs::{HttpProgram, python};
use super::support::websocket_receiver::{Action, Frame, WebsocketReceiver};

/// What a receiver computes from a frame that came to `given['url']`.
const SIGNATURE: &str = r#"
import urllib.parse
url, _, query = given['url'].partition('?')
values = {}
for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
    values.setdefault(key, []).append(value)
pair = lambda key, all: key + '=' + (all[0] if len(all) == 1 else '[' + ' '.join(sorted(all)) + ']')
normalized_query = '&'.join(pair(key, values[key]) for key in sorted(values))
frame = json.loads(given['frame'])
body = json.dumps(frame['body'], sort_keys=True, ensure_ascii=False, separators=(',', ':'))
content = 'WEBSOCKET' + url + normalized_query + body
computed = hmac.new(given['secret'].encode(), content.encode(), hashlib.sha256).hexdigest()
answer({'computed': computed, 'came': frame['headers']['X-Signature'], 'keys': list(frame)})
"#;

fn assert_signed(secret: &str, url: &str, frame: &Frame) {
    let given = json!({ "secret": secret, "url": url, "frame": frame.text });
    let checked = python(SIGNATURE, &given);
    assert_eq!(checked["computed"], checked["came"], "{}", frame.text);
    assert_eq!(checked["keys"], json!(["id", "headers", "body"]));
}

#[tokio::test]
async fn a_delivery_is_a_signed_frame_and_an_acknowledgement_ends_it() {
    let server = server().await;
    let receiver = WebsocketReceiver::answering(202).await;
    let workspace = workspace(&server).await;
    let url = receiver.url("/live/events?b=2&a=z&tag=y&tag=x%20y");
    let id = workspace.endpoint(form(&url)).await;
    let payload = r#"{ "z" : 1, "name" : "Ayu \"é\" 😀" }"#;
    let asked = workspace.ask_to_publish(EVENT, r#""eventId":"crm-17","#, payload).await;
    let message = asked.expect(202)["id"].as_str().unwrap().to_owned();
    succeeded(&server, &message).await;

    let frame = &receiver.frames()[0];
    assert_eq!(frame.id(), "crm-17");
    assert_eq!(frame.json["body"]["id"], "crm-17");
    assert_eq!(frame.json["body"]["event"], EVENT);
    assert_eq!(frame.json["body"]["data"], json!({ "name": "Ayu \"é\" 😀", "z": 1 }));
    assert_eq!(frame.json["headers"]["Content-Type"], "application/json");
    assert_signed(&workspace.secret(&id).await, &url, frame);

    let attempt = &attempts(&server, &message, 1).await[0];
    assert_eq!(attempt["responseStatusCode"], 202);
    assert_eq!(attempt["response"], r#"{"id":"crm-17","status":202}"#);
    assert_eq!(attempt["statusText"], "success");
    assert_eq!(attempt["url"], url);
    assert_eq!(attempt["error"], Value::Null);
}

#[tokio::test]
async fn a_receiver_written_without_any_of_our_libraries() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let program = HttpProgram::node(
        r#"
        function respond() { return 404; }
        const sha1 = (text) => crypto.createHash('sha1').update(text).digest('base64');
        setImmediate(() => server.on('upgrade', (request, socket) => {
          const key = request.headers['sec-websocket-key'];
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
            + 'Connection: Upgrade\r\nSec-WebSocket-Accept: '
            + sha1(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') + '\r\n\r\n');
          let buffered = Buffer.alloc(0);
          socket.on('data', (part) => {
            buffered = Buffer.concat([buffered, part]);
            while (buffered.length >= 8) {
              const long = (buffered[1] & 127) === 126;
              const length = long ? buffered.readUInt16BE(2) : buffered[1] & 127;
              const start = long ? 8 : 6;
              if (buffered.length < start + length) return;
              const mask = buffered.subarray(start - 4, start);
              const content = buffered.subarray(start, start + length).map((byte, i) => byte ^ mask[i % 4]);
              const opcode = buffered[0] & 15;
              buffered = buffered.subarray(start + length);
              if (opcode !== 1) continue;
              const frame = JSON.parse(content.toString('utf8'));
              const body = JSON.stringify(frame.body);
              const signed = 'WEBSOCKETws://' + request.headers.host + request.url + body;
              const signature = crypto.createHmac('sha256', frame.body.data.secret).update(signed).digest('hex');
              const status = signature === frame.headers['X-Signature'] ? 200 : 401;
              const answer = Buffer.from(JSON.stringify({ id: frame.id, status }));
              socket.write(Buffer.concat([Buffer.from([0x81, answer.length]), answer]));
            }
          });
        }));
        "#,
    );
    let url = program.url("/live").replace("http://", "ws://");
    let id = workspace.endpoint(form(&url)).await;
    let secret = workspace.secret(&id).await;
    for key in [secret.as_str(), "another"] {
        let message = publish(&server, &json!({ "secret": key }).to_string()).await;
        let attempt = &attempts(&server, &message, 1).await[0];
        let expected = if key == secret { 200 } else { 401 };
        assert_eq!(attempt["responseStatusCode"], expected, "{attempt}");
    }
}

#[tokio::test]
async fn another_status_is_a_failed_attempt_that_is_retried_on_schedule() {
    let server = server().await;
    let receiver = WebsocketReceiver::answering(503).await;
    let workspace = workspace(&server).await;
    workspace.endpoint(form(&receiver.url("/"))).await;
    let message = publish(&server, "{}").await;
    for (count, wait) in [(1, 30), (2, 60), (3, 90)] {
        let all = attempts(&server, &message, count).await;
        assert_eq!(all[count - 1]["responseStatusCode"], 503);
        server.clock.advance(Duration::from_secs(wait));
        receiver.wait_for(count + 1).await;
    }
    server.wait_for_status("klink", "workspace-1", &message, "failed").await;
    let frames = receiver.frames();
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame.text == frames[0].text));
    // No event goes over one connection twice.
    let connections: Vec<usize> = frames.iter().map(|frame| frame.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3]);
}

#[tokio::test]
async fn an_event_without_an_acknowledgement_times_out_and_a_late_one_counts_for_nothing() {
    let server = server().await;
    let receiver = WebsocketReceiver::silent().await;
    let workspace = workspace(&server).await;
    workspace.endpoint(form(&receiver.url("/"))).await;
    let message = publish(&server, "{}").await;
    // Another event keeps the first connection open.
    let first = receiver.wait_for(1).await[0].clone();
    server.clock.advance(Duration::from_secs(10));
    let attempt = &attempts(&server, &message, 1).await[0];
    assert_eq!(attempt["error"]["kind"], "timeout");
    assert_eq!(attempt["error"]["phase"], "wait");
    assert_eq!(
        attempt["error"]["causes"],
        json!(["The receiver didn't acknowledge the event within 10s."])
    );
    assert_eq!(attempt["responseStatusCode"], 0);

    server.clock.advance(Duration::from_secs(30));
    let second = receiver.wait_for(2).await[1].clone();
    assert_eq!(second.text, first.text);
    assert_ne!(second.connection, first.connection);
    receiver.acknowledge(&first, 200);
    receiver.acknowledge(&second, 500);
    let attempts = attempts(&server, &message, 2).await;
    assert_eq!(attempts[1]["responseStatusCode"], 500);
}

#[tokio::test]
async fn a_connection_that_drops_takes_what_is_in_flight_with_it_and_no_more() {
    let server = server().await;
    let receiver = WebsocketReceiver::silent().await;
    let workspace = workspace(&server).await;
    workspace.endpoint(form(&receiver.url("/"))).await;
    let before = publish(&server, r#"{"n":0}"#).await;
    receiver.acknowledge(&receiver.wait_for(1).await[0], 200);
    succeeded(&server, &before).await;

    let (one, two) = (publish(&server, "{}").await, publish(&server, "{}").await);
    receiver.wait_for(3).await;
    receiver.act(0, Action::Drop);
    for message in [&one, &two] {
        let attempt = &attempts(&server, message, 1).await[0];
        assert_eq!(attempt["error"]["kind"], "reset", "{attempt}");
        let causes = attempt["error"]["causes"].as_array().unwrap();
        assert_eq!(
            causes[0],
            "The receiver closed the connection before it acknowledged the event."
        );
        assert!(causes.len() > 1);
    }
    server.clock.advance(Duration::from_secs(30));
    let frames = receiver.wait_for(5).await;
    let mut ids: Vec<String> = frames[3..].iter().map(Frame::id).collect();
    ids.sort();
    let mut expected = vec![one.clone(), two.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    for frame in &frames[3..] {
        assert_eq!(frame.connection, 1);
        receiver.acknowledge(frame, 200);
    }
    succeeded(&server, &one).await;
    succeeded(&server, &two).await;
}

#[tokio::test]
async fn acknowledgements_may_come_in_any_order() {
    let server = server().await;
    let receiver = WebsocketReceiver::silent().await;
    let workspace = workspace(&server).await;
    workspace.endpoint(form(&receiver.url("/"))).await;
    let one = publish(&server, r#"{"n":1}"#).await;
    receiver.wait_for(1).await;
    let two = publish(&server, r#"{"n":2}"#).await;
    let frames = receiver.wait_for(2).await;
    assert_eq!(frames[0].connection, frames[1].connection);
    receiver.acknowledge(&frames[1], 204);
    succeeded(&server, &two).await;
    assert_eq!(attempts(&server, &two, 1).await[0]["responseStatusCode"], 204);
    assert!(server.attempts("klink", "workspace-1", &one).await.is_empty());
    receiver.acknowledge(&frames[0], 418);
    assert_eq!(attempts(&server, &one, 1).await[0]["responseStatusCode"], 418);
}
