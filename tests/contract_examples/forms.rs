//! Bodies that are no JSON: the Twilio style, forms, XML; and a signature inside the body.

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::{speaking, speaking_text};
use super::support::programs::{node, python};
use super::support::receiver::{Receiver, Reply};
use super::support::tenant::Tenant;

#[tokio::test]
async fn the_twilio_style_signs_the_url_and_the_sorted_parameters() {
    let server = speaking("examples/contracts/twilio.toml").await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let account = Tenant::new(&server, ACME, "AC123").await;
    let url = receiver.url("/sms?foo=1&bar=a%20b");
    let id =
        account.endpoint(json!({ "url": url.as_str(), "filterTypes": ["message.received"] })).await;
    let payload =
        r#"{"To":"+1415 & more","Body":"Zoë=ö","Media":[{"Url":"u1"}],"AddOns":null,"From":"+49"}"#;
    let delivered = account.deliver(&receiver, "message.received", payload).await;
    assert_eq!(delivered.header("Content-Type"), "application/x-www-form-urlencoded");
    // The steps of Twilio's page on security, with Python's own parser of forms.
    let verdict = python(
        "import base64, urllib.parse\n\
         parameters = dict(urllib.parse.parse_qsl(given['body'], keep_blank_values=True, strict_parsing=True))\n\
         content = given['url'] + ''.join(name + parameters[name] for name in sorted(parameters))\n\
         code = hmac.new(given['token'].encode(), content.encode(), hashlib.sha1).digest()\n\
         answer([base64.b64encode(code).decode(), parameters])",
        &json!({ "body": delivered.body(), "url": url.as_str(), "token": account.secret(&id).await }),
    );
    assert_eq!(verdict[0], delivered.header("X-Acme-Signature"));
    assert_eq!(verdict[1]["To"], "+1415 & more");
    assert_eq!(verdict[1]["Body"], "Zoë=ö");
    assert_eq!(verdict[1]["Media[0][Url]"], "u1");
    assert_eq!(verdict[1]["AddOns"], "");
    assert_eq!(verdict[1]["MessageSid"], delivered.id());
}

#[tokio::test]
async fn the_mailgun_style_signs_within_the_body() {
    let server = speaking("examples/contracts/mailgun.toml").await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let account = Tenant::new(&server, ACME, "mg").await;
    let url = receiver.url("/hook");
    let id = account.endpoint(json!({ "url": url.as_str(), "filterTypes": ["delivered"] })).await;
    let key = account.secret(&id).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let delivered = account.deliver(&receiver, "delivered", r#"{"id":"1","size":1.10}"#).await;
        let verdict = python(
            "body = json.loads(given['body'])\n\
             signature = body['signature']\n\
             code = hmac.new(key=given['key'].encode(), msg=(signature['timestamp'] + signature['token']).encode(), digestmod=hashlib.sha256).hexdigest()\n\
             answer([hmac.compare_digest(signature['signature'], code), signature['token'], body['event-data']])",
            &json!({ "body": delivered.body(), "key": key }),
        );
        assert_eq!(verdict[0], true, "{}", delivered.body());
        assert_eq!(verdict[2], json!({ "id": "1", "size": 1.10, "event": "delivered" }));
        assert!(delivered.body().contains(r#"{"id":"1","size":1.10,"event":"delivered"}"#));
        tokens.push(verdict[1].as_str().unwrap().to_owned());
    }
    assert!(tokens[0].len() == 50 && tokens[0] != tokens[1], "{tokens:?}");
}

#[tokio::test]
async fn json_can_travel_in_a_form() {
    let contract = "name = \"acme\"\n[delivery]\ncontent_type = \"application/x-www-form-urlencoded\"\n\
        body = 'payload={{ payload }}&kind={{ application.name }}&more={% filter urlencode %}{% autoescape \"json\" %}{\"name\":{{ application.name }}}{% endautoescape %}{% endfilter %}'\n\
        [[signature]]\nheader = \"X-Sig\"\nalgorithm = \"hmac-sha256\"\n[secret]\nreveal = true\nencoding = \"alphanumeric\"\n";
    let server = speaking_text(contract).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    let id = tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let payload = r#"{"a": "x&y=z+ é%", "n":1.10}"#;
    let delivered = tenant.deliver(&receiver, "a.b", payload).await;
    let read = node(
        "const form = new URLSearchParams(given.body);\n\
         const code = crypto.createHmac('sha256', given.secret).update(given.body).digest('hex');\n\
         answer([form.get('payload'), form.get('kind'), JSON.parse(form.get('more')), code]);",
        &json!({ "body": delivered.body(), "secret": tenant.secret(&id).await }),
    );
    assert_eq!(
        read,
        json!([payload, "A tenant", { "name": "A tenant" }, delivered.header("X-Sig")])
    );
}

#[tokio::test]
async fn xml_is_escaped_and_lists_are_walked_through() {
    let contract = "name = \"acme\"\n[delivery]\ncontent_type = \"text/xml; charset=utf-8\"\n\
        body = '<event type=\"{{ payload|member(\"kind\")|text }}\"><to>{{ payload|member(\"user\", \"name\")|text }}</to>{% for item in payload|member(\"items\")|elements %}<item>{{ item|text }}</item>{% endfor %}<raw>{{ payload }}</raw></event>'\n";
    let server = speaking_text(contract).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let payload =
        r#"{"kind":"it's <new>","user":{"name":"<Zoë> & \"co\""},"items":["a<b",1.10,null]}"#;
    let delivered = tenant.deliver(&receiver, "new", payload).await;
    let read = python(
        "import xml.etree.ElementTree as ElementTree\n\
         event = ElementTree.fromstring(given.encode())\n\
         answer([event.get('type'), event.find('to').text, [one.text for one in event.findall('item')], event.find('raw').text])",
        &json!(delivered.body()),
    );
    assert_eq!(
        read,
        json!(["it's <new>", "<Zoë> & \"co\"", ["a<b", "1.10", Value::Null], payload])
    );
}
