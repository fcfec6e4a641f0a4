//! Calls over an upstream in process: no ports, no waiting for time to pass.
mod support;

use lb::{block_on, Delivery, Engine, Options, Request, Status};
use std::error::Error as _;
use std::time::Duration;
use support::*;

fn post() -> Request {
    Request::post(PATH)
}

#[test]
fn plain() {
    let engine = engine("");
    block_on(async {
        let mut response = engine.call(&post(), body(false)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.header("Content-Type"), Some("application/json"));
        assert_eq!(response.header("x-lb-served-by"), Some("echo"));
        assert_eq!(response.headers().filter(|it| it.0.starts_with("x-lb-")).count(), 3);
        assert!(response.done().is_none());
        let text = String::from_utf8(response.bytes().await.unwrap()).unwrap();
        assert!(text.starts_with('{') && text.ends_with('}'), "{}", text);
        let done = response.done().unwrap();
        assert_eq!((done.attempts, done.upstream.as_str(), done.model.as_str()), (Some(1), "echo", "m"));
        assert!(done.tokens_in.unwrap() > 0 && done.tokens_out.unwrap() > 0 && done.tokens_cached.is_none());
        assert!(done.request_id.starts_with("lb-") && done.total >= done.first_byte);
        assert!(response.next().await.is_none());
    });
}

