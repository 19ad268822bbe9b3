//! What a route can do: the operations of the native API, what they take and what they answer.

use serde::Deserialize;

macro_rules! operations {
    ($($operation:ident $name:literal $about:literal;)*) => {
        /// An operation of the native API that a contract's route translates to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
        pub enum Operation {
            $(#[doc = $about] #[serde(rename = $name)] $operation,)*
        }

        impl Operation {
            pub const ALL: &[Operation] = &[$(Operation::$operation),*];

            /// What contracts call it.
            pub const fn name(self) -> &'static str {
                match self { $(Operation::$operation => $name,)* }
            }

            /// What it does, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Operation::$operation => $about,)* }
            }
        }
    };
}

operations! {
    EndpointCreate "endpoint.create" "Registers an endpoint.";
    EndpointList "endpoint.list" "Lists the application's endpoints, oldest first.";
    EndpointGet "endpoint.get" "Shows an endpoint.";
    EndpointUpdate "endpoint.update" "Changes what the request names, and leaves the rest.";
    EndpointReplace "endpoint.replace" "Replaces an endpoint as the native PUT does.";
    EndpointDelete "endpoint.delete" "Deletes an endpoint; what waited for it is discarded.";
    EndpointReveal "endpoint.reveal" "Shows an endpoint with its signing secret.";
    EndpointRotate "endpoint.rotate" "Replaces the signing secret.";
    EndpointEnable "endpoint.enable" "Enables an endpoint; what waited is sent gently, or dropped.";
    EndpointDiscard "endpoint.discard" "Drops what waits for an endpoint.";
    EndpointHistory "endpoint.history" "Lists what happened to an endpoint, newest first.";
    EndpointTest "endpoint.test" "Sends the example of an event type to one endpoint.";
    EventTypeList "event_type.list" "Lists the catalog.";
    EventTypeExample "event_type.example" "Shows an example as it would be delivered, and sends nothing.";
    EventTypeTest "event_type.test" "Sends the example of an event type to every endpoint that takes it.";
    MessageList "message.list" "Lists what was published, newest first.";
    MessageGet "message.get" "Shows one message.";
    MessageResend "message.resend" "Delivers a message to an endpoint once more.";
    AttemptList "attempt.list" "Lists the attempts at an endpoint, newest first.";
    EventList "event.list" "Reads the application's events in order, from a cursor on.";
}

/// What a route's path has to name beside the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Endpoint,
    EventType,
    Message,
}

impl Noun {
    /// The key of a route that says which one.
    pub const fn key(self) -> &'static str {
        match self {
            Noun::Endpoint => "endpoint",
            Noun::EventType => "event_type",
            Noun::Message => "message",
        }
    }

    /// What that key is where a route leaves it out.
    pub(super) const fn default_template(self) -> &'static str {
        match self {
            Noun::Endpoint => "{{ path.id }}",
            Noun::EventType => "{{ path.event }}",
            Noun::Message => "{{ path.message }}",
        }
    }
}

/// What an input may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Flag,
    Number,
    Texts,
    Object,
}

impl Kind {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Flag => "true or false",
            Kind::Number => "a number",
            Kind::Texts => "a list of texts",
            Kind::Object => "an object",
        }
    }
}

/// One input of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Nothing,
    /// Members of a JSON body.
    Body(&'static [Field]),
    /// Parameters of a query.
    Query(&'static [Field]),
}

impl Input {
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Input::Nothing => &[],
            Input::Body(fields) | Input::Query(fields) => fields,
        }
    }
}

const ENDPOINT: [Field; 18] = [
    must("url", Kind::Text),
    may("name", Kind::Text),
    may("description", Kind::Text),
    may("uid", Kind::Text),
    may("disabled", Kind::Flag),
    may("filterTypes", Kind::Texts),
    may("filterGroups", Kind::Texts),
    may("channels", Kind::Texts),
    may("throttleRate", Kind::Number),
    may("rateLimit", Kind::Number),
    may("ordered", Kind::Flag),
    may("metadata", Kind::Object),
    may("transport", Kind::Text),
    may("method", Kind::Text),
    may("auth", Kind::Object),
    may("headers", Kind::Object),
    may("secret", Kind::Text),
    may("secretType", Kind::Text),
];

