use crate::call::{self, Call, Request, Sender, Shared};
use crate::error::{check, owned, text};
use crate::{sys, Result, Status};
use std::fmt;
use std::future::Future;
use std::mem::size_of;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Log = Box<dyn Fn(u32, &str) + Send + Sync>;
pub(crate) type Select = Box<dyn Fn(&[Candidate]) -> Option<usize> + Send + Sync>;

/// How to open an [`Engine`]. What is left out is the core's default.
#[derive(Default)]
#[must_use]
pub struct Options {
    flags: u32,
    seed: u64,
    calls_max: u32,
    log_level: u32,
    log: Option<Log>,
    select: Option<Select>,
}

impl Options {
    /// All defaults.
    pub fn new() -> Options {
        Options::default()
    }

    /// The configuration may name secrets as `{"env": NAME}` or `{"file": PATH}`.
    pub fn secrets(mut self) -> Options {
        self.flags |= sys::LB_ENGINE_SECRETS;
        self
    }

    /// What the configuration says under "listen" is not opened.
    pub fn no_listen(mut self) -> Options {
        self.flags |= sys::LB_ENGINE_NO_LISTEN;
        self
    }

    /// The seed of every random choice.
    pub fn seed(mut self, seed: u64) -> Options {
        self.seed = seed;
        self
    }

    /// How many calls may be in flight.
    pub fn calls_max(mut self, calls: u32) -> Options {
        self.calls_max = calls;
        self
    }

    /// Takes the log: lines of JSON up to `level` (1 error, 2 warn, 3 info, 4 debug), each with its level. It runs on
    /// the engine's thread.
    pub fn log(mut self, level: u32, log: impl Fn(u32, &str) + Send + Sync + 'static) -> Options {
        self.log_level = level;
        self.log = Some(Box::new(log));
        self
    }

    /// Chooses for routes with `balance: host`: the index of a candidate; None leaves the choice to lb. It runs on the
    /// engine's thread and must not call lb.
    pub fn select(mut self, select: impl Fn(&[Candidate]) -> Option<usize> + Send + Sync + 'static) -> Options {
        self.select = Some(Box::new(select));
        self
    }

    /// Opens an engine, its listeners and its thread, by a configuration in JSON or YAML.
    pub fn open(self, config: &str) -> Result<Engine> {
        let hub = Arc::new(Hub { log: self.log, select: self.select, ..Hub::default() });
        let options = sys::lb_engine_options {
            struct_size: size_of::<sys::lb_engine_options>() as u32,
            flags: self.flags,
            seed: self.seed,
            calls_max: self.calls_max,
            log_level: self.log_level,
            select: hub.select.as_ref().map(|_| select as sys::lb_select),
            select_ctx: hub.select.as_ref().map_or(ptr::null_mut(), |it| it as *const Select as *mut sys::c_void),
        };
        let mut engine = ptr::null_mut();
        // SAFETY: all pointers are valid; the hub outlives the engine (see Hub).
        check(|err| unsafe { sys::lb_engine_open(&options, config.as_ptr().cast(), config.len(), &mut engine, err) })?;
        let options = sys::lb_queue_options {
            struct_size: size_of::<sys::lb_queue_options>() as u32,
            flags: 0,
            wake: None,
            deliver: Some(deliver),
            ctx: Arc::into_raw(hub.clone()) as *mut sys::c_void,
        };
        let mut queue = ptr::null_mut();
        // SAFETY: as above.
        if let Err(error) = check(|err| unsafe { sys::lb_queue_open(engine, &options, &mut queue, err) }) {
            // SAFETY: nobody else knows the engine, and without a queue nobody has the hub's second count.
            unsafe {
                sys::lb_engine_free(engine);
                drop(Arc::from_raw(options.ctx as *const Hub));
            }
            return Err(error);
        }
        hub.queue.store(queue, Ordering::Release);
        Ok(Engine(Arc::new(Handle { engine, queue, hub })))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("flags", &self.flags).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// A deployment that may take a call, as [`Options::select`] sees it.
#[repr(transparent)]
#[derive(Debug)]
pub struct Candidate(sys::lb_candidate);

impl Candidate {
    /// The name of the deployment.
    pub fn deployment(&self) -> &str {
        // SAFETY: lent for as long as the candidate is.
        unsafe { text(self.0.deployment) }
    }
    /// The model; "*" where it takes every model.
    pub fn model(&self) -> &str {
        // SAFETY: as above.
        unsafe { text(self.0.model) }
    }
    /// As configured, less while it comes back from a fault.
    pub fn weight(&self) -> f64 {
        self.0.weight
    }
    /// The used share of its tightest limit, 0 to 1.
    pub fn utilisation(&self) -> f64 {
        self.0.utilisation
    }
    /// In its tightest window behind this call.
    pub fn tokens_left(&self) -> f64 {
        self.0.tokens_left
    }
    /// Reserved by calls that have not ended.
    pub fn tokens_in_flight(&self) -> f64 {
        self.0.tokens_in_flight
    }
    /// The recent time to first content, where one is known.
    pub fn latency(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.0.latency_ns)).filter(|it| !it.is_zero())
    }
    /// Calls.
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight
    }
}

