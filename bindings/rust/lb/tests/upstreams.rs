//! Calls over `lb mock`: what reaches the upstream's socket, and when.
mod support;

use lb::{block_on, Delivery, Engine, Options, Request, Status};
use std::future::Future;
use std::time::{Duration, Instant};
use support::*;

fn post() -> Request {
    Request::post(PATH)
}

/// Within 100 ms of `cancel` the upstream sees its client close. Only the clock can be to blame, so it has three tries.
fn closes_within_100_ms(options: &str, start: impl Fn(&Engine) -> Box<dyn FnOnce()>) {
    let mock = Mock::start(options);
    let engine = mock.engine();
    let mut took = 0.0;
    for number in 1..=3 {
        let cancel = start(&engine);
        let before = mock.calls(number).now_ms();
        assert_eq!(mock.journal().end(), "open");
        cancel();
        until("it ends", || mock.journal().end() != "open");
        let journal = mock.journal();
        assert_eq!(journal.end(), "client_closed");
        took = journal.last("end_ms") - before;
        if took <= 100.0 {
            return;
        }
    }
    panic!("{} ms", took);
}

#[test]
fn cancel_before_the_head() {
    closes_within_100_ms(r#"{"latency_ms":60000}"#, |engine| {
        let mut call = engine.call(&post(), body(false));
        let (_, waker) = Counter::new();
        assert!(poll_once(&mut call, &waker).is_pending());
        Box::new(move || drop(call))
    });
}

#[test]
fn cancel_between_events() {
    closes_within_100_ms(r#"{"tokens":1000,"stall":{"after_events":5}}"#, |engine| {
        let mut response =
            block_on(engine.call(&post().with(|it| it.delivery = Delivery::Events), body(true))).unwrap();
        for _ in 0..6 {
            block_on(response.next()).unwrap().unwrap(); // The role is the first.
        }
        Box::new(move || {
            let (_, waker) = Counter::new();
            assert!(Box::pin(response.next()).as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
            drop(response)
        })
    });
}

#[test]
fn cancel_by_leaving_the_loop() {
    closes_within_100_ms(r#"{"tokens":100000,"event_gap_ms":1}"#, |engine| {
        let call = engine.call(&post().with(|it| it.delivery = Delivery::Events), body(true));
        Box::new(move || {
            block_on(async {
                let mut response = call.await.unwrap();
                let mut events = 0;
                while let Some(event) = response.next().await {
                    event.unwrap();
                    events += 1;
                    if events == 3 {
                        break;
                    }
                }
            })
        })
    });
}

#[test]
fn cancel_by_dropping_the_body() {
    closes_within_100_ms(r#"{"tokens":100000,"event_gap_ms":1}"#, |engine| {
        let response = block_on(engine.call(&post(), body(true))).unwrap();
        Box::new(move || drop(response))
    });
}

#[test]
fn cancel_in_the_middle_of_the_request() {
    closes_within_100_ms("{}", |engine| {
        let (mut sender, call) = engine.call_streaming(&post().header("content-length", "100000"));
        block_on(sender.send(body(false))).unwrap();
        Box::new(move || {
            drop(sender);
            assert_eq!(block_on(call).unwrap_err().status, Status::CANCELLED);
        })
    });
}

/// Who takes nothing holds the upstream back: what is in sockets and in the window is all that it can send.
#[test]
fn back_pressure() {
    let mock = Mock::start(r#"{"tokens":1000,"token_bytes":60000}"#);
    let engine = mock.engine();
    let mut response = block_on(engine.call(&post().with(|it| it.window = 4096), body(true))).unwrap();
    let mut sent = -1.0;
    until("it stands still", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = mock.journal().last("sent_bytes");
        now == std::mem::replace(&mut sent, now)
    });
    assert!(sent < 20e6, "{} bytes of 60 MB went out to nobody", sent);
    assert_eq!(mock.journal().end(), "open");
    let mut size = 0;
    while let Some(piece) = block_on(response.next()) {
        let piece = piece.unwrap();
        assert!(piece.len() < 4096 + 70_000, "{} bytes at once", piece.len());
        size += piece.len();
    }
    assert!(size > 60_000_000, "{}", size);
}