const ENDPOINT_PATCH: [Field; 18] = {
    let mut fields = ENDPOINT;
    fields[0].required = false;
    fields
};

const MESSAGE_QUERY: [Field; 8] = [
    may("limit", Kind::Number),
    may("iterator", Kind::Text),
    may("order", Kind::Text),
    may("event_types", Kind::Texts),
    may("channel", Kind::Text),
    may("tag", Kind::Text),
    may("before", Kind::Text),
    may("after", Kind::Text),
];

const PAGE_QUERY: [Field; 3] =
    [may("limit", Kind::Number), may("iterator", Kind::Text), may("order", Kind::Text)];

const EVENT_QUERY: [Field; 4] = [
    may("after", Kind::Text),
    may("types", Kind::Texts),
    may("limit", Kind::Number),
    may("wait", Kind::Number),
];

const ATTEMPT_QUERY: [Field; 9] = [
    may("limit", Kind::Number),
    may("iterator", Kind::Text),
    may("order", Kind::Text),
    may("status", Kind::Number),
    may("status_code_class", Kind::Number),
    may("event_types", Kind::Texts),
    may("channel", Kind::Text),
    may("before", Kind::Text),
    may("after", Kind::Text),
];

impl Operation {
    /// What its path has to name beside the application.
    pub const fn nouns(self) -> &'static [Noun] {
        match self {
            Operation::EndpointCreate
            | Operation::EndpointList
            | Operation::EventTypeList
            | Operation::EventTypeTest
            | Operation::MessageList
            | Operation::EventList => &[],
            Operation::EndpointGet
            | Operation::EndpointUpdate
            | Operation::EndpointReplace
            | Operation::EndpointDelete
            | Operation::EndpointReveal
            | Operation::EndpointRotate
            | Operation::EndpointEnable
            | Operation::EndpointDiscard
            | Operation::EndpointHistory
            | Operation::EndpointTest
            | Operation::AttemptList => &[Noun::Endpoint],
            Operation::EventTypeExample => &[Noun::EventType],
            Operation::MessageGet => &[Noun::Message],
            Operation::MessageResend => &[Noun::Message, Noun::Endpoint],
        }
    }

    /// What it takes beside what its path names.
    pub const fn input(self) -> Input {
        const EVENT_TYPE: [Field; 1] = [must("eventType", Kind::Text)];
        const PENDING: [Field; 1] = [may("pending", Kind::Text)];
        const KEY: [Field; 2] = [may("key", Kind::Text), may("secretType", Kind::Text)];
        const LIST: [Field; 3] =
            [may("eventType", Kind::Text), may("limit", Kind::Number), may("offset", Kind::Number)];
        match self {
            Operation::EndpointCreate | Operation::EndpointReplace => Input::Body(&ENDPOINT),
            Operation::EndpointUpdate => Input::Body(&ENDPOINT_PATCH),
            Operation::EndpointList => Input::Query(&LIST),
            Operation::EndpointRotate => Input::Body(&KEY),
            Operation::EndpointTest | Operation::EventTypeTest => Input::Body(&EVENT_TYPE),
            Operation::EndpointEnable => Input::Body(&PENDING),
            Operation::EndpointHistory => Input::Query(&PAGE_QUERY),
            Operation::MessageList => Input::Query(&MESSAGE_QUERY),
            Operation::AttemptList => Input::Query(&ATTEMPT_QUERY),
            Operation::EventList => Input::Query(&EVENT_QUERY),
            Operation::EndpointGet
            | Operation::EndpointDiscard
            | Operation::EndpointDelete
            | Operation::EndpointReveal
            | Operation::EventTypeList
            | Operation::EventTypeExample
            | Operation::MessageGet
            | Operation::MessageResend => Input::Nothing,
        }
    }

    /// The status where a route names none.
    pub const fn status(self) -> u16 {
        match self {
            Operation::EndpointCreate => 201,
            Operation::EndpointDelete => 204,
            Operation::EndpointTest | Operation::EventTypeTest | Operation::MessageResend => 202,
            _ => 200,
        }
    }

    /// Whether it is made for showing a signing secret, also where the contract doesn't
    /// reveal it again: it was made just now.
    pub const fn makes_secret(self) -> bool {
        matches!(self, Operation::EndpointCreate | Operation::EndpointRotate)
    }

    /// The names that a response can use for what the operation answers, each with samples of
    /// its value: everything given, and as little as there can be.
    pub fn answers(self) -> Vec<(&'static str, [&'static str; 2])> {
        match self {
            Operation::EndpointCreate
            | Operation::EndpointGet
            | Operation::EndpointUpdate
            | Operation::EndpointReplace
            | Operation::EndpointReveal
            | Operation::EndpointRotate => vec![("endpoint", ENDPOINT_SAMPLES)],
            Operation::EndpointEnable => {
                vec![("endpoint", ENDPOINT_SAMPLES), ("waiting", DISCARDED_SAMPLES)]
            }
            Operation::EndpointDiscard => vec![("waiting", DISCARDED_SAMPLES)],
            Operation::EndpointHistory => {
                vec![("history", HISTORY_SAMPLES), ("page", PAGE_SAMPLES)]
            }
            Operation::EndpointDelete | Operation::MessageResend => Vec::new(),
            Operation::EndpointList => {
                let page = r#"{"count":1,"total":7}"#;
                vec![("endpoints", ENDPOINT_SAMPLES), ("page", [page, page])]
            }
            Operation::EndpointTest | Operation::MessageGet => vec![("message", MESSAGE_SAMPLES)],
            Operation::EventTypeTest => vec![("message", TEST_SAMPLES)],
            Operation::EventTypeList => vec![("event_types", EVENT_TYPE_SAMPLES)],
            Operation::EventTypeExample => vec![("example", EXAMPLE_SAMPLES)],
            Operation::MessageList => {
                vec![("messages", MESSAGE_SAMPLES), ("page", PAGE_SAMPLES)]
            }
            Operation::EventList => vec![("events", MESSAGE_SAMPLES), ("page", EVENT_PAGE_SAMPLES)],
            Operation::AttemptList => {
                vec![("attempts", ATTEMPT_SAMPLES), ("page", PAGE_SAMPLES)]
            }
        }
    }
}

