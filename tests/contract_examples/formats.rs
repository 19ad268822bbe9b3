//! What other companies' documentation asks for, each in a contract of a few lines, verified in
//! another language.

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::speaking_text;
use super::support::programs::{node, python};
use super::support::receiver::{Receiver, Reply};
use super::support::server::TestServer;
use super::support::tenant::{Delivered, Tenant};

const PAYLOAD: &str = r#"{"id":"p1","amount":{"value":1000,"currency":"EUR"},"ref":"a:b\\c"}"#;

/// A delivery by a contract, and the secret that its customer knows.
async fn deliver(contract: &str) -> (Delivered, String) {
    let contract = format!("name = \"acme\"\n{contract}");
    let server = speaking_text(&contract).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t1").await;
    let id = tenant.endpoint(json!({ "url": receiver.url("/hook?b=2&a=%20").as_str() })).await;
    let shown = tenant.reveal(&id).await;
    let secret = shown.json["key"].as_str().unwrap_or_default().to_owned();
    (tenant.deliver(&receiver, "order.paid", PAYLOAD).await, secret)
}

fn given(delivered: &Delivered, secret: &str) -> Value {
    let headers: Value = delivered
        .request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "method": delivered.request.method,
        "target": delivered.request.target,
        "headers": headers,
        "body": delivered.body(),
        "secret": secret,
    })
}

const TEXT_SECRET: &str = "[secret]\nencoding = \"alphanumeric\"\nreveal = true\n";

#[tokio::test]
async fn a_token_is_the_secret_in_a_header() {
    let (delivered, secret) = deliver(&format!(
        "[[signature]]\nheader = \"Authorization\"\nalgorithm = \"token\"\nformat = \"Bearer {{{{ signature }}}}\"\n{TEXT_SECRET}"
    ))
    .await;
    assert_eq!(secret.len(), 32);
    assert_eq!(delivered.header("Authorization"), format!("Bearer {secret}"));
}

#[tokio::test]
async fn digests_take_the_secret_into_their_content() {
    let (delivered, secret) = deliver(&format!(
        "[[signature]]\nheader = \"X-Old\"\nalgorithm = \"md5\"\nencoding = \"hex-upper\"\ncontent = '{{{{ secret }}}}{{{{ body }}}}'\n\
         [[signature]]\nheader = \"X-New\"\nalgorithm = \"sha512\"\nencoding = \"base64url-unpadded\"\ncontent = '{{{{ body|pairs(\"=\", \"&\") }}}}&key={{{{ secret }}}}'\n{TEXT_SECRET}"
    ))
    .await;
    let made = python(
        "import base64, urllib.parse\n\
         old = hashlib.md5((given['secret'] + given['body']).encode()).hexdigest().upper()\n\
         pairs = '&'.join(k + '=' + v for k, v in sorted(urllib.parse.parse_qsl(given['body'], keep_blank_values=True)))\n\
         new = hashlib.sha512((pairs + '&key=' + given['secret']).encode()).digest()\n\
         answer([old, base64.urlsafe_b64encode(new).decode().rstrip('=')])",
        &given(&delivered, &secret),
    );
    assert_eq!(made, json!([delivered.header("X-Old"), delivered.header("X-New")]));
}

#[tokio::test]
async fn method_address_body_and_time_are_signed_as_one() {
    let (delivered, secret) = deliver(&format!(
        "[delivery.headers]\nX-Request-Timestamp = '{{{{ timestamp|unix_ms }}}}'\nDigest = 'SHA-256={{{{ body|sha256|base64 }}}}'\nDate = '{{{{ timestamp|http_date }}}}'\nX-Date = '{{{{ timestamp|date(\"%Y%m%dT%H%M%SZ\") }}}}'\n\
         [[signature]]\nheader = \"X-Signature-V3\"\nalgorithm = \"hmac-sha384\"\nencoding = \"base64\"\ncontent = '{{{{ method }}}}{{{{ full_url }}}}{{{{ body }}}}{{{{ timestamp|unix_ms }}}}'\n\
         [[signature]]\nheader = \"X-Target\"\nalgorithm = \"hmac-md5\"\ncontent = '(request-target): {{{{ method|lower }}}} {{{{ path }}}}?{{{{ query }}}} host: {{{{ host }}}}'\n{TEXT_SECRET}"
    ))
    .await;
    let made = node(
        "const { method, target, headers, body, secret } = given;\n\
         const sign = (hash, text, form) => crypto.createHmac(hash, secret).update(text).digest(form);\n\
         answer([\n\
           sign('sha384', method + 'http://' + headers.host + target + body + headers['x-request-timestamp'], 'base64'),\n\
           sign('md5', `(request-target): ${method.toLowerCase()} ${target} host: ${headers.host}`, 'hex'),\n\
           'SHA-256=' + crypto.createHash('sha256').update(body).digest('base64'),\n\
           new Date(Number(headers['x-request-timestamp'])).toUTCString(),\n\
         ]);",
        &given(&delivered, &secret),
    );
    let sent = ["X-Signature-V3", "X-Target", "Digest", "Date"].map(|name| delivered.header(name));
    assert_eq!(made, json!(sent));
    assert_eq!(delivered.header("X-Date"), "20250115T143200Z");
}

