//! Who may drop what, where and when; and what happens to those who panic.
mod support;

use lb::{block_on, Call, Delivery, Engine, Options, Request, Response};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::*;

/// Counts are of the whole process, so these tests run one by one.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|it| it.into_inner())
}

fn assert_send_sync<T: Send + Sync + Clone>() {}
fn assert_send_unpin<T: Send + Sync + Unpin>() {}

#[test]
fn bounds() {
    let _alone = alone();
    assert_send_sync::<Engine>();
    assert_send_sync::<lb::Balancer>();
    assert_send_sync::<lb::Error>();
    assert_send_unpin::<Call>();
    assert_send_unpin::<Response>();
    assert_send_unpin::<lb::Sender>();

    fn is_send<T: Send>(_: &T) {}
    let engine = engine("");
    is_send(&async move {
        let mut response = engine.call(&Request::post(PATH), body(true)).await.unwrap();
        response.next().await;
        response.bytes().await
    });
}

/// Calls keep their engine, wherever it is dropped; the last of all frees it, on any thread.
#[test]
fn dropped_on_any_thread() {
    let _alone = alone();
    let before = engine_threads();
    for round in 0..20 {
        let engine = engine(r#","events":30"#);
        let mut response = block_on(engine.call(&Request::post(PATH), body(true))).unwrap();
        let clone = engine.clone();
        let other = std::thread::spawn(move || drop(clone));
        drop(engine);
        other.join().unwrap();
        if round % 2 == 0 {
            assert!(!block_on(response.bytes()).unwrap().is_empty());
        }
        std::thread::spawn(move || drop(response)).join().unwrap();
    }
    until("all engines are gone", || engine_threads() == before);
}

/// On wake it runs what it was given, on the thread that woke it: the engine's.
struct OnWake<T: Send>(Mutex<Option<T>>, AtomicUsize, AtomicBool);

impl<T: Send> OnWake<T> {
    fn new() -> Arc<OnWake<T>> {
        Arc::new(OnWake(Mutex::new(None), AtomicUsize::new(0), AtomicBool::new(false)))
    }
}

impl<T: Send> Wake for OnWake<T> {
    fn wake(self: Arc<Self>) {
        let held = self.0.lock().unwrap().take();
        let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        self.2.store(name.trim_end() == ENGINE_THREAD, Ordering::SeqCst);
        drop(held);
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// The waker of a call drops the last of its engine, in the middle of a batch: the engine's thread detaches itself,
/// what comes after is delivered to nobody, and everything is freed.
#[test]
fn last_engine_dropped_by_a_waker() {
    let _alone = alone();
    let before = engine_threads();
    for round in 0..50 {
        let engine = engine(&format!(r#","events":{},"delay_ms":{}"#, 1 + round, round % 2));
        // Others that are in flight when it happens.
        let others: Vec<Call> = (0..round % 5).map(|_| engine.call(&Request::post(PATH), body(true))).collect();
        let mut call = engine.call(&Request::post(PATH), body(true));
        let waking = OnWake::<(Call, Vec<Call>, Engine)>::new();
        let waker = Waker::from(waking.clone());
        let mut held = waking.0.lock().unwrap();
        if let Poll::Ready(early) = std::pin::Pin::new(&mut call).poll(&mut Context::from_waker(&waker)) {
            drop(held);
            drop(early);
            continue;
        }
        *held = Some((call, others, engine));
        drop(held);
        until("it was woken", || waking.1.load(Ordering::SeqCst) == 1);
        assert!(waking.2.load(Ordering::SeqCst), "on the engine's thread");
        drop(waker);
        until("the call's waker is freed", || Arc::strong_count(&waking) == 1);
    }
    until("all engines are gone", || engine_threads() == before);
}

/// The same from within CLOSED: whoever waits for the end drops the engine.
#[test]
fn last_engine_dropped_by_the_waker_of_close() {
    let _alone = alone();
    let before = engine_threads();
    for _ in 0..20 {
        let engine = engine(r#","delay_ms":600000"#);
        let call = engine.call(&Request::post(PATH), body(true));
        let mut closed = engine.close(Duration::from_millis(1));
        let waking = OnWake::<(Call, Engine)>::new();
        *waking.0.lock().unwrap() = Some((call, engine));
        let waker = Waker::from(waking.clone());
        if std::pin::Pin::new(&mut closed).poll(&mut Context::from_waker(&waker)).is_ready() {
            continue;
        }
        until("it was woken", || waking.1.load(Ordering::SeqCst) == 1);
        drop(closed);
        drop(waker);
        until("the waker is freed", || Arc::strong_count(&waking) == 1);
    }
    until("all engines are gone", || engine_threads() == before);
}

struct Panics(AtomicUsize);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("on purpose: a waker");
    }
}

/// A panic in a waker or a log stays where it is.
#[test]
fn panics_are_contained() {
    let _alone = alone();
    let logged = Arc::new(AtomicUsize::new(0));
    let count = logged.clone();
    let log: lb::Log = Box::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        panic!("on purpose: a log")
    });
    let options = Options { log_level: 4, log: Some(log), ..Options::default() };
    let engine = Engine::open(&echo(r#","delay_ms":20"#), options).unwrap();
    let panics = Arc::new(Panics(AtomicUsize::new(0)));
    let waker = Waker::from(panics.clone());
    for number in 1..=5 {
        let mut call = engine.call(&Request::post(PATH), body(true));
        assert!(poll_once(&mut call, &waker).is_pending());
        until("the waker panics", || panics.0.load(Ordering::SeqCst) == number);
        assert!(!block_on(block_on(call).unwrap().bytes()).unwrap().is_empty());
        block_on(engine.call(&Request::post(PATH).with(|it| it.deadline = Duration::from_nanos(1)), "{")).unwrap_err();
    }
    until("the log panics", || logged.load(Ordering::SeqCst) > 0);
    assert_eq!(block_on(engine.call(&Request::post(PATH), body(false))).unwrap().status(), 200);
}

/// Polls at odd times: too early, too often, with another waker each time, of futures that are made anew. Nothing is
/// lost or told twice, and the waker of the last poll is woken.
#[test]
fn each_poll_is_cancel_safe() {
    let _alone = alone();
    for seed in 0..40 {
        let mut chance = Chance(seed);
        let engine = engine(&format!(r#","events":200,"delay_ms":{}"#, seed % 2));
        let request = Request::post(PATH).with(|it| it.delivery = Delivery::Events).with(|it| it.window = 2048);
        let (mut sender, mut call) = engine.call_streaming(&request);
        let text = body(true);
        let (mut sent, mut pieces) = (0, Vec::new());
        while sent < text.len() {
            let (counter, waker) = Counter::new();
            let size = 1 + chance.below(40) as usize;
            let end = (sent + size).min(text.len());
            // A send that is dropped has sent nothing.
            let mut send = Box::pin(sender.send(&text[sent..end]));
            match send.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(done) => {
                    done.unwrap();
                    sent = end;
                }
                Poll::Pending if chance.below(2) == 0 => drop(send),
                Poll::Pending => until("there is room", || counter.woken() > 0),
            }
            let (_, idle) = Counter::new();
            assert!(poll_once(&mut call, &idle).is_pending());
        }
        sender.finish();
        let mut response = loop {
            let (counter, waker) = Counter::new();
            match poll_once(&mut call, &waker) {
                Poll::Ready(response) => break response.unwrap(),
                Poll::Pending if chance.below(2) == 0 => {}
                Poll::Pending => until("the head", || counter.woken() > 0),
            }
        };
        loop {
            let (counter, waker) = Counter::new();
            let polled = Box::pin(response.next()).as_mut().poll(&mut Context::from_waker(&waker));
            match polled {
                Poll::Ready(None) => break,
                Poll::Ready(Some(piece)) => pieces.push(String::from_utf8(piece.unwrap()).unwrap()),
                Poll::Pending if chance.below(3) == 0 => {}
                Poll::Pending => until("a piece", || counter.woken() > 0),
            }
        }
        assert_eq!(pieces.len(), 202);
        for (number, piece) in pieces[..200].iter().enumerate() {
            assert!(piece.contains(&format!("\"tok {} \"", number)), "{} {}", number, piece);
        }
        assert!(response.done().is_some());
    }
}

/// Only who polled last is woken, once for what came.
#[test]
fn wakers_are_replaced() {
    let _alone = alone();
    let engine = engine(r#","delay_ms":30,"events":1"#);
    let mut call = engine.call(&Request::post(PATH), body(false));
    let ((old, old_waker), (new, new_waker)) = (Counter::new(), Counter::new());
    assert!(poll_once(&mut call, &old_waker).is_pending());
    assert!(poll_once(&mut call, &new_waker).is_pending());
    assert!(poll_once(&mut call, &new_waker).is_pending());
    until("it was woken", || new.woken() > 0);
    assert_eq!((old.woken(), new.woken()), (0, 1));
    assert_eq!(Arc::strong_count(&old), 2, "nobody keeps the old one");
}

/// LB_TEST_CALLS of them; the issue's figure is 100000.
#[test]
fn memory_is_stable() {
    let _alone = alone();
    let calls: usize = std::env::var("LB_TEST_CALLS").map_or(5000, |it| it.parse().unwrap());
    let engine = engine(r#","events":5"#);
    let run = |count: usize| {
        block_on(async {
            for number in 0..count {
                let call = engine.call(&Request::post(PATH), body(number % 2 == 0));
                match number % 4 {
                    0 => drop(call),
                    1 => drop(call.await.unwrap()),
                    _ => drop(call.await.unwrap().bytes().await.unwrap()),
                }
            }
        })
    };
    run(calls / 5);
    let before = resident();
    run(calls);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{} calls took {} bytes more", calls, grown);
}

#[test]
fn ended_bodies_are_empty() {
    let _alone = alone();
    let engine = engine("");
    let mut response = block_on(engine.call(&Request::post(PATH), body(false))).unwrap();
    assert!(block_on(response.bytes()).is_ok());
    assert!(block_on(response.bytes()).unwrap().is_empty());
}
