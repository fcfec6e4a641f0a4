use crate::engine::{millis, Engine, Handle};
use crate::error::check;
use crate::{sys, Error, PollFn, Result, Status};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem::{size_of, take};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// In what pieces the body of an answer comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As it came, dechunked.
    #[default]
    Bytes = sys::LB_DELIVER_BYTES as isize,
    /// One piece for the data of each server-sent event.
    Events = sys::LB_DELIVER_EVENTS as isize,
    /// One piece with the whole body.
    Whole = sys::LB_DELIVER_WHOLE as isize,
}

/// What a call can be asked for. What is zero is the route's. (With the feature `http`, as an extension of a request.)
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// In what pieces the body comes.
    pub delivery: Delivery,
    /// For the whole call.
    pub deadline: Duration,
    /// How many bytes may wait to be taken.
    pub window: u32,
    /// Higher is served first when the call has to wait.
    pub priority: i32,
    /// Whether [`Done::failed`] is wanted.
    pub attempts: bool,
}

/// The head of an HTTP request, and the options of the calls that it starts. Header lines `x-lb-*` carry what `lb.h`
/// says.
#[derive(Clone, Debug)]
#[must_use]
pub struct Request {
    pub(crate) head: Vec<u8>,
    pub(crate) options: CallOptions,
}

impl Request {
    /// A request head: `Request::new("POST", "/v1/chat/completions")`.
    pub fn new(method: &str, path: &str) -> Request {
        let mut request = Request { head: Vec::with_capacity(256), options: CallOptions::default() };
        request.line(&[method.as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1"]);
        request
    }

    /// A POST of JSON.
    pub fn post(path: &str) -> Request {
        Request::new("POST", path).header("content-type", "application/json")
    }

    /// One more header line.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.line(&[name.as_bytes(), b": ", value.as_ref()]);
        self
    }

    // A line of one line: the core refuses NUL, where it would take the end of a line for what it is.
    pub(crate) fn line(&mut self, parts: &[&[u8]]) {
        let bytes = parts.iter().flat_map(|it| it.iter());
        self.head.extend(bytes.map(|&it| if it == b'\r' || it == b'\n' { 0 } else { it }));
        self.head.extend_from_slice(b"\r\n");
    }

    /// In what pieces the body comes.
    pub fn delivery(mut self, delivery: Delivery) -> Request {
        self.options.delivery = delivery;
        self
    }

    /// For the whole call.
    pub fn deadline(mut self, deadline: Duration) -> Request {
        self.options.deadline = deadline;
        self
    }

    /// How many bytes may wait to be taken.
    pub fn window(mut self, bytes: u32) -> Request {
        self.options.window = bytes;
        self
    }

    /// Higher is served first when the call has to wait.
    pub fn priority(mut self, priority: i32) -> Request {
        self.options.priority = priority;
        self
    }

    /// Whether [`Done::failed`] is wanted.
    pub fn attempts(mut self, wanted: bool) -> Request {
        self.options.attempts = wanted;
        self
    }
}

/// A try that ended without ending the call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// How it ended.
    pub status: Status,
    /// The HTTP status of the upstream, or 0.
    pub code: u16,
    /// Which deployment.
    pub upstream: String,
    /// Why, in a sentence.
    pub message: String,
}

/// What is known of a call that has ended; None is unknown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Done {
    /// Tokens of the prompt.
    pub tokens_in: Option<u64>,
    /// Tokens of the answer.
    pub tokens_out: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub tokens_cached: Option<u64>,
    /// How many upstreams were asked.
    pub attempts: u64,
    /// From the start to the first dispatch.
    pub queued: Duration,
    /// From the start to the first content.
    pub first_byte: Option<Duration>,
    /// From the start to the end.
    pub total: Duration,
    /// The deployment that served it, or was asked last.
    pub upstream: String,
    /// The model, as it was asked for.
    pub model: String,
    /// The same that the answer's x-lb-request-id says.
    pub request_id: String,
    /// Why it went where it went, as JSON; "" unless x-lb-trace asked.
    pub trace: String,
    /// Tries that ended without ending the call, where [`Request::attempts`] wanted them.
    pub failed: Vec<Attempt>,
}

fn number(event: &sys::lb_event, field: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: the event is lent, and so is its detail.
    (!event.detail.is_null() && unsafe { sys::lb_event_u64(event, field, &mut value) } != 0).then_some(value)
}