#[tokio::test]
async fn a_signature_travels_in_the_query() {
    let (delivered, secret) = deliver(&format!(
        "[delivery.query]\nsig = '{{{{ signature.sig }}}}'\nts = '{{{{ timestamp|unix }}}}'\nempty = ''\n\
         [[signature]]\nname = \"sig\"\nalgorithm = \"hmac-sha256\"\nencoding = \"base64\"\ncontent = '{{{{ timestamp|unix }}}}{{{{ body }}}}'\n{TEXT_SECRET}"
    ))
    .await;
    let made = python(
        "import base64, urllib.parse\n\
         query = urllib.parse.parse_qs(given['target'].partition('?')[2], keep_blank_values=True)\n\
         code = hmac.new(given['secret'].encode(), (query['ts'][0] + given['body']).encode(), hashlib.sha256).digest()\n\
         answer([query['sig'][0] == base64.b64encode(code).decode(), sorted(query)])",
        &given(&delivered, &secret),
    );
    assert_eq!(made, json!([true, ["a", "b", "sig", "ts"]]));
    assert!(delivered.request.target.starts_with("/hook?b=2&a=%20&sig="));
}

#[tokio::test]
async fn fields_are_joined_escaped_and_signed_within_the_body() {
    // As a payment provider does it: fields joined by colons, the key given in hex.
    let (delivered, secret) = deliver(
        "[delivery]\nbody = '{\"live\":\"false\",\"items\":[{{ payload|with(\"additionalData\", none) }}],\"hmac\":{{ signature.hmac }}}'\n\
         [[signature]]\nname = \"hmac\"\nalgorithm = \"hmac-sha256\"\nencoding = \"base64\"\n\
         content = '{{ payload|member(\"id\")|text }}:{{ payload|member(\"ref\")|text|replace(\"\\\", \"\\\\\\\")|replace(\":\", \"\\\\:\") }}:{{ payload|member(\"amount\", \"value\") }}:{{ payload|member(\"amount\", \"currency\")|text }}'\n\
         [secret]\nencoding = \"hex\"\nreveal = true\n"
            .replace("\"\\\", \"\\\\\\\"", "\"\\\\\", \"\\\\\\\\\"")
            .as_str(),
    )
    .await;
    let made = python(
        "import base64\n\
         body = json.loads(given['body'])\n\
         item = body['items'][0]\n\
         escape = lambda text: text.replace('\\\\', '\\\\\\\\').replace(':', '\\\\:')\n\
         parts = [item['id'], item['ref'], str(item['amount']['value']), item['amount']['currency']]\n\
         code = hmac.new(bytes.fromhex(given['secret']), ':'.join(map(escape, parts)).encode(), hashlib.sha256).digest()\n\
         answer([base64.b64encode(code).decode(), body['hmac']])",
        &given(&delivered, &secret),
    );
    assert_eq!(made[0], made[1], "{}", delivered.body());
}

