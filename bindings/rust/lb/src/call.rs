use crate::engine::{millis, Engine, Handle};
use crate::error::check;
use crate::{parts, sys, Delivery, Done, Error, Result, Status};
use std::collections::VecDeque;
use std::future::{poll_fn, Future};
use std::mem::{swap, take};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{ready, Context, Poll, Waker};
use std::time::Duration;

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
    head: Vec<u8>,
    /// Of the calls.
    pub options: CallOptions,
}

impl Request {
    /// A request head: `Request::new("POST", "/v1/chat/completions")`.
    pub fn new(method: &str, path: &str) -> Request {
        let request = Request { head: Vec::with_capacity(256), options: CallOptions::default() };
        request.line(&[method.as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1"])
    }

    /// A POST of JSON.
    pub fn post(path: &str) -> Request {
        Request::new("POST", path).header("content-type", "application/json")
    }

    /// One more header line.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.line(&[name.as_bytes(), b": ", value.as_ref()])
    }

    // A line of one line: the core refuses NUL, where it would take the end of a line for what it is.
    fn line(mut self, parts: &[&[u8]]) -> Request {
        let bytes = parts.iter().flat_map(|it| it.iter());
        self.head.extend(bytes.map(|&it| if it == b'\r' || it == b'\n' { 0 } else { it }));
        self.head.extend_from_slice(b"\r\n");
        self
    }
}

pub(crate) fn number(event: &sys::lb_event, field: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: the event is lent, and so is its detail.
    (!event.detail.is_null() && unsafe { sys::lb_event_u64(event, field, &mut value) } != 0).then_some(value)
}

pub(crate) fn text(event: &sys::lb_event, field: u32) -> String {
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

type End = Result<Arc<Done>, Error>;

/// What to say to who wants more of a call that has ended.
fn why(end: &End) -> Error {
    end.as_ref().map_or_else(Clone::clone, |_| Status::GONE.into())
}

struct Head {
    code: u16,
    lines: Vec<u8>,
    window: u64,
}

/// Where the engine's thread leaves what comes, and the futures look for it.
#[derive(Default)]
struct State {
    lines: Vec<u8>, // Of the head, until it has come.
    head: Option<Head>,
    bytes: Vec<u8>,
    ends: VecDeque<usize>, // Where the pieces in `bytes` end; the last is its length.
    room: bool,
    failed: Vec<Done>,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn take(&mut self, event: &sys::lb_event) {
        // SAFETY: within `deliver`.
        let data = unsafe { data(event) };
        match event.kind {
            sys::LB_EVENT_DATA => {
                self.bytes.extend_from_slice(data);
                self.ends.push_back(self.bytes.len());
            }
            sys::LB_EVENT_HEAD => {
                let window = number(event, sys::LB_FIELD_WINDOW_BYTES).unwrap_or(0);
                self.lines.extend_from_slice(data);
                self.head = Some(Head { code: event.code as u16, lines: take(&mut self.lines), window });
            }
            sys::LB_EVENT_ROOM => self.room = true,
            sys::LB_EVENT_ATTEMPT => self.failed.push(Done::of(event, Vec::new())),
            sys::LB_EVENT_DONE => {
                let done = Done::of(event, take(&mut self.failed));
                self.end = Some(if done.status == Status::OK { Ok(Arc::new(done)) } else { Err(done.into()) });
            }
            _ => {}
        }
    }
}

/// The state of a call. One count of it travels as user_data and comes back with DONE.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    /// With room for a short answer: what the engine's thread allocates and another frees is what malloc is slow at.
    fn roomy() -> Arc<Shared> {
        let (lines, bytes, ends) = (Vec::with_capacity(512), Vec::with_capacity(1024), VecDeque::with_capacity(2));
        Arc::new(Shared(Mutex::new(State { lines, bytes, ends, ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what came, and says whom to wake.
    ///
    /// # Safety
    /// On the engine's thread, with events of one call in their order, all of them once.
    pub(crate) unsafe fn take(events: &[sys::lb_event]) -> [Option<Waker>; 2] {
        let shared = events[0].user_data as *const Shared;
        // SAFETY: the count that DONE gives back is still ours.
        let mut state = unsafe { &*shared }.lock();
        events.iter().for_each(|it| state.take(it));
        let ended = state.end.is_some();
        let reader = if state.head.is_some() || !state.ends.is_empty() || ended { state.reader.take() } else { None };
        let writer = if state.room || ended { state.writer.take() } else { None };
        drop(state);
        if ended {
            // SAFETY: this was DONE: user_data is ours again.
            drop(unsafe { Arc::from_raw(shared) });
        }
        [reader, writer]
    }

    /// What `find` finds; else `slot` gets the waker, to be woken when there may be more. Wakers are others' code, so
    /// none is cloned or dropped under the lock: declared before it, the one that is not kept is dropped behind it.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        slot: fn(&mut State) -> &mut Option<Waker>,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        if let Some(found) = find(&mut state) {
            return Poll::Ready(found);
        }
        swap(slot(&mut state), &mut waker);
        Poll::Pending
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
        if self.shared.lock().end.is_none() {
            // SAFETY: the engine lives; harmless on a call that has ended.
            unsafe { sys::lb_call_cancel(self.engine.engine, self.id) };
        }
    }
}

/// Who waits for the answer; dropped, it cancels the call.
struct Reader(Flight);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The future of a call's [`Response`], or of the error that came instead. The call has started when this exists;
/// dropped, it is cancelled.
#[must_use = "dropping it cancels the call"]
pub struct Call {
    reader: Option<Reader>, // Until the head is there.
    delivery: Delivery,
}

impl Call {
    pub(crate) fn start(engine: &Engine, request: &Request, body: &[u8], flags: u32) -> Call {
        let (shared, wanted, mut id) = (Shared::roomy(), &request.options, 0);
        let options = sized!(lb_call_options {
            delivery: wanted.delivery as u32,
            user_data: Arc::into_raw(shared.clone()) as u64,
            deadline_ms: millis(wanted.deadline) as u32,
            window_bytes: wanted.window,
            priority: wanted.priority,
            flags: flags | if wanted.attempts { sys::LB_CALL_ATTEMPTS } else { 0 },
        });
        let engine = engine.0.clone();
        let ((head, head_len), (body, body_len)) = (parts(&request.head), parts(body));
        // SAFETY: the engine and its queue live; everything is read before the function returns.
        let started = check(|err| unsafe {
            let (engine, queue) = (engine.engine, engine.queue());
            sys::lb_call_start(engine, queue, &options, head, head_len, body.cast(), body_len, &mut id, err)
        });
        if let Err(error) = started {
            shared.lock().end = Some(Err(error));
            // SAFETY: no event will come, so the count is ours.
            drop(unsafe { Arc::from_raw(options.user_data as *const Shared) });
        }
        Call { reader: Some(Reader(Flight { engine, shared, id })), delivery: wanted.delivery }
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender { flight: self.reader.as_ref().expect("it has just begun").0.clone(), whole: false }
    }
}

impl Future for Call {
    type Output = Result<Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let flight = &self.reader.as_ref().expect("it was ready before").0;
        let find = |state: &mut State| state.head.take().map(Ok).or_else(|| state.end.as_ref().map(|it| Err(why(it))));
        flight.shared.poll(cx, |it| &mut it.reader, find).map(|head| {
            let (head, reader) = (head?, self.reader.take().expect("as above"));
            let (delivery, bytes, ends) = (self.delivery, Vec::new(), VecDeque::new());
            Ok(Response { reader, head, delivery, bytes, ends, at: 0, spent: 0, done: None })
        })
    }
}

/// An answer: its head, and the stream of its body, in the pieces that [`CallOptions::delivery`] asked for. Dropped
/// before the end, it cancels the call.
#[must_use = "dropping it cancels the call"]
pub struct Response {
    reader: Reader,
    head: Head,
    delivery: Delivery,
    bytes: Vec<u8>,
    ends: VecDeque<usize>,
    at: usize,               // Of `bytes`, what has been taken.
    spent: u64,              // Taken, and not yet credited.
    done: Option<Arc<Done>>, // The stream has said its last.
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
        self.done.as_deref()
    }

    /// The next piece of the body; None is its end, and after an error nothing follows. Dropping this future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The rest of the body.
    pub async fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut all = self.next().await.unwrap_or_else(|| Ok(Vec::new()))?;
        while let Some(piece) = self.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }

    /// [`Response::next`] for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        if self.ends.is_empty() {
            if self.done.is_some() {
                return Poll::Ready(None);
            }
            self.bytes.clear();
            self.at = 0;
            let (bytes, ends) = (&mut self.bytes, &mut self.ends);
            let find = |state: &mut State| {
                if state.ends.is_empty() {
                    return state.end.clone().map(Some);
                }
                swap(bytes, &mut state.bytes);
                swap(ends, &mut state.ends);
                Some(None)
            };
            if let Some(end) = ready!(self.reader.0.shared.poll(cx, |it| &mut it.reader, find)) {
                self.done = Some(end.as_ref().map_or_else(|it| it.done.clone(), Arc::clone));
                return Poll::Ready(end.err().map(Err));
            }
        }
        let piece = self.take_piece();
        self.spent += piece.len() as u64;
        if self.spent * 2 >= self.head.window {
            // In halves of the window, as each credit wakes the engine.
            let Flight { engine, id, .. } = &self.reader.0;
            // SAFETY: the engine lives; harmless on a call that has ended.
            unsafe { sys::lb_call_credit(engine.engine, *id, take(&mut self.spent)) };
        }
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
}