fn text(event: &sys::lb_event, field: u32) -> String {
    let (mut at, mut len) = (std::ptr::null(), 0);
    // SAFETY: as above; what is found is lent like the event.
    unsafe {
        if event.detail.is_null() || sys::lb_event_text(event, field, &mut at, &mut len) == 0 {
            return String::new();
        }
        String::from_utf8_lossy(std::slice::from_raw_parts(at.cast(), len)).into_owned()
    }
}

/// # Safety
/// For as long as the event is lent.
pub(crate) unsafe fn data(event: &sys::lb_event) -> &[u8] {
    if event.size == 0 {
        return &[];
    }
    // SAFETY: the engine lends so many bytes there.
    unsafe { std::slice::from_raw_parts(event.data.cast(), event.size as usize) }
}

struct Head {
    code: u16,
    lines: Vec<u8>,
    window: u64,
}

/// Where the engine's thread leaves what comes, and the futures look for it.
#[derive(Default)]
struct State {
    head: Option<Head>,
    bytes: Vec<u8>,
    ends: VecDeque<usize>, // Where the pieces in `bytes` end; the last is its length.
    room: bool,
    failed: Vec<Attempt>,
    done: Option<(Arc<Done>, Option<Error>)>,
    deaf: bool, // Nobody will look any more.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn take(&mut self, event: &sys::lb_event) {
        match event.kind {
            sys::LB_EVENT_DATA if !self.deaf => {
                // SAFETY: within `deliver`.
                self.bytes.extend_from_slice(unsafe { data(event) });
                self.ends.push_back(self.bytes.len());
            }
            sys::LB_EVENT_HEAD => {
                let window = number(event, sys::LB_FIELD_WINDOW_BYTES).unwrap_or(0);
                // SAFETY: within `deliver`.
                let lines = unsafe { data(event) }.to_vec();
                self.head = Some(Head { code: event.code as u16, lines, window });
            }
            sys::LB_EVENT_ROOM => self.room = true,
            sys::LB_EVENT_ATTEMPT => self.failed.push(Attempt {
                status: Status(event.status),
                code: event.code as u16,
                upstream: text(event, sys::LB_FIELD_UPSTREAM),
                message: text(event, sys::LB_FIELD_MESSAGE),
            }),
            sys::LB_EVENT_DONE => self.end(event),
            _ => {}
        }
    }

    fn end(&mut self, event: &sys::lb_event) {
        let time = |field| number(event, field).map(Duration::from_nanos);
        let done = Arc::new(Done {
            tokens_in: number(event, sys::LB_FIELD_TOKENS_IN),
            tokens_out: number(event, sys::LB_FIELD_TOKENS_OUT),
            tokens_cached: number(event, sys::LB_FIELD_TOKENS_CACHED),
            attempts: number(event, sys::LB_FIELD_ATTEMPTS).unwrap_or(0),
            queued: time(sys::LB_FIELD_QUEUED_NS).unwrap_or_default(),
            first_byte: time(sys::LB_FIELD_FIRST_BYTE_NS),
            total: time(sys::LB_FIELD_TOTAL_NS).unwrap_or_default(),
            upstream: text(event, sys::LB_FIELD_UPSTREAM),
            model: text(event, sys::LB_FIELD_MODEL),
            request_id: text(event, sys::LB_FIELD_REQUEST_ID),
            trace: text(event, sys::LB_FIELD_TRACE),
            failed: take(&mut self.failed),
        });
        let error = (event.status != sys::LB_OK).then(|| {
            let (message, retry) = (text(event, sys::LB_FIELD_MESSAGE), number(event, sys::LB_FIELD_RETRY_AFTER_MS));
            Error::of_call(Status(event.status), event.code, message, retry, done.clone())
        });
        self.done = Some((done, error));
    }
}

