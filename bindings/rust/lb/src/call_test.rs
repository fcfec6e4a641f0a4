//! What needs no engine, so that Miri can run it: events as the engine's thread brings them, and who waits for them.
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Weak;
use std::task::Wake;

fn event(shared: *const Shared, kind: u32, bytes: &'static [u8]) -> sys::lb_event {
    sys::lb_event {
        call: 1,
        user_data: shared as u64,
        time_ns: 1,
        data: bytes.as_ptr().cast(),
        size: bytes.len() as u64,
        detail: std::ptr::null(),
        kind,
        status: if kind == sys::LB_EVENT_DONE { sys::LB_DEADLINE } else { sys::LB_OK },
        code: 200,
        flags: 0,
    }
}

/// # Safety
/// As that of [`Shared::take`].
unsafe fn take_and_wake(events: &[sys::lb_event]) {
    // SAFETY: see above.
    unsafe { Shared::take(events) }.into_iter().flatten().for_each(Waker::wake);
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A shared state with the count that travels, and what is left when both are gone.
fn travelling() -> (Arc<Shared>, *const Shared, Weak<Shared>) {
    let shared = Arc::new(Shared::default());
    let (raw, weak) = (Arc::into_raw(shared.clone()), Arc::downgrade(&shared));
    (shared, raw, weak)
}

fn take_pieces(shared: &Shared, waker: &Waker) -> Option<Vec<u8>> {
    let found = shared.poll(
        &mut Context::from_waker(waker),
        |it| &mut it.reader,
        |state| (!state.ends.is_empty()).then(|| (take(&mut state.ends), take(&mut state.bytes)).1),
    );
    match found {
        Poll::Ready(bytes) => Some(bytes),
        Poll::Pending => None,
    }
}

#[test]
fn freed_with_done() {
    let (shared, raw, weak) = travelling();
    drop(shared); // Nobody listens; the count that travels is the last.
    let events = [sys::LB_EVENT_HEAD, sys::LB_EVENT_DATA, sys::LB_EVENT_ROOM].map(|kind| event(raw, kind, b"ab"));
    // SAFETY: as the engine does it.
    unsafe { take_and_wake(&events) };
    assert!(weak.upgrade().is_some());
    // SAFETY: as above.
    unsafe { take_and_wake(&[event(raw, sys::LB_EVENT_DATA, b"c"), event(raw, sys::LB_EVENT_DONE, b"")]) };
    assert!(weak.upgrade().is_none());
}

#[test]
fn across_threads() {
    let (shared, raw, weak) = travelling();
    let address = raw as u64;
    let engine = std::thread::spawn(move || {
        for _ in 0..20 {
            let data = event(address as *const Shared, sys::LB_EVENT_DATA, b"0123456789");
            // SAFETY: as the engine does it.
            unsafe { take_and_wake(&[data, data]) };
        }
        // SAFETY: as above.
        unsafe { take_and_wake(&[event(address as *const Shared, sys::LB_EVENT_DONE, b"")]) };
    });
    let counter = Arc::new(Counter::default());
    let (waker, mut bytes) = (Waker::from(counter.clone()), Vec::new());
    while bytes.len() < 400 {
        match take_pieces(&shared, &waker) {
            Some(more) => bytes.extend(more),
            None => std::thread::yield_now(),
        }
    }
    engine.join().unwrap();
    assert!(bytes.chunks(10).all(|it| it == b"0123456789"));
    assert_eq!(shared.lock().end.as_ref().unwrap().as_ref().unwrap_err().status, Status::DEADLINE);
    drop(shared);
    assert!(weak.upgrade().is_none());
    drop(waker);
    assert_eq!(Arc::strong_count(&counter), 1);
}

/// The waker of the last poll is woken, once a batch, and by news of its own only.
#[test]
fn wakes_who_waits() {
    let (shared, raw, _) = travelling();
    let (reader, writer) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    let old = Waker::from(Arc::new(Counter::default()));
    assert!(take_pieces(&shared, &old).is_none());
    assert!(take_pieces(&shared, &Waker::from(reader.clone())).is_none());
    let waker = Waker::from(writer.clone());
    let room = |state: &mut State| state.room.then_some(());
    assert!(shared.poll(&mut Context::from_waker(&waker), |it| &mut it.writer, room).is_pending());
    // SAFETY: as the engine does it.
    unsafe { take_and_wake(&[event(raw, sys::LB_EVENT_ROOM, b"")]) };
    assert_eq!((reader.0.load(Ordering::SeqCst), writer.0.load(Ordering::SeqCst)), (0, 1));
    let data = event(raw, sys::LB_EVENT_DATA, b"x");
    // SAFETY: as above.
    unsafe { take_and_wake(&[data, data, event(raw, sys::LB_EVENT_DONE, b"")]) };
    assert_eq!((reader.0.load(Ordering::SeqCst), writer.0.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(take_pieces(&shared, &old).unwrap(), b"xx");
}

#[test]
fn heads_are_lines() {
    let request = Request::post("/v1/x").header("a", "b\r\nc: d");
    assert_eq!(request.head, b"POST /v1/x HTTP/1.1\r\ncontent-type: application/json\r\na: b\0\0c: d\r\n");
}