#[test]
fn slow_reader() {
    let mock = Mock::start(r#"{"tokens":300,"token_bytes":100}"#);
    let engine = mock.engine();
    let request = post().with(|it| it.delivery = Delivery::Events).with(|it| it.window = 1024);
    let mut response = block_on(engine.call(&request, body(true))).unwrap();
    let mut events = 0;
    while let Some(event) = block_on(response.next()) {
        event.unwrap();
        events += 1;
        std::thread::sleep(Duration::from_micros(300));
    }
    assert!(events >= 300, "{}", events);
    assert!(response.done().is_some());
}

/// Eight MiB in pieces, of known length and of unknown.
#[test]
fn streamed_request() {
    let mock = Mock::start("{}");
    let engine = mock.engine();
    let (before, filling) = (r#"{"model":"m","messages":[{"role":"user","content":""#, vec![b'x'; 65536]);
    let after = r#""}]}"#;
    let length = before.len() + 128 * filling.len() + after.len();
    for request in [post(), post().header("content-length", length.to_string())] {
        let (mut sender, call) = engine.call_streaming(&request);
        block_on(async {
            sender.send(before).await.unwrap();
            for _ in 0..128 {
                sender.send(&filling).await.unwrap();
            }
            sender.send(after).await.unwrap();
            sender.finish();
            let mut response = call.await.unwrap();
            assert_eq!(response.status(), 200);
            response.bytes().await.unwrap();
        });
        assert_eq!(mock.journal().last("body_bytes") as usize, length);
    }
}

/// An upstream that reads nothing: the sender waits, with a bounded part of the body gone.
#[test]
fn streamed_request_waits() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", deaf.local_addr().unwrap());
    let config = format!(
        r#"{{"deployments":[{{"name":"a","url":"{}","models":["m"]}}],
            "routes":[{{"model":"m","tiers":[["a"]],"replay_bytes":65536}}]}}"#,
        url
    );
    let engine = Engine::open(&config, Options::default()).unwrap();
    let (mut sender, call) = engine.call_streaming(&post());
    let (piece, mut sent) = (vec![b'x'; 65536], 0);
    block_on(sender.send(r#"{"model":"m","messages":[{"role":"user","content":""#)).unwrap();
    let (counter, waker) = Counter::new();
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(300) {
        let mut send = Box::pin(sender.send(&piece));
        if send.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_ready() {
            sent += piece.len();
            quiet = Instant::now();
        }
        assert!(sent < 40 << 20, "it takes everything");
        std::thread::yield_now();
    }
    assert!(sent >= 65536);
    drop(call);
    until("the sender is woken", || counter.woken() > 0);
    until("the sender is told", || {
        let mut send = Box::pin(sender.send(&piece));
        match send.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(told) => told.unwrap_err().status == Status::CANCELLED,
            std::task::Poll::Pending => false,
        }
    });
}

#[test]
fn failover() {
    let (mut east, west) = (Mock::start(r#"{"name":"east"}"#), Mock::start(r#"{"name":"west"}"#));
    let config = format!(
        r#"{{"deployments":[{},{}],"routes":[{{"model":"m","tiers":[["east"],["west"]]}}]}}"#,
        east.deployment("east"),
        west.deployment("west")
    );
    let engine = Engine::open(&config, Options::default()).unwrap();
    let served_by = || {
        let mut response = block_on(engine.call(&post().with(|it| it.attempts = true), body(true))).unwrap();
        assert!(block_on(response.bytes()).unwrap().ends_with(b"[DONE]\n\n"));
        response.done().unwrap().clone()
    };
    assert_eq!(served_by().upstream, "east");
    east.control(r#"{"error":{"status":503}}"#);
    let done = served_by();
    assert_eq!((done.upstream.as_str(), done.attempts), ("west", Some(2)));
    let failed = &done.failed[0];
    assert_eq!((failed.status, failed.code, failed.upstream.as_str()), (Status::UPSTREAM, 503, "east"));
    assert!(!failed.message.is_empty());
    east.kill();
    for _ in 0..5 {
        assert_eq!(served_by().upstream, "west");
    }
}

/// What breaks after its head is no end: the error comes where the rest would have.
#[test]
fn broken_stream() {
    let mock = Mock::start(r#"{"tokens":50,"cut":{"after_events":10}}"#);
    let mut response =
        block_on(mock.engine().call(&post().with(|it| it.delivery = Delivery::Events), body(true))).unwrap();
    let mut events = 0;
    let error = loop {
        match block_on(response.next()).expect("an error before the end") {
            Ok(_) => events += 1,
            Err(error) => break error,
        }
    };
    assert!(events >= 9, "{}", events);
    assert_eq!(error.status, Status::BROKEN);
    assert!(!error.message.is_empty());
    assert_eq!(error.done.upstream, "mock");
    assert_eq!(response.done().unwrap().attempts, Some(1));
    assert!(block_on(response.next()).is_none());
}

/// An upstream's refusal is an answer as any other.
#[test]
fn refused_by_the_upstream() {
    let mock = Mock::start(r#"{"error":{"status":400,"message":"no such thing"}}"#);
    let mut response = block_on(mock.engine().call(&post(), body(false))).unwrap();
    assert_eq!(response.status(), 400);
    assert!(String::from_utf8(block_on(response.bytes()).unwrap()).unwrap().contains("no such thing"));
}

/// Own limits: the error says how long to wait.
#[test]
fn limited() {
    let mock = Mock::start("{}");
    let deployment = mock.deployment("mock").replace("\"name\"", "\"rpm\":1,\"name\"");
    let engine = Engine::open(&format!(r#"{{"deployments":[{}]}}"#, deployment), Options::default()).unwrap();
    let call = || block_on(engine.call(&post().with(|it| it.deadline = Duration::from_secs(2)), body(false)));
    assert_eq!(call().unwrap().status(), 200);
    let refused = call().unwrap_err();
    assert_eq!((refused.status, refused.done.code), (Status::LIMITED, 429));
    assert!(refused.done.retry_after.unwrap() > Duration::from_secs(2), "{:?}", refused);
}