/// Sends the body of a call that [`Engine::call_streaming`] started. Dropped before [`Sender::finish`], it cancels the
/// call: half a body is none.
#[must_use = "dropping it cancels the call"]
pub struct Sender {
    flight: Flight,
    whole: bool,
}

impl Sender {
    /// Waits until more is welcome, and sends it. An error is that of the call; GONE where it ended well, with an answer
    /// that did not wait for all of the body. Dropping this future sends nothing.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let find = |state: &mut State| match &state.end {
            Some(end) => Some(Err(why(end))),
            None => state.room.then_some(Ok(())),
        };
        poll_fn(|cx| self.flight.shared.poll(cx, |it| &mut it.writer, find)).await?;
        self.append(bytes.as_ref(), 0)
    }

    /// The body was whole.
    pub fn finish(mut self) {
        self.whole = true;
        let _ = self.append(&[], 1); // It fails where the call has ended, which its answer tells.
    }

    fn append(&self, bytes: &[u8], last: i32) -> Result<()> {
        let (Flight { engine, shared, id }, (at, len)) = (&self.flight, parts(bytes));
        shared.lock().room = false;
        // SAFETY: the engine lives; the bytes are read before the function returns.
        match Status(unsafe { sys::lb_call_append(engine.engine, *id, at.cast(), len, last) }) {
            Status::OK => Ok(()),
            status => Err(status.into()),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.whole {
            self.flight.cancel();
        }
    }
}

#[cfg(test)]
#[path = "call_test.rs"]
mod tests;