#[tokio::test]
async fn a_json_web_token_over_the_body_is_put_together_from_its_parts() {
    let claims = "{% set claims %}{\"iat\":{{ timestamp|unix }},\"sub\":{{ application.uid|json }},\"hash\":{{ body|sha256|hex|json }}}{% endset %}\
        {{ '{\"alg\":\"HS256\",\"typ\":\"JWT\"}'|base64url }}.{{ claims|base64url }}";
    let (delivered, secret) = deliver(&format!(
        "[delivery.headers]\nAuthorization = \"\"\"Bearer {quoted}.{{{{ signature.jwt }}}}\"\"\"\n\
         [[signature]]\nname = \"jwt\"\nalgorithm = \"hmac-sha256\"\nencoding = \"base64url-unpadded\"\ncontent = \"\"\"{quoted}\"\"\"\n{TEXT_SECRET}",
        quoted = claims.replace('"', "\\\""),
    ))
    .await;
    let made = node(
        "const [head, claims, signature] = given.headers.authorization.split(' ')[1].split('.');\n\
         const code = crypto.createHmac('sha256', given.secret).update(`${head}.${claims}`).digest('base64url');\n\
         const read = JSON.parse(Buffer.from(claims, 'base64url'));\n\
         answer([code === signature, JSON.parse(Buffer.from(head, 'base64url')).alg, read.sub, read.hash === crypto.createHash('sha256').update(given.body).digest('hex')]);",
        &given(&delivered, &secret),
    );
    assert_eq!(made, json!([true, "HS256", "t1", true]));
}

#[tokio::test]
async fn two_headers_hold_the_signatures_of_two_keys() {
    let contract = format!(
        "name = \"acme\"\n[[signature]]\nheader = \"X-Signature-Primary\"\nalgorithm = \"hmac-sha256\"\nsecret = \"current\"\n\
         [[signature]]\nheader = \"X-Signature-Secondary\"\nalgorithm = \"hmac-sha256\"\nsecret = \"previous\"\n{TEXT_SECRET}overlap = \"1h\"\n"
    );
    let server = speaking_text(&contract).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t1").await;
    let id = tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let old = tenant.secret(&id).await;
    let alone = tenant.deliver(&receiver, "a", "1").await;
    assert_eq!(alone.request.header("X-Signature-Secondary"), None);
    tenant.rotate(&id, None).await.expect(200);
    let both = tenant.deliver(&receiver, "a", "1").await;
    let new = tenant.secret(&id).await;
    let sign = |key: &str| super::support::programs::hmac_sha256_hex(key, [&b"1"[..]]).remove(0);
    assert_eq!(both.header("X-Signature-Primary"), sign(&new));
    assert_eq!(both.header("X-Signature-Secondary"), sign(&old));
}

#[tokio::test]
async fn a_contract_with_nothing_but_key_pairs_gives_every_endpoint_one() {
    let (delivered, public) = deliver(
        "[delivery.headers]\nX-Timestamp = '{{ timestamp|unix }}'\n\
         [[signature]]\nheader = \"X-Signature-Ed25519\"\nalgorithm = \"ed25519\"\ncontent = '{{ timestamp|unix }}{{ body }}'\n\
         [secret.ed25519]\nprivate_prefix = \"\"\npublic_prefix = \"\"\nencoding = \"hex\"\n",
    )
    .await;
    // The contract doesn't reveal secrets; a public key is none.
    assert_eq!(public.len(), 64);
    assert!(ed25519_verifies(
        &format!("{}{}", delivered.header("X-Timestamp"), delivered.body()),
        &hex::decode(delivered.header("X-Signature-Ed25519")).unwrap(),
        &hex::decode(&public).unwrap(),
    ));
}

/// Whether OpenSSL, by way of Node, finds the signature good.
pub(super) fn ed25519_verifies(content: &str, signature: &[u8], public: &[u8]) -> bool {
    let verdict = node(
        "const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(given.key, 'hex')]);\n\
         const key = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });\n\
         answer(crypto.verify(null, Buffer.from(given.content), key, Buffer.from(given.signature, 'hex')));",
        &json!({
            "content": content,
            "signature": hex::encode(signature),
            "key": hex::encode(public),
        }),
    );
    verdict.as_bool().unwrap()
}

#[tokio::test]
async fn metadata_of_an_application_is_a_constant_of_its_own() {
    let contract = "name = \"acme\"\n[delivery]\nbody = '{\"account\":{{ application.metadata.account|default(application.uid) }}}'\n";
    let server: TestServer = speaking_text(contract).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t1").await;
    tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    assert_eq!(tenant.deliver(&receiver, "a", "1").await.body(), r#"{"account":"t1"}"#);
    tenant.ask("PATCH", "", json!({ "metadata": { "account": "A\"1" } })).await.expect(200);
    assert_eq!(tenant.deliver(&receiver, "a", "1").await.body(), r#"{"account":"A\"1"}"#);
}
