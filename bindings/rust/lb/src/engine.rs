use crate::call::{data, Call, Request, Sender, Shared};
use crate::error::{check, owned};
use crate::{parts, sys, Result, Status};
use std::future::{poll_fn, Future};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How to open an [`Engine`]. What is left out is the core's default.
#[derive(Default)]
pub struct Options {
    /// The configuration may name secrets as `{"env": NAME}` or `{"file": PATH}`.
    pub secrets: bool,
    /// What the configuration says under "listen" is not opened.
    pub no_listen: bool,
    /// The seed of every random choice.
    pub seed: u64,
    /// How many calls may be in flight.
    pub calls_max: u32,
    /// Up to which level `log` is wanted: 1 error, 2 warn, 3 info, 4 debug.
    pub log_level: u32,
    /// It runs on the engine's thread.
    pub log: Option<Log>,
}

/// Takes a line of the log, which is JSON, with its level.
pub type Log = Box<dyn Fn(u32, &str) + Send + Sync>;

/// Checks a configuration without opening anything or reading a secret.
pub fn check_config(config: &str) -> Result<()> {
    // SAFETY: the text is read before the function returns.
    check(|err| unsafe { sys::lb_config_check(config.as_ptr().cast(), config.len(), err) })
}

/// Runs what others wrote, without letting a panic out into the engine's thread.
fn contained(run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        // Dropping what was thrown could panic again.
        catch_unwind(AssertUnwindSafe(|| drop(panic))).unwrap_or_else(std::mem::forget);
    }
}

fn wake(waker: Waker) {
    contained(|| waker.wake())
}

/// What the engine's thread knows. One count of it is the queue's, which it gives back with CLOSED; the other is of the
/// [`Handle`]. With the last of them the queue is closed: when the engine is freed within `deliver`, CLOSED follows.
pub(crate) struct Hub {
    log: Option<Log>,
    queue: AtomicPtr<sys::lb_queue>,
    closed: Mutex<(bool, Vec<Waker>)>,
}

impl Hub {
    fn take(&self, event: &sys::lb_event) {
        if let (sys::LB_EVENT_LOG, Some(log)) = (event.kind, &self.log) {
            // SAFETY: within `deliver`.
            contained(|| log(event.code, &String::from_utf8_lossy(unsafe { data(event) })));
        }
    }

    /// Says who waits for it.
    fn end(&self) -> Vec<Waker> {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.0 = true;
        std::mem::take(&mut closed.1)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let queue = *self.queue.get_mut();
        if !queue.is_null() {
            // SAFETY: nobody starts a call on it any more, and no event is to come.
            unsafe { sys::lb_queue_close(queue) }
        }
    }
}

/// Takes a turn's events, on the engine's thread.
unsafe extern "C" fn deliver(ctx: *mut sys::c_void, events: *const sys::lb_event, count: usize) {
    // SAFETY: the engine lends the events for this call, and the queue has a count of the hub until CLOSED.
    let (hub, mut events) = unsafe { (&*(ctx as *const Hub), std::slice::from_raw_parts(events, count)) };
    // Behind all that came: a runtime's thread that wakes for one call sleeps again before it hears of the next.
    let (mut wakers, mut last) = (Vec::with_capacity(count), None);
    while let Some(first) = events.first() {
        let same = if first.call == 0 { 1 } else { events.iter().take_while(|it| it.call == first.call).count() };
        let (group, rest) = events.split_at(same);
        events = rest;
        match first.kind {
            // SAFETY: the events of one call, whose user_data is a Shared.
            _ if first.call != 0 => wakers.extend(unsafe { Shared::take(group) }.into_iter().flatten()),
            sys::LB_EVENT_CLOSED => {
                wakers.append(&mut hub.end());
                // SAFETY: it comes once, and nothing comes after it.
                last = Some(unsafe { Arc::from_raw(ctx as *const Hub) });
            }
            _ => hub.take(first),
        }
    }
    wakers.into_iter().for_each(wake);
    drop(last);
}

/// The engine and its one queue, for as long as any [`Engine`], [`Call`] or [`Response`](crate::Response) lives.
pub(crate) struct Handle {
    pub(crate) engine: *mut sys::lb_engine,
    hub: Arc<Hub>,
}