/// Whether the answer of this name is a list of such values.
pub(super) fn is_list(name: &str) -> bool {
    matches!(name, "endpoints" | "event_types" | "messages" | "attempts" | "events" | "history")
}

const PAGE_SAMPLES: [&str; 2] = [
    r#"{"iterator":"msg_0","prevIterator":"-msg_0","done":false}"#,
    r#"{"iterator":null,"prevIterator":null,"done":true}"#,
];

const DISCARDED_SAMPLES: [&str; 2] = [r#"{"discarded":3}"#, r#"{"discarded":0}"#];

const HISTORY_SAMPLES: [&str; 2] = [
    r#"{"id":"hist_0","timestamp":"2025-01-15T14:32:00.258162Z","event":"paused","by":"rule","reason":"r","lastFailure":"f"}"#,
    r#"{"id":"hist_0","timestamp":"2025-01-15T14:32:00.258162Z","event":"created","by":"api","reason":null,"lastFailure":null}"#,
];

const EVENT_PAGE_SAMPLES: [&str; 2] =
    [r#"{"cursor":"cur_0","hasMore":true}"#, r#"{"cursor":"cur_0","hasMore":false}"#];

const ENDPOINT_SAMPLES: [&str; 2] = [
    r#"{"id":"ep_01JQ0000000000000000xx","uid":"u","url":"https://example.com/","name":"n","description":"d","version":1,"disabled":true,"paused":true,"pausedAt":"2025-01-15T14:32:00.258162Z","pauseReason":"r","disabledAt":"2025-01-15T14:32:00.258162Z","disabledReason":"r","filterTypes":["a","b"],"filterGroups":["g"],"channels":["c"],"rateLimit":9,"throttleRate":9,"ordered":true,"transport":"webhook","method":"POST","auth":{"type":"header","name":"X-Token"},"environment":"production","metadata":{"k":"v"},"createdAt":"2025-01-15T14:32:00.258162Z","updatedAt":"2025-01-15T14:32:00.258162Z","secret":"s","headers":{"X-Name":"v"}}"#,
    r#"{"id":"ep_01JQ0000000000000000xx","uid":null,"url":"https://example.com/","name":"","description":"","version":1,"disabled":false,"paused":false,"pausedAt":null,"pauseReason":null,"disabledAt":null,"disabledReason":null,"filterTypes":null,"filterGroups":null,"channels":null,"rateLimit":null,"throttleRate":null,"ordered":false,"transport":"webhook","method":"POST","auth":{"type":"none"},"environment":"production","metadata":{},"createdAt":"2025-01-15T14:32:00.258162Z","updatedAt":"2025-01-15T14:32:00.258162Z","secret":null,"headers":{}}"#,
];

const MESSAGE_SAMPLES: [&str; 2] = [
    r#"{"id":"msg_0","eventId":"e","eventType":"a","payload":{"n":1},"payloadExpired":false,"channels":["c"],"tags":["t"],"timestamp":"2025-01-15T14:32:00.258162Z","test":true}"#,
    r#"{"id":"msg_0","eventId":null,"eventType":"a","payload":{"expired":true},"payloadExpired":true,"channels":null,"tags":null,"timestamp":"2025-01-15T14:32:00.258162Z","test":false}"#,
];

const TEST_SAMPLES: [&str; 2] = [
    r#"{"id":"msg_0","eventId":"e","eventType":"a","payload":{"n":1},"payloadExpired":false,"channels":["c"],"tags":["t"],"timestamp":"2025-01-15T14:32:00.258162Z","test":true,"deliveries":2}"#,
    r#"{"id":"msg_0","eventId":null,"eventType":"a","payload":{"expired":true},"payloadExpired":true,"channels":null,"tags":null,"timestamp":"2025-01-15T14:32:00.258162Z","test":true,"deliveries":0}"#,
];

const EXAMPLE_SAMPLES: [&str; 2] = [
    r#"{"eventType":"a","payload":{"n":1},"body":{"n":1},"contentType":"application/json"}"#,
    r#"{"eventType":"a","payload":{},"body":"text","contentType":"text/plain"}"#,
];

const EVENT_TYPE_SAMPLES: [&str; 2] = [
    r#"{"name":"a","description":"d","archived":false,"deprecated":false,"groupName":"g","title":"t","schemas":{"1":{}},"example":{},"fromContract":true,"createdAt":"2025-01-15T14:32:00.258162Z","updatedAt":"2025-01-15T14:32:00.258162Z"}"#,
    r#"{"name":"a","description":"","archived":false,"deprecated":false,"groupName":null,"title":null,"schemas":null,"example":null,"fromContract":false,"createdAt":"2025-01-15T14:32:00.258162Z","updatedAt":"2025-01-15T14:32:00.258162Z"}"#,
];

const ATTEMPT_SAMPLES: [&str; 2] = [
    r#"{"id":"atmpt_0","msgId":"msg_0","endpointId":"ep_01JQ0000000000000000xx","url":"https://example.com/","number":2,"status":2,"statusText":"fail","triggerType":0,"timestamp":"2025-01-15T14:32:00.258162Z","responseDurationMs":12,"responseStatusCode":500,"response":"no","responseTruncated":false,"responseHeaders":[["a","b"]],"error":{"kind":"timeout","phase":"wait","causes":["c"]},"timing":{"resolveMs":0.1,"connectMs":0.1,"tlsMs":0.1,"waitMs":0.1,"receiveMs":0.1},"test":true,"msg":{"id":"msg_0","eventId":"e","eventType":"a","payload":{"n":1},"payloadExpired":false,"channels":["c"],"tags":["t"],"timestamp":"2025-01-15T14:32:00.258162Z","test":true}}"#,
    r#"{"id":"atmpt_0","msgId":"msg_0","endpointId":"ep_01JQ0000000000000000xx","url":"https://example.com/","number":1,"status":0,"statusText":"success","triggerType":0,"timestamp":"2025-01-15T14:32:00.258162Z","responseDurationMs":12,"responseStatusCode":200,"response":"","responseTruncated":false,"responseHeaders":[],"error":null,"timing":{"resolveMs":0.0,"connectMs":0.0,"tlsMs":0.0,"waitMs":0.0,"receiveMs":0.0},"test":false,"msg":{"id":"msg_0","eventId":null,"eventType":"a","payload":{"expired":true},"payloadExpired":true,"channels":null,"tags":null,"timestamp":"2025-01-15T14:32:00.258162Z","test":false}}"#,
];