/// The state of a call. One count of it travels as user_data and comes back with DONE.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lock, push, wake.
    ///
    /// # Safety
    /// On the engine's thread, with events of one call in their order, all of them once.
    pub(crate) unsafe fn take(events: &[sys::lb_event]) {
        let shared = events[0].user_data as *const Shared;
        let (reader, writer, ended) = {
            // SAFETY: the count that DONE gives back is still ours.
            let mut state = unsafe { &*shared }.lock();
            events.iter().for_each(|it| state.take(it));
            let ended = state.done.is_some();
            let writer = if state.room || ended { state.writer.take() } else { None };
            let news = state.head.is_some() || !state.ends.is_empty() || ended;
            (if news { state.reader.take() } else { None }, writer, ended)
        };
        if ended {
            // SAFETY: this was DONE: user_data is ours again.
            drop(unsafe { Arc::from_raw(shared) });
        }
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }

    /// What `find` finds; else `slot` gets the waker, to be woken when there may be more. Wakers are others' code, so
    /// none is cloned or dropped under the lock.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        slot: fn(&mut State) -> &mut Option<Waker>,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut fresh = None;
        loop {
            let mut state = self.lock();
            if let Some(found) = find(&mut state) {
                drop(state);
                return Poll::Ready(found);
            }
            let slot = slot(&mut state);
            if slot.as_ref().map_or(false, |it| it.will_wake(cx.waker())) {
                drop(state);
                return Poll::Pending;
            }
            if fresh.is_some() {
                let old = std::mem::replace(slot, fresh);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }
}

/// A call that has begun.
#[derive(Clone)]
struct Flight {
    engine: Arc<Handle>,
    shared: Arc<Shared>,
    id: sys::lb_call,
}

impl Flight {
    fn cancel(&self) {
        // SAFETY: the engine lives; harmless on a call that has ended.
        unsafe { sys::lb_call_cancel(self.engine.engine, self.id) };
    }
}

/// Who waits for the answer; dropped, it cancels the call unless that has ended.
struct Reader(Flight);

impl Drop for Reader {
    fn drop(&mut self) {
        let (ended, _bytes, _waker) = {
            let mut state = self.0.shared.lock();
            state.deaf = true;
            (state.done.is_some(), (take(&mut state.bytes), take(&mut state.ends)), state.reader.take())
        };
        if !ended {
            self.0.cancel();
        }
    }
}

// The mutex is never locked: it makes calls and responses Sync, whatever the body is.
pub(crate) type Pump = Mutex<Pin<Box<dyn Future<Output = Result<()>> + Send>>>;

/// Goes on with sending the request's body, while its answer is waited for. Of its errors only those of the body's own
/// source count: the answer tells the others.
fn pump_on(pump: &mut Option<Pump>, cx: &mut Context<'_>) -> Result<()> {
    let running = pump.as_mut().map(|it| it.get_mut().unwrap_or_else(PoisonError::into_inner));
    let done = match running.map(|it| it.as_mut().poll(cx)) {
        Some(Poll::Ready(done)) => done,
        _ => return Ok(()),
    };
    *pump = None;
    done.or_else(|error| if error.cause.is_some() { Err(error) } else { Ok(()) })
}

/// The future of a call's [`Response`], or of the error that came instead. The call has started when this exists;
/// dropped, it is cancelled.
#[must_use = "dropping it cancels the call"]
pub struct Call {
    reader: Result<Reader, Error>,
    delivery: Delivery,
    pub(crate) pump: Option<Pump>,
}

impl Call {
    pub(crate) fn start(engine: &Engine, request: &Request, body: &[u8], flags: u32) -> Call {
        let shared = Arc::new(Shared::default());
        let wanted = &request.options;
        let options = sys::lb_call_options {
            struct_size: size_of::<sys::lb_call_options>() as u32,
            delivery: wanted.delivery as u32,
            user_data: Arc::into_raw(shared.clone()) as u64,
            deadline_ms: millis(wanted.deadline).min(u32::MAX.into()) as u32,
            window_bytes: wanted.window,
            priority: wanted.priority,
            flags: flags | if wanted.attempts { sys::LB_CALL_ATTEMPTS } else { 0 },
        };
        let mut id = 0;
        let (handle, head) = (&engine.0, &request.head);
        // SAFETY: the engine and its queue live; everything is read before the function returns.
        let started = check(|err| unsafe {
            let (head_at, body_at) = (head.as_ptr().cast(), body.as_ptr().cast());
            let (engine, queue) = (handle.engine, handle.queue);
            sys::lb_call_start(engine, queue, &options, head_at, head.len(), body_at, body.len(), &mut id, err)
        });
        if started.is_err() {
            // SAFETY: no event will come, so the count is ours.
            drop(unsafe { Arc::from_raw(options.user_data as *const Shared) });
        }
        let reader = started.map(|()| Reader(Flight { engine: handle.clone(), shared, id }));
        Call { reader, delivery: wanted.delivery, pump: None }
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender(self.reader.as_ref().map(|it| it.0.clone()).map_err(Clone::clone))
    }
}