/// The function behind [`Options::select`]; a panic in it leaves the choice to lb.
pub(crate) unsafe extern "C" fn select(ctx: *mut sys::c_void, candidates: *const sys::lb_candidate, n: usize) -> usize {
    // SAFETY: `ctx` is the Select of a hub that lives; a Candidate is an lb_candidate.
    let (select, candidates) =
        unsafe { (&*(ctx as *const Select), std::slice::from_raw_parts(candidates.cast::<Candidate>(), n)) };
    contained(|| select(candidates)).flatten().unwrap_or(usize::MAX)
}

/// Runs what others wrote, without letting a panic out into the engine's thread.
fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(panic) => {
            std::mem::forget(panic); // Dropping it could panic again.
            None
        }
    }
}

/// What the engine's thread knows. One count of it is the queue's; it ends, with the queue, when both CLOSED has come
/// and the engine has been freed, whichever is last: the free may happen within `deliver`, and CLOSED follows it then.
#[derive(Default)]
struct Hub {
    log: Option<Log>,
    select: Option<Select>,
    queue: AtomicPtr<sys::lb_queue>,
    half_ended: AtomicBool,
    closed: Mutex<(bool, Vec<Waker>)>,
}

impl Hub {
    fn take(&self, event: &sys::lb_event) {
        match (event.kind, &self.log) {
            (sys::LB_EVENT_LOG, Some(log)) => log(event.code, &String::from_utf8_lossy(unsafe { call::data(event) })),
            (sys::LB_EVENT_CLOSED, _) => {
                let wakers = {
                    let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
                    closed.0 = true;
                    std::mem::take(&mut closed.1)
                };
                wakers.into_iter().for_each(|it| contained(|| it.wake()).unwrap_or(()));
            }
            _ => {}
        }
    }

    /// # Safety
    /// Once for CLOSED and once for the free, with the pointer that the queue has.
    unsafe fn half_end(hub: *const Hub) {
        // SAFETY: until the second of the two the queue's count holds it.
        unsafe {
            if (*hub).half_ended.swap(true, Ordering::AcqRel) {
                sys::lb_queue_close((*hub).queue.load(Ordering::Acquire));
                drop(Arc::from_raw(hub));
            }
        }
    }
}

/// Takes a turn's events, on the engine's thread.
unsafe extern "C" fn deliver(ctx: *mut sys::c_void, events: *const sys::lb_event, count: usize) {
    let hub = ctx as *const Hub;
    // SAFETY: the engine lends the events for this call, and the queue holds the hub.
    let mut events = unsafe { std::slice::from_raw_parts(events, count) };
    while let Some(first) = events.first() {
        let same = events.iter().take_while(|it| it.call == first.call).count();
        let (group, rest) = events.split_at(if first.call == 0 { 1 } else { same });
        events = rest;
        if first.call != 0 {
            // SAFETY: the events of one call, whose user_data is a Shared of which DONE gives back the count.
            contained(|| unsafe { Shared::take(group) });
            continue;
        }
        // SAFETY: as above.
        contained(|| unsafe { &*hub }.take(first));
        if first.kind == sys::LB_EVENT_CLOSED {
            // SAFETY: CLOSED comes once.
            unsafe { Hub::half_end(hub) };
        }
    }
}

/// The engine and its one queue, for as long as any [`Engine`], [`Call`] or [`Response`](crate::Response) lives.
pub(crate) struct Handle {
    pub(crate) engine: *mut sys::lb_engine,
    pub(crate) queue: *mut sys::lb_queue,
    hub: Arc<Hub>,
}