// SAFETY: what is called with this pointer may be called on any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    pub(crate) fn queue(&self) -> *mut sys::lb_queue {
        self.hub.queue.load(Ordering::Relaxed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: nobody else has the engine any more. On its own thread this detaches, and CLOSED comes later.
        unsafe { sys::lb_engine_free(self.engine) }
    }
}

/// An engine: sockets, pools and policies on a thread of its own. Clones are the same engine; it closes when the last
/// of them is dropped, and its calls and responses too.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Handle>);

impl Engine {
    /// Opens an engine, its listeners and its thread, by a configuration in JSON or YAML.
    pub fn open(config: &str, options: Options) -> Result<Engine> {
        let secrets = if options.secrets { sys::LB_ENGINE_SECRETS } else { 0 };
        let raw = sized!(lb_engine_options {
            flags: secrets | if options.no_listen { sys::LB_ENGINE_NO_LISTEN } else { 0 },
            seed: options.seed,
            calls_max: options.calls_max,
            log_level: options.log_level,
        });
        let (mut engine, mut queue) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: everything is read before the function returns.
        check(|err| unsafe { sys::lb_engine_open(&raw, config.as_ptr().cast(), config.len(), &mut engine, err) })?;
        let hub = Arc::new(Hub { log: options.log, queue: AtomicPtr::default(), closed: Mutex::default() });
        let handle = Handle { engine, hub: hub.clone() };
        let ctx = Arc::as_ptr(&hub) as *mut sys::c_void;
        let raw = sized!(lb_queue_options { deliver: Some(deliver), ctx });
        // SAFETY: the count of the hub that `hub` has becomes the queue's.
        check(|err| unsafe { sys::lb_queue_open(engine, &raw, &mut queue, err) })?;
        std::mem::forget(hub);
        handle.hub.queue.store(queue, Ordering::Relaxed);
        Ok(Engine(Arc::new(handle)))
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
        let ((name, name_len), (model, model_len)) = (parts(deployment), parts(model));
        // SAFETY: as above.
        check(|err| unsafe { sys::lb_engine_mark(self.0.engine, name, name_len, model, model_len, millis(out), err) })
    }

    /// Where listener `name` ("" is the first) is bound: "127.0.0.1:8080", for SDKs that want a base URL.
    pub fn address(&self, name: &str) -> Result<String> {
        let mut out = [0; 256]; // More than any address of a socket.
        let ((name, name_len), at) = (parts(name), out.as_mut_ptr());
        // SAFETY: the engine lives, and there is that much room.
        match unsafe { sys::lb_engine_address(self.0.engine, name, name_len, at.cast(), out.len()) } {
            failed if failed < 0 => Err(Status(failed).into()),
            len => Ok(String::from_utf8_lossy(&out[..len as usize]).into_owned()),
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
        // SAFETY: the engine lives.
        let text = owned(|len| unsafe { sys::lb_engine_stats(self.0.engine, format, len) });
        text.ok_or_else(|| Status::FORKED.into())
    }

    /// Takes no more calls, and cancels what is left after `drain`. The future is of the moment when all have ended;
    /// dropping it changes nothing. The shortest drain holds.
    #[must_use = "the engine closes without it; await it to know when"]
    pub fn close(&self, drain: Duration) -> impl Future<Output = ()> + Send + Sync + Unpin + 'static {
        // SAFETY: the engine lives.
        let status = unsafe { sys::lb_engine_close(self.0.engine, millis(drain) as u32) };
        let hub = self.0.hub.clone();
        poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let mut closed = hub.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if closed.0 || status == sys::LB_FORKED {
                return Poll::Ready(());
            }
            if !closed.1.iter().any(|it| it.will_wake(&waker)) {
                closed.1.push(waker);
            }
            Poll::Pending
        })
    }
}

/// In whole milliseconds, as far as 32 bits have them; only zero is zero.
pub(crate) fn millis(time: Duration) -> u64 {
    ((time.as_nanos() + 999_999) / 1_000_000).min(u32::MAX.into()) as u64
}