impl Future for Call {
    type Output = Result<Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        pump_on(&mut this.pump, cx)?;
        let flight = match &this.reader {
            Ok(reader) => &reader.0,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        let found = flight.shared.poll(
            cx,
            |it| &mut it.reader,
            |state| {
                let error = |it: &(Arc<Done>, Option<Error>)| it.1.clone().unwrap_or_else(|| Status::GONE.into());
                state.head.take().map(Ok).or_else(|| state.done.as_ref().map(|it| Err(error(it))))
            },
        );
        let head = match found {
            Poll::Ready(found) => found?,
            Poll::Pending => return Poll::Pending,
        };
        let reader = std::mem::replace(&mut this.reader, Err(Status::GONE.into()))?;
        let (delivery, pump) = (this.delivery, this.pump.take());
        let (bytes, ends) = (Vec::new(), VecDeque::new());
        Poll::Ready(Ok(Response {
            reader,
            head,
            delivery,
            pump,
            bytes,
            ends,
            at: 0,
            spent: 0,
            done: None,
            over: false,
        }))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// An answer: its head, and the stream of its body, in the pieces that [`Request::delivery`] asked for. Dropped before
/// the end, it cancels the call.
#[must_use = "dropping it cancels the call"]
pub struct Response {
    reader: Reader,
    head: Head,
    delivery: Delivery,
    pump: Option<Pump>,
    bytes: Vec<u8>,
    ends: VecDeque<usize>,
    at: usize,               // Of `bytes`, what has been taken.
    spent: u64,              // Taken, and not yet credited.
    done: Option<Arc<Done>>, // DONE has come, though not all that came before it has been taken.
    over: bool,              // The stream has said its last.
}

impl Response {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.code
    }

    /// The header lines, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.lines.split(|&it| it == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&it| it == b':')?;
            let value = line.get(colon + 2..line.len().checked_sub(1)?)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, value))
        })
    }

    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|it| it.0.eq_ignore_ascii_case(name)).and_then(|it| std::str::from_utf8(it.1).ok())
    }

    /// What is known of the call, once the body has ended, well or not.
    pub fn done(&self) -> Option<&Done> {
        self.done.as_deref().filter(|_| self.over)
    }

    /// The next piece of the body; None is its end, and after an error nothing follows. Dropping this future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        PollFn(|cx: &mut Context<'_>| self.poll_next(cx)).await
    }

    /// The rest of the body.
    pub async fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await {
            if all.is_empty() {
                all = piece?;
            } else {
                all.extend_from_slice(&piece?);
            }
        }
        Ok(all)
    }

    /// [`Response::next`] for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Err(error) = pump_on(&mut self.pump, cx) {
            self.over = true;
            return Poll::Ready(Some(Err(error)));
        }
        if self.ends.is_empty() {
            self.bytes.clear();
            self.at = 0;
            let (bytes, ends, known) = (&mut self.bytes, &mut self.ends, &mut self.done);
            let found = self.reader.0.shared.poll(
                cx,
                |it| &mut it.reader,
                |state| {
                    *known = state.done.as_ref().map(|it| it.0.clone());
                    if state.ends.is_empty() {
                        return state.done.as_ref().map(|it| it.1.clone());
                    }
                    std::mem::swap(bytes, &mut state.bytes);
                    std::mem::swap(ends, &mut state.ends);
                    Some(None)
                },
            );
            match found {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) if !self.ends.is_empty() => {}
                Poll::Ready(error) => {
                    self.over = true;
                    return Poll::Ready(error.map(Err));
                }
            }
        }
        let piece = self.take_piece();
        self.credit(piece.len() as u64);
        Poll::Ready(Some(Ok(piece)))
    }

    fn take_piece(&mut self) -> Vec<u8> {
        if self.delivery != Delivery::Events {
            self.ends.clear();
            return take(&mut self.bytes);
        }
        let from = std::mem::replace(&mut self.at, self.ends.pop_front().unwrap_or(0));
        self.bytes[from..self.at].to_vec()
    }

    /// In halves of the window: each credit wakes the engine.
    fn credit(&mut self, bytes: u64) {
        self.spent += bytes;
        if self.done.is_none() && self.spent * 2 >= self.head.window {
            // SAFETY: the engine lives; harmless on a call that has ended.
            unsafe { sys::lb_call_credit(self.reader.0.engine.engine, self.reader.0.id, take(&mut self.spent)) };
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.head.code).field("done", &self.done).finish_non_exhaustive()
    }
}

