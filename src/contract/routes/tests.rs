use http::Method;

use super::{CustomerRequest, Matched, Operation};
use crate::contract::Contract;
use crate::domain::ErrorCode;

const BASE: &str = "name = \"acme\"\n";

fn problems(text: &str) -> Vec<String> {
    let found = Contract::load("acme.toml", &format!("{BASE}{text}")).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_problem(text: &str, line: usize, parts: &[&str]) {
    let found = problems(text);
    let start = format!("acme.toml:{line}: ");
    let named = found
        .iter()
        .any(|one| one.starts_with(&start) && parts.iter().all(|part| one.contains(part)));
    assert!(named, "no problem on line {line} with {parts:?} in {found:#?}");
}

fn route(lines: &str) -> String {
    format!("[[routes]]\nmethod = \"POST\"\npath = \"/v1/hooks/{{id}}\"\n{lines}\n")
}

#[test]
fn what_a_route_lacks_is_said() {
    assert_problem("[[routes]]\npath = \"/x\"\n", 2, &["no `method`"]);
    assert_problem("[[routes]]\nmethod = \"GET\"\n", 2, &["no `path`"]);
    assert_problem("[[routes]]\nmethod = \"GET\"\npath = \"/x\"\n", 2, &["no `operation`"]);
    assert_problem(&route("operation = \"endpoint.create\""), 2, &["needs a `request`", "`url`"]);
}

#[test]
fn unknown_words_are_answered_with_the_nearest() {
    assert_problem(
        &route("operation = \"endpoint.creat\""),
        5,
        &["did you mean `endpoint.create`"],
    );
    assert_problem(
        &route("operation = \"endpoint.get\"\nrespons = '{}'"),
        6,
        &["did you mean `response`"],
    );
    assert_problem(
        "[errors.codes]\nnotfound = { code = \"x\" }\n",
        3,
        &["did you mean `not_found`"],
    );
    assert_problem("[errors.codes]\nnot_found = { status = 200 }\n", 3, &["400 to 599"]);
    assert_problem("[keys]\ncharacters = 4\n", 3, &["22 to 256", "128 bits"]);
    assert_problem("[keys]\nheader = \"a b\"\n", 3, &["isn't a valid header name"]);
    assert_problem("[keys]\nprefix = \"a\\n\"\n", 3, &["can't be sent"]);
    assert_problem("[ids]\nendpoint = \"a/b\"\n", 3, &["can't begin an id"]);
    assert_problem("[errors.codes]\nnot_found = { status = 799 }\n", 3, &["400 to 599"]);
    assert_problem("[signature]\nheader = \"x\"\n", 2, &["[[signature]]"]);
}

#[test]
fn a_request_must_make_the_operations_input() {
    let with = |request: &str| {
        route(&format!("operation = \"endpoint.update\"\nrequest = '''\n{request}'''"))
    };
    assert_problem(
        &with("{\"filterTipes\": {{ body.events }}}"),
        7,
        &["did you mean `filterTypes`"],
    );
    assert_problem(&with("{\"url\": 5}"), 7, &["`url` must be a text"]);
    assert_problem(&with("{\"disabled\": \"yes\"}"), 7, &["true or false"]);
    assert_problem(&with("{\n\"url\": {{ body.url }\n}"), 8, &["request"]);
    assert_problem(
        &with("{\"url\": \"{{ body.url }}\"}"),
        7,
        &["doesn't make JSON", "without quotes"],
    );
    assert_problem(&with("[{{ body.url }}]"), 7, &["JSON object"]);
    assert_problem(
        &with("{\"url\": {{ path.url }}}"),
        7,
        &["`path.url` isn't in the path", "has id"],
    );
    assert_problem(&with("{\"url\": {{ body.url|trimm }}}"), 7, &["no filter `trimm`"]);
    let create = route("operation = \"endpoint.create\"\nrequest = '{\"name\": {{ body.name }}}'");
    assert_problem(&create, 6, &["the operation needs `url`"]);
}

#[test]
fn stand_ins_can_be_used_as_texts_and_compared() {
    for value in [
        "{{ body.url|lower }}",
        "{{ \"https://\" ~ body.host ~ \"/\" ~ body.path }}",
        "{{ body.parts|join(\"/\") }}",
        "{% if body.url == body.other %}{{ body.url }}{% else %}{{ body.other }}{% endif %}",
        "{% if body.url in body.known %}\"a\"{% else %}{{ body.url }}{% endif %}",
    ] {
        let request = format!("operation = \"endpoint.create\"\nrequest = '{{\"url\": {value}}}'");
        assert_eq!(problems(&route(&request)), [""; 0], "{value}");
    }
}

#[test]
fn a_response_can_only_name_what_is_answered() {
    let with =
        |response: &str| route(&format!("operation = \"endpoint.get\"\nresponse = '{response}'"));
    assert_problem(&with("{\"id\": {{ endpoint.ident }}}"), 6, &["`endpoint.ident` isn't defined"]);
    assert_problem(&with("{\"id\": {{ endpoint.i }}}"), 6, &["did you mean `id`"]);
    assert_problem(&with("{\"id\": {{ message.id }}}"), 6, &["answers with endpoint"]);
    assert_problem(&with("{\"id\": {{ path.hook }}}"), 6, &["`path.hook` isn't in the path"]);
    assert_problem(&with("{\"at\": {{ endpoint.url|unix }}}"), 6, &["takes a time"]);
    assert_problem(&with("{% include \"webhok\" %}"), 6, &["webhok"]);
    let partial = "[templates]\nwebhook = '''\n{\n\"id\": {{ endpoint.idd }}\n}'''\n";
    let including = format!("{partial}{}", with("{% include \"webhook\" %}"));
    assert_problem(&including, 5, &["templates.webhook"]);
}

#[test]
fn secrets_are_shown_only_where_the_contract_reveals_them() {
    let get = route("operation = \"endpoint.get\"\nresponse = '{\"key\": {{ endpoint.secret }}}'");
    assert_problem(&get, 6, &["doesn't reveal", "reveal = true"]);
    assert_eq!(problems(&format!("[secret]\nreveal = true\n{get}")), [""; 0]);
    let rotate =
        route("operation = \"endpoint.rotate\"\nresponse = '{\"key\": {{ endpoint.secret }}}'");
    assert_eq!(problems(&rotate), [""; 0]);
}

#[test]
fn only_what_a_template_includes_counts_as_shown() {
    let partials = "[templates]\nshown = '{\"id\": {{ endpoint.id }}}'\n\
        made = '{\"key\": {{ endpoint.secret }}}'\nouter = '{% include \"made\" %}'\n";
    let with = |method: &str, operation: &str, response: &str| {
        format!(
            "[[routes]]\nmethod = \"{method}\"\npath = \"/hooks/{{id}}\"\n\
             operation = \"{operation}\"\nresponse = '{response}'\n"
        )
    };
    let rotate = with("POST", "endpoint.rotate", "{% include \"outer\" %}");
    let get = with("GET", "endpoint.get", "{% include \"shown\" %}");
    let text = format!("{BASE}{partials}{rotate}{get}");
    let contract = Contract::load("acme.toml", &text).unwrap();
    let shows: Vec<bool> = contract.routes().iter().map(super::Route::shows_secret).collect();
    assert_eq!(shows, [true, false]);
    for response in ["{% include \"outer\" %}", "{\"key\": {{ endpoint[\"secret\"] }}}"] {
        let hidden = format!("{partials}{}", with("GET", "endpoint.get", response));
        assert_problem(&hidden, 10, &["doesn't reveal"]);
    }
    // Also where a loop has another name for it.
    let each = "'[{% for one in endpoints %}{{ one.secret }}{% endfor %}]'";
    let list = format!(
        "[secret]\nreveal = true\n[templates]\nall = {each}\n[[routes]]\nmethod = \"GET\"\n\
         path = \"/hooks\"\noperation = \"endpoint.list\"\n\
         response = '{{\"keys\": \"a\"}}{{% if false %}}{{% include \"all\" %}}{{% endif %}}'\n"
    );
    let contract = Contract::load("acme.toml", &format!("{BASE}{list}")).unwrap();
    assert!(contract.routes().iter().all(super::Route::shows_secret));
}

#[test]
fn what_says_which_one_is_tried_out_too() {
    let with = |lines: &str| route(&format!("operation = \"endpoint.delete\"\n{lines}"));
    assert_problem(&with("endpoint = '{{ pth.id }}'"), 6, &["`pth.id`", "did you mean `path`"]);
    assert_problem(&with("application = '{{ team }}'"), 6, &["`team`", "path, query, body"]);
    assert_problem(&with("endpoint = '{{ path.id|trimm }}'"), 6, &["no filter"]);
    assert_eq!(problems(&with("endpoint = '{{ body.id|lower }}'")), [""; 0]);
    let get =
        |lines: &str| with(lines).replace("POST", "GET").replace("endpoint.delete", "endpoint.get");
    assert_problem(&get("endpoint = '{{ body.id }}'"), 6, &["`body.id`", "GET isn't read"]);
    assert_problem(&get("required = [\"body.id\"]"), 6, &["GET isn't read"]);
}

#[test]
fn a_response_goes_without_what_may_be_missing() {
    let with = |required: &str, response: &str| {
        route(&format!(
            "operation = \"endpoint.get\"\nrequired = [{required}]\nresponse = '{response}'"
        ))
    };
    let echo = "{\"format\": {{ body.format }}}";
    assert_problem(&with("", echo), 7, &["isn't defined", "default(none)"]);
    assert_eq!(problems(&with("\"body.format\"", echo)), [""; 0]);
    assert_eq!(problems(&with("", "{\"f\": {{ query.f|default(none) }}}")), [""; 0]);
    assert_eq!(problems(&with("", "{\"id\": {{ path.id }}}")), [""; 0]);
}

#[test]
fn a_body_or_a_query_can_say_which_one() {
    let text = "[[routes]]\nmethod = \"POST\"\npath = \"/hooks/delete\"\n\
        operation = \"endpoint.delete\"\nendpoint = '{{ body.hook.id }}'\n\
        application = '{{ query.team }}'\n";
    let contract = Contract::load("acme.toml", &format!("{BASE}{text}")).unwrap();
    let routes = contract.routes();
    let read = |query: &[(&str, &str)], body: &str| {
        let request = CustomerRequest {
            path: Vec::new(),
            query: query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.as_bytes().to_vec(),
        };
        routes.read(routes.iter().next().unwrap(), &request)
    };
    let id: crate::domain::EndpointId = crate::domain::Id::from_bytes([7; 16]);
    let good = format!(r#"{{"hook":{{"id":"{id}"}}}}"#);
    let call = read(&[("team", "t")], &good).unwrap();
    assert_eq!((call.application.as_deref(), call.endpoint), (Some("t"), Some(id.to_string())));
    let missing = read(&[], &good).unwrap_err();
    assert_eq!(missing.fields[0].location, ["query", "team"]);
    let missing = read(&[("team", "t")], "{}").unwrap_err();
    assert_eq!(missing.fields[0].location, ["body", "hook", "id"]);
    for wrong in ["[]", "{\"id\":1}", "\"ep_\"", "7"] {
        let refused = read(&[("team", "t")], &format!("{{\"hook\":{wrong}}}")).unwrap_err();
        assert!(matches!(refused.code, ErrorCode::NotFound | ErrorCode::Validation), "{wrong}");
    }
}

#[test]
fn routes_that_collide_are_found() {
    let get = |path: &str| {
        format!("[[routes]]\nmethod = \"GET\"\npath = \"{path}\"\noperation = \"endpoint.list\"\n")
    };
    assert_problem(
        &format!("{}{}", get("/hooks"), get("/hooks")),
        8,
        &["another route GET /hooks"],
    );
    assert_problem(
        &format!("{}{}", get("/hooks/{a}"), get("/hooks/{b}")),
        8,
        &["/hooks/{b}", "/hooks/{a}"],
    );
    assert_problem(&get("/api/v1/app/{a}"), 4, &["belongs to the native API"]);
    for path in ["hooks", "/hooks/", "/a b", "/{", "/{a}{b}", "/hooks?x=1"] {
        assert_problem(&get(path), 4, &["isn't a path"]);
    }
    assert_eq!(problems(&format!("{}{}", get("/hooks/test"), get("/hooks/{id}"))), [""; 0]);
}

#[test]
fn a_parameter_may_have_something_behind_it() {
    let text = "[[routes]]\nmethod = \"GET\"\npath = \"/hooks/{id}.json\"\n\
        operation = \"endpoint.get\"\n\
        [[routes]]\nmethod = \"GET\"\npath = \"/hooks/count.json\"\n\
        operation = \"endpoint.list\"\n";
    let contract = Contract::load("acme.toml", &format!("{BASE}{text}")).unwrap();
    let find = |path: &str| match contract.routes().find(&Method::GET, path) {
        Matched::Route(route, parameters) => Some((route.operation, parameters)),
        Matched::OtherMethods(_) | Matched::Nothing => None,
    };
    let named = vec![("id".to_owned(), "ep_1".to_owned())];
    assert_eq!(find("/hooks/ep_1.json"), Some((Operation::EndpointGet, named)));
    assert_eq!(find("/hooks/count.json"), Some((Operation::EndpointList, Vec::new())));
    assert_eq!(find("/hooks/ep_1"), None);
}

#[test]
fn statuses_and_bodies_belong_together() {
    let get = |lines: &str| route(&format!("operation = \"endpoint.get\"\n{lines}"));
    assert_problem(&get("status = 404"), 6, &["200 to 299"]);
    assert_problem(&get("status = 204\nresponse = '{}'"), 7, &["no body"]);
    assert_problem(&get("request = '{}'"), 6, &["takes no input"]);
    assert_problem(&get("event_type = 'x'"), 6, &["takes no `event_type`"]);
    assert_problem(&get("required = [\"url\"]"), 6, &["isn't a part of a request"]);
}

fn acme() -> Contract {
    let text = r#"
[ids]
endpoint = "wh_"

[[routes]]
method = "PATCH"
path = "/hooks/{id}"
operation = "endpoint.update"
required = ["body.target"]
request = '''
{
  "url": {{ body.target.url }},
  "name": {{ body.label|default("unnamed") }},
  "filterTypes": {{ body.topics }},
  "disabled": {{ body.state|choose({"on": false, "off": true}) }},
  "description": {{ query.note }}
}
'''
"#;
    Contract::load("acme.toml", &format!("{BASE}{text}")).unwrap()
}

fn read(body: &str) -> crate::domain::Result<serde_json::Value> {
    let contract = acme();
    let routes = contract.routes();
    let Matched::Route(route, _) = routes.find(&Method::PATCH, "/hooks/x") else {
        panic!("no route")
    };
    let id: crate::domain::EndpointId = crate::domain::Id::from_bytes([7; 16]);
    let request = CustomerRequest {
        path: vec![("id".to_owned(), format!("wh_{}", id.suffix()))],
        query: vec![
            ("note".to_owned(), "a\"b".to_owned()),
            ("note".to_owned(), "second".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
    };
    let call = routes.read(route, &request)?;
    assert_eq!(call.endpoint, Some(id.to_string()));
    Ok(serde_json::Value::Object(call.input))
}

#[test]
fn what_was_not_sent_is_left_out() {
    let full =
        read(r#"{"target":{"url":"https://a/"},"label":"x","topics":["a","b"],"state":"off"}"#);
    let expected = serde_json::json!({
        "url": "https://a/", "name": "x", "filterTypes": ["a", "b"], "disabled": true, "description": "a\"b",
    });
    assert_eq!(full.unwrap(), expected);
    let least = read(r#"{"target":{}}"#).unwrap();
    assert_eq!(least, serde_json::json!({ "name": "unnamed", "description": "a\"b" }));
    let null = read(r#"{"target":{"url":null},"topics":null}"#).unwrap();
    assert_eq!(null["url"], serde_json::Value::Null);
    assert!(null["filterTypes"].is_null() && null.get("filterTypes").is_some());
}

#[test]
fn nobody_outside_says_what_is_left_out() {
    for text in [r#""\u0001omitted\u0001""#, r#"["\u0001omitted\u0001"]"#, r#""\u0001refused:x""#] {
        let refused = read(&format!(r#"{{"target":{{}},"topics":{text}}}"#)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadRequest, "{text}");
    }
}

#[test]
fn refusals_name_the_customers_fields() {
    let missing = read("{}").unwrap_err();
    assert_eq!(missing.code, ErrorCode::Validation);
    assert_eq!(missing.fields[0].location, ["body", "target"]);
    let word = read(r#"{"target":{},"state":"maybe"}"#).unwrap_err();
    assert!(
        word.fields[0].message.contains("on, off") || word.fields[0].message.contains("off, on")
    );
    let contract = acme();
    let routes = contract.routes();
    let route = routes.iter().next().unwrap();
    assert_eq!(route.operation, Operation::EndpointUpdate);
    assert_eq!(route.source_of("filterTypes.3").as_deref(), Some("topics.3"));
    assert_eq!(route.source_of("url").as_deref(), Some("target.url"));
    assert_eq!(route.source_of("disabled").as_deref(), Some("state"));
    assert_eq!(route.source_of("method"), None);
}

#[test]
fn deliveries_write_ids_as_the_api_does() {
    let text = r#"
[ids]
endpoint = "uuid"
message = "evt_"

[delivery]
body = '{"id":{{ event.id }},"message":{{ message.id }},"hook":{{ endpoint.id }}}'
"#;
    let contract = Contract::load("acme.toml", &format!("{BASE}{text}")).unwrap();
    let sample = contract.sample(None).unwrap();
    let request = contract.example(&sample).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let id = body["id"].as_str().unwrap();
    assert!(id.starts_with("evt_") && id.len() == 26, "{id}");
    assert_eq!(body["message"], body["id"]);
    assert_eq!(body["hook"].as_str().unwrap().len(), 36);
}