#[test]
fn pieces() {
    let engine = engine(r#","events":50"#);
    let all = |delivery| {
        block_on(async {
            let mut response = engine.call(&post().with(|it| it.delivery = delivery), body(true)).await.unwrap();
            let mut pieces = Vec::new();
            while let Some(piece) = response.next().await {
                pieces.push(String::from_utf8(piece.unwrap()).unwrap());
            }
            pieces
        })
    };
    let events = all(Delivery::Events);
    assert_eq!(events.len(), 52); // With the finish and the usage.
    assert!(events.iter().all(|it| it.starts_with('{') && it.ends_with('}')));
    let bytes = all(Delivery::Bytes).concat();
    assert!(bytes.starts_with("data: {") && bytes.ends_with("data: [DONE]\n\n"));
    assert_eq!(all(Delivery::Whole), [bytes]);
}

/// The words are the core's, at each level.
#[test]
fn errors() {
    let wrong = Engine::open(r#"{"deployments":[{"name":"a","kind":"nonsense"}]}"#, Options::default()).unwrap_err();
    assert_eq!((wrong.status, wrong.location.as_str()), (Status::CONFIG, "/deployments/0/kind"));
    assert_eq!(wrong.to_string(), format!("/deployments/0/kind: {}", wrong.message));
    assert!(wrong.message.contains("echo"), "{}", wrong.message);
    assert_eq!(lb::check_config("{}").unwrap_err().status, Status::CONFIG);

    let engine = engine("");
    let unknown = block_on(engine.call(&post(), body(false).replace("\"m\"", "\"nobody's\""))).unwrap_err();
    assert_eq!((unknown.status, unknown.done.code), (Status::INVALID, 404));
    assert!(unknown.message.contains("nobody's") && unknown.to_string() == unknown.message);
    assert_eq!(unknown.source().unwrap().to_string(), Status::INVALID.to_string());
    assert_eq!(unknown.source().unwrap().downcast_ref::<Status>(), Some(&Status::INVALID));
    assert_eq!(unknown.done.attempts, Some(0));
    assert!(Status::DEADLINE.retryable() && !Status::INVALID.retryable() && Status(77).name() != "");
    assert_eq!(format!("{:?}: {}", Status::DEADLINE, Status::DEADLINE), "DEADLINE: the deadline passed");
}

/// A line break within a header value starts no other header.
#[test]
fn headers_are_one_line() {
    let engine = engine("");
    for value in ["a\r\nx-lb-route: m", "a\nb", "a\rb", "a\0b"] {
        let refused = block_on(engine.call(&post().header("x-any", value), body(false))).unwrap_err();
        assert_eq!(refused.status, Status::INVALID, "{:?}", value);
    }
    let refused = block_on(engine.call(&Request::post("/v1/x\r\ny: z"), body(false))).unwrap_err();
    assert_eq!(refused.status, Status::INVALID);
}

#[test]
fn deadline_and_full() {
    let slow = Engine::open(&echo(r#","delay_ms":60000"#), Options { calls_max: 1, ..Options::default() }).unwrap();
    let request = post()
        .with(|it| it.deadline = Duration::from_millis(20))
        .with(|it| it.priority = 3)
        .with(|it| it.window = 2048)
        .with(|it| it.attempts = true);
    let first = slow.call(&request, body(false));
    let refused = block_on(slow.call(&request, body(false))).unwrap_err();
    assert_eq!(refused.status, Status::FULL);
    let late = block_on(first).unwrap_err();
    assert_eq!((late.status, late.done.code), (Status::DEADLINE, 504));
}

#[test]
fn two_engines() {
    let (a, b) = (engine(r#","events":3"#), engine(r#","events":5"#));
    let count = |engine: &Engine| {
        block_on(async {
            let mut response = engine.call(&post(), body(true)).await.unwrap();
            response.bytes().await.unwrap();
            response.done().unwrap().tokens_out
        })
    };
    assert_eq!((count(&a), count(&b), count(&a)), (Some(3), Some(5), Some(3)));
}

#[test]
fn configure_mark_stats_address() {
    let listening =
        r#"{"listen":[{"address":"127.0.0.1:0"}],"deployments":[{"name":"near","kind":"echo","models":["m"]}]}"#;
    let engine = Engine::open(listening, Options::default()).unwrap();
    let address = engine.address("").unwrap();
    assert!(http(&address, &format!("POST {} HTTP/1.1", PATH), &body(false)).contains("chat.completion"));
    assert_eq!(engine.address("nobody").unwrap_err().status, Status::GONE);
    let call = || {
        block_on(engine.call(&post().with(|it| it.deadline = Duration::from_millis(50)), body(false)))
            .map(|it| it.status())
    };
    assert_eq!(call().unwrap(), 200);
    assert!(engine.stats_json().unwrap().contains("near"));
    assert!(engine.stats_prometheus().unwrap().contains("# TYPE"));
    engine.mark("near", "", Duration::from_secs(3600)).unwrap();
    assert!(call().is_err());
    engine.mark("near", "m", Duration::ZERO).unwrap();
    assert_eq!(call().unwrap(), 200);
    assert_eq!(engine.mark("far", "", Duration::ZERO).unwrap_err().status, Status::INVALID);
    engine.configure(&listening.replace("\"m\"", "\"n\"")).unwrap();
    assert_eq!(call().unwrap_err().done.code, 404);
    assert_eq!(engine.configure("[").unwrap_err().status, Status::CONFIG);
    let deaf = Engine::open(listening, Options { no_listen: true, ..Options::default() }).unwrap();
    assert_eq!(deaf.address("").unwrap_err().status, Status::GONE);
}

#[test]
fn configuration_types() {
    use lb::config::{Config, Deployment, Kind, Model};
    let model = [("m".to_owned(), Model::default())].into_iter().collect();
    let echo = Deployment { name: "typed".into(), kind: Some(Kind::Echo), models: model, ..Default::default() };
    let engine =
        Engine::open(&Config { deployments: vec![echo], ..Default::default() }.to_json(), Options::default()).unwrap();
    let response = block_on(engine.call(&post(), body(false))).unwrap();
    assert_eq!(response.header("x-lb-served-by"), Some("typed"));
}

#[test]
fn secrets_need_leave() {
    std::env::set_var("LB_RUST_TEST_KEY", "x");
    let config = r#"{"deployments":[{"name":"a","url":"http://127.0.0.1:1/v1","key":{"env":"LB_RUST_TEST_KEY"}}]}"#;
    assert_eq!(Engine::open(config, Options::default()).unwrap_err().location, "/deployments/0/key");
    Engine::open(config, Options { secrets: true, seed: 7, ..Options::default() }).unwrap();
}

#[test]
fn close_drains() {
    let engine = engine(r#","events":20,"delay_ms":2"#);
    let mut response = block_on(engine.call(&post(), body(true))).unwrap();
    let closed = engine.close(PATIENCE);
    assert_eq!(block_on(engine.call(&post(), body(true))).unwrap_err().status, Status::CLOSED);
    assert!(block_on(response.bytes()).unwrap().ends_with(b"[DONE]\n\n"));
    block_on(closed);
    assert_eq!(engine.configure(&echo("")).unwrap_err().status, Status::CLOSED);
    block_on(engine.close(Duration::ZERO));
}

#[test]
fn close_cuts() {
    let engine = engine(r#","delay_ms":600000"#);
    let call = engine.call(&post(), body(false));
    block_on(engine.close(Duration::from_millis(1)));
    assert_eq!(block_on(call).unwrap_err().status, Status::CANCELLED);
}

#[test]
fn logs() {
    use std::sync::{Arc, Mutex};
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let log = Box::new(move |level: u32, line: &str| log.lock().unwrap().push((level, line.to_owned())));
    let engine = Engine::open(&echo(""), Options { log_level: 4, log: Some(log), ..Options::default() }).unwrap();
    // A failure is worth a line.
    block_on(engine.call(&post().with(|it| it.deadline = Duration::from_nanos(1)).header("x-lb-route", "m"), "{"))
        .unwrap_err();
    until("a line", || lines.lock().unwrap().iter().any(|it| it.0 <= 4 && it.1.starts_with('{')));
}

/// A body in pieces, each waited for; and what ends in the middle is no body.
#[test]
fn streamed_request() {
    let engine = engine("");
    let text = body(false);
    for size in [1, 7, text.len()] {
        let (mut sender, call) = engine.call_streaming(&post());
        block_on(async {
            for piece in text.as_bytes().chunks(size) {
                sender.send(piece).await.unwrap();
            }
            sender.finish();
            let mut response = call.await.unwrap();
            response.bytes().await.unwrap();
            assert_eq!(response.done().unwrap().tokens_in, Some(text.len() as u64 / 4));
        });
    }
    let (mut sender, call) = engine.call_streaming(&post());
    block_on(sender.send(&text[..20])).unwrap();
    drop(sender);
    assert_eq!(block_on(call).unwrap_err().status, Status::CANCELLED);
    // The other half is told why.
    let (mut sender, call) = engine.call_streaming(&post());
    drop(call);
    let why = block_on(async {
        loop {
            if let Err(error) = sender.send(" ").await {
                return error;
            }
        }
    });
    assert!([Status::CANCELLED, Status::GONE].contains(&why.status), "{:?}", why);
    let (mut sender, call) = engine.call_streaming(&post().header("x", "\n"));
    assert_eq!(block_on(sender.send("x")).unwrap_err().status, Status::INVALID);
    assert_eq!(block_on(call).unwrap_err().status, Status::INVALID);
}