/// Sends the body of a call that [`Engine::call_streaming`] started. Dropped before [`Sender::finish`], it cancels the
/// call: half a body is none.
#[must_use = "dropping it cancels the call"]
pub struct Sender(Result<Flight, Error>);

impl Sender {
    /// Waits until more is welcome, and sends it. An error is that of the call; GONE where it ended well, with an answer
    /// that did not wait for all of the body. Dropping this future sends nothing.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        PollFn(|cx: &mut Context<'_>| self.poll_ready(cx)).await?;
        self.push(bytes)
    }

    /// Whether more is welcome.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flight = match &self.0 {
            Ok(flight) => flight,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        flight.shared.poll(
            cx,
            |it| &mut it.writer,
            |state| match &state.done {
                Some((_, error)) => Some(Err(error.clone().unwrap_or_else(|| Status::GONE.into()))),
                None => state.room.then(|| Ok(())),
            },
        )
    }

    /// Sends without waiting; what is not welcome yet is held in memory.
    pub fn push(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.append(bytes.as_ref(), false)
    }

    /// The body was whole.
    pub fn finish(mut self) {
        self.end();
    }

    pub(crate) fn end(&mut self) {
        let _ = self.append(&[], true); // It fails where the call has ended, which its answer tells.
        self.0 = Err(Status::GONE.into());
    }

    fn append(&mut self, bytes: &[u8], last: bool) -> Result<()> {
        let flight = self.0.as_ref().map_err(Clone::clone)?;
        flight.shared.lock().room = false;
        let (engine, at) = (flight.engine.engine, bytes.as_ptr().cast());
        // SAFETY: the engine lives; the bytes are read before the function returns.
        match Status(unsafe { sys::lb_call_append(engine, flight.id, at, bytes.len(), last.into()) }) {
            Status::OK => Ok(()),
            status => Err(status.into()),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Ok(flight) = &self.0 {
            flight.cancel();
            let _waker = flight.shared.lock().writer.take();
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// What needs no engine, so that Miri can run it: events as the engine's thread brings them, and who waits for them.
#[cfg(test)]
mod tests {
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
        unsafe { Shared::take(&events) };
        assert!(weak.upgrade().is_some());
        // SAFETY: as above.
        unsafe { Shared::take(&[event(raw, sys::LB_EVENT_DATA, b"c"), event(raw, sys::LB_EVENT_DONE, b"")]) };
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
                unsafe { Shared::take(&[data, data]) };
            }
            // SAFETY: as above.
            unsafe { Shared::take(&[event(address as *const Shared, sys::LB_EVENT_DONE, b"")]) };
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
        assert_eq!(shared.lock().done.as_ref().unwrap().1.as_ref().unwrap().status(), Status::DEADLINE);
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
        let room = |state: &mut State| state.room.then(|| ());
        assert!(shared.poll(&mut Context::from_waker(&waker), |it| &mut it.writer, room).is_pending());
        // SAFETY: as the engine does it.
        unsafe { Shared::take(&[event(raw, sys::LB_EVENT_ROOM, b"")]) };
        assert_eq!((reader.0.load(Ordering::SeqCst), writer.0.load(Ordering::SeqCst)), (0, 1));
        let data = event(raw, sys::LB_EVENT_DATA, b"x");
        // SAFETY: as above.
        unsafe { Shared::take(&[data, data, event(raw, sys::LB_EVENT_DONE, b"")]) };
        assert_eq!((reader.0.load(Ordering::SeqCst), writer.0.load(Ordering::SeqCst)), (1, 1));
        assert_eq!(take_pieces(&shared, &old).unwrap(), b"xx");
    }

    #[test]
    fn heads_are_lines() {
        let request = Request::post("/v1/x").header("a", "b\r\nc: d");
        assert_eq!(request.head, b"POST /v1/x HTTP/1.1\r\ncontent-type: application/json\r\na: b\0\0c: d\r\n");
    }
}