// SAFETY: what is called with these pointers may be called on any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: nobody else has the engine any more. On its own thread this detaches, and CLOSED comes later.
        unsafe {
            sys::lb_engine_free(self.engine);
            Hub::half_end(Arc::as_ptr(&self.hub));
        }
    }
}

/// An engine: sockets, pools and policies on a thread of its own. Clones are the same engine; it closes when the last
/// of them is dropped, and its calls and responses too.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Handle>);

impl Engine {
    /// Opens an engine by a configuration in JSON or YAML; see [`Options`] for more.
    pub fn open(config: &str) -> Result<Engine> {
        Options::new().open(config)
    }

    /// Starts a call with the whole of its body. What is wrong at once is told by the future, too.
    pub fn call(&self, request: &Request, body: impl AsRef<[u8]>) -> Call {
        Call::start(self, request, body.as_ref(), 0)
    }

    /// Starts a call whose body is still to be sent. A "content-length" in the request says how long it will be, if that
    /// is known. The answer can come before the body has ended.
    pub fn call_streaming(&self, request: &Request) -> (Sender, Call) {
        let call = Call::start(self, request, &[], sys::LB_CALL_APPEND);
        (call.sender(), call)
    }

    /// Replaces the whole configuration, or changes nothing and says why. Waits for the engine's thread.
    pub fn configure(&self, config: &str) -> Result<()> {
        // SAFETY: the engine lives; the text is read before the function returns.
        check(|err| unsafe { sys::lb_engine_configure(self.0.engine, config.as_ptr().cast(), config.len(), err) })
    }

    /// Takes a deployment out for that long, or (zero) back in at once; `model` "" is all of its models.
    pub fn mark(&self, deployment: &str, model: &str, out: Duration) -> Result<()> {
        let (name, model, ms) = (deployment.as_bytes(), model.as_bytes(), millis(out));
        // SAFETY: as above.
        check(|err| unsafe {
            let (model_at, model_len) = (model.as_ptr().cast(), model.len());
            sys::lb_engine_mark(self.0.engine, name.as_ptr().cast(), name.len(), model_at, model_len, ms, err)
        })
    }

    /// Where listener `name` ("" is the first) is bound: "127.0.0.1:8080", for SDKs that want a base URL.
    pub fn address(&self, name: &str) -> Result<String> {
        let mut out = vec![0u8; 64];
        loop {
            // SAFETY: the engine lives, and `out` has that much room.
            let len = unsafe {
                let at = out.as_mut_ptr().cast();
                sys::lb_engine_address(self.0.engine, name.as_ptr().cast(), name.len(), at, out.len())
            };
            if len < 0 {
                return Err(Status(len).into());
            }
            if (len as usize) < out.len() {
                out.truncate(len as usize);
                return Ok(String::from_utf8_lossy(&out).into_owned());
            }
            out.resize(len as usize + 1, 0);
        }
    }

    /// A snapshot, as JSON.
    pub fn stats_json(&self) -> Result<String> {
        self.stats(0)
    }

    /// A snapshot in the text format of Prometheus.
    pub fn stats_prometheus(&self) -> Result<String> {
        self.stats(1)
    }

    fn stats(&self, format: u32) -> Result<String> {
        let mut len = 0;
        // SAFETY: the engine lives, and the text is ours to free.
        let text = unsafe { owned(sys::lb_engine_stats(self.0.engine, format, &mut len), len) };
        text.ok_or_else(|| Status::FORKED.into())
    }

    /// Takes no more calls, and cancels what is left after `drain`. The future is of the moment when all have ended;
    /// dropping it changes nothing. The shortest drain holds.
    pub fn close(&self, drain: Duration) -> Closed {
        // SAFETY: the engine lives.
        let status = unsafe { sys::lb_engine_close(self.0.engine, millis(drain).min(u32::MAX.into()) as u32) };
        Closed { hub: self.0.hub.clone(), foreign: status == sys::LB_FORKED }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.0.engine).finish()
    }
}

/// In whole milliseconds; only zero is zero.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from((time.as_nanos() + 999_999) / 1_000_000).unwrap_or(u64::MAX)
}

/// The future of an engine's having closed; see [`Engine::close`].
#[derive(Clone)]
#[must_use = "the engine closes without it; await it to know when"]
pub struct Closed {
    hub: Arc<Hub>,
    foreign: bool,
}

impl Future for Closed {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut closed = self.hub.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.0 || self.foreign {
            return Poll::Ready(());
        }
        if !closed.1.iter().any(|it| it.will_wake(&waker)) {
            closed.1.push(waker);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
