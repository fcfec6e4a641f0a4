use crate::engine::{millis, select, Candidate, Select};
use crate::error::{check, owned, text};
use crate::{sys, Result, Status};
use std::ffi::CStr;
use std::fmt;
use std::mem::{size_of, zeroed};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What is asked of a [`Balancer`]. What is left out is not known.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// The model, or the model of a route.
    pub model: &'a str,
    /// Who is counted.
    pub caller: &'a str,
    /// A session, or the part of the prompt that a cache would serve.
    pub affinity: &'a str,
    /// Of the prompt.
    pub characters: u64,
    /// Of the prompt, where they have been counted; then `characters` is not read.
    pub tokens_in: u64,
    /// That the call allows.
    pub tokens_out_max: u64,
    /// Answers asked for.
    pub choices: u32,
    /// In the prompt.
    pub images: u32,
    /// [`Pick::target`] of this call's attempts that must not be repeated.
    pub tried: Vec<u32>,
    /// Of this call so far; 0: as many as `tried`.
    pub attempts: u32,
    /// Not the first pick of its call, also where nothing is in `tried`.
    pub retry: bool,
    /// Of the call; None: the route's, from now on.
    pub deadline: Option<Instant>,
}

/// How long to wait before asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until another pick is reported.
    Report,
    /// There is nothing to wait for.
    Never,
}

/// Why there is no pick, and what to do.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// LIMITED or NO_UPSTREAM: nobody may take the call; INVALID: no route serves the model; FULL: too many picks have
    /// not been reported.
    pub status: Status,
    /// Before asking again.
    pub wait: Wait,
    /// All have been tried; ask again after the wait, with none tried.
    pub again: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// How a request that was placed by a [`Pick`] ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutcomeKind {
    /// A whole answer with success.
    #[default]
    Ok = sys::LB_OUTCOME_OK as isize,
    /// An answer with an error.
    Error = sys::LB_OUTCOME_ERROR as isize,
    /// DNS, TCP or TLS failed; nothing was sent.
    Connect = sys::LB_OUTCOME_CONNECT as isize,
    /// No answer in time.
    Timeout = sys::LB_OUTCOME_TIMEOUT as isize,
    /// The connection or the answer broke.
    Broken = sys::LB_OUTCOME_BROKEN as isize,
    /// The host gave up.
    Cancelled = sys::LB_OUTCOME_CANCELLED as isize,
    /// The pick was not used.
    NotSent = sys::LB_OUTCOME_NOT_SENT as isize,
}

/// What came of a [`Pick`]. What is left out is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome<'a> {
    /// How it ended.
    pub kind: OutcomeKind,
    /// Of the answer.
    pub http_status: u16,
    /// Header lines of the answer: Retry-After and limits are read.
    pub head: &'a [u8],
    /// Of an error; its first kilobytes will do.
    pub body: &'a [u8],
    /// Tokens of the prompt.
    pub tokens_in: Option<u64>,
    /// Tokens of the answer.
    pub tokens_out: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub tokens_cached: Option<u64>,
    /// From the pick to the first content.
    pub first_content: Option<Duration>,
    /// The caller has had some of the answer; there will be no other attempt.
    pub delivered: bool,
}

/// What to do after a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Pick again, with this target among the tried. Otherwise it ended well, or no attempt may follow.
    pub elsewhere: bool,
    /// For how long what failed is out of rotation.
    pub out: Option<Duration>,
}

struct Door {
    raw: *mut sys::lb_balancer,
    began: Instant,
    _select: Option<Box<Select>>, // Until the balancer is freed.
}

// SAFETY: what is called with the pointer may be called on any thread.
unsafe impl Send for Door {}
// SAFETY: as above.
unsafe impl Sync for Door {}

impl Drop for Door {
    fn drop(&mut self) {
        // SAFETY: nobody else has it any more.
        unsafe { sys::lb_balancer_free(self.raw) }
    }
}

/// lb for programs with an HTTP client of their own: it says where to send a request, hears how that ended, and says
/// what to do next. It has no thread and opens no socket. Clones are the same balancer.
///
/// ```
/// use lb::{Ask, Balancer, Outcome};
/// let config = r#"{"deployments": [{"name": "east", "url": "https://east.example/v1", "models": ["m"]}]}"#;
/// let balancer = Balancer::open(config)?;
/// let mut ask = Ask { model: "m", characters: 40, ..Ask::default() };
/// let pick = balancer.pick(&ask)?;
/// assert_eq!(pick.url(), "https://east.example/v1");
/// let target = pick.target();
/// if pick.report(&Outcome { http_status: 200, ..Outcome::default() }).elsewhere {
///     ask.tried.push(target);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Balancer(Arc<Door>);

impl Balancer {
    /// Opens a balancer by a configuration in JSON or YAML.
    pub fn open(config: &str) -> Result<Balancer> {
        Balancer::open_with(config, 0, false)
    }

    /// The same with a seed of its random choices (0: from the system), and with leave to read `{"env": NAME}` and
    /// `{"file": PATH}`.
    pub fn open_with(config: &str, seed: u64, secrets: bool) -> Result<Balancer> {
        Balancer::open_selecting(config, seed, secrets, None)
    }

    /// The same with a choice for routes with `balance: host`; see [`Options::select`](crate::Options::select).
    pub fn open_select(
        config: &str,
        seed: u64,
        secrets: bool,
        select: impl Fn(&[Candidate]) -> Option<usize> + Send + Sync + 'static,
    ) -> Result<Balancer> {
        Balancer::open_selecting(config, seed, secrets, Some(Box::new(Box::new(select))))
    }

    fn open_selecting(config: &str, seed: u64, secrets: bool, chosen: Option<Box<Select>>) -> Result<Balancer> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ctx = chosen.as_ref().map_or(std::ptr::null_mut(), |it| &**it as *const Select as *mut sys::c_void);
        let options = sys::lb_balancer_options {
            struct_size: size_of::<sys::lb_balancer_options>() as u32,
            flags: if secrets { sys::LB_ENGINE_SECRETS } else { 0 },
            seed,
            now_ns: 0,
            unix_ns: unix.as_nanos() as u64,
            picks_max: 0,
            reserved: 0,
            select: chosen.as_ref().map(|_| select as sys::lb_select),
            select_ctx: ctx,
        };
        let (began, mut raw) = (Instant::now(), std::ptr::null_mut());
        // SAFETY: everything is read before the function returns; the choice lives as long as the balancer.
        check(|err| unsafe { sys::lb_balancer_open(&options, config.as_ptr().cast(), config.len(), &mut raw, err) })?;
        Ok(Balancer(Arc::new(Door { raw, began, _select: chosen })))
    }

    fn at(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.0.began).as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn ask(&self, ask: &Ask<'_>) -> sys::lb_ask {
        sys::lb_ask {
            struct_size: size_of::<sys::lb_ask>() as u32,
            flags: if ask.retry { sys::LB_ASK_RETRY } else { 0 },
            model: ask.model.as_ptr().cast(),
            model_len: ask.model.len(),
            caller: ask.caller.as_ptr().cast(),
            caller_len: ask.caller.len(),
            affinity: ask.affinity.as_ptr().cast(),
            affinity_len: ask.affinity.len(),
            characters: ask.characters,
            tokens_in: ask.tokens_in,
            tokens_out_max: ask.tokens_out_max,
            choices: ask.choices,
            images: ask.images,
            tried: ask.tried.as_ptr(),
            tried_count: ask.tried.len(),
            attempts: ask.attempts,
            reserved: 0,
            deadline_ns: ask.deadline.map_or(0, |it| self.at(it).max(1)),
        }
    }

    /// Names a target, and holds a reservation there until it is reported.
    pub fn pick(&self, ask: &Ask<'_>) -> Result<Pick, Refused> {
        // SAFETY: zero is a value of each member.
        let mut raw: sys::lb_pick = unsafe { zeroed() };
        raw.struct_size = size_of::<sys::lb_pick>() as u32;
        // SAFETY: the balancer lives, and what is asked is read before the function returns.
        let status = Status(unsafe { sys::lb_balancer_pick(self.0.raw, &self.ask(ask), self.now(), &mut raw) });
        if status == Status::OK {
            return Ok(Pick { balancer: self.clone(), raw, open: true });
        }
        let waits = status == Status::LIMITED || status == Status::NO_UPSTREAM;
        let wait = match raw.wait_ns {
            u64::MAX if waits => Wait::Report,
            ns if waits && ns > 0 => Wait::For(Duration::from_nanos(ns)),
            _ => Wait::Never,
        };
        Err(Refused { status, wait, again: raw.again != 0 })
    }

    /// Replaces the whole configuration, or changes nothing and says why.
    pub fn configure(&self, config: &str) -> Result<()> {
        // SAFETY: as above.
        check(|err| unsafe {
            sys::lb_balancer_configure(self.0.raw, config.as_ptr().cast(), config.len(), self.now(), err)
        })
    }

    /// Takes a deployment out for that long, or (zero) back in at once; `model` "" is all of its models.
    pub fn mark(&self, deployment: &str, model: &str, out: Duration) -> Result<()> {
        let (name, ms, now) = (deployment, millis(out), self.now());
        // SAFETY: as above.
        check(|err| unsafe {
            let (model_at, model_len) = (model.as_ptr().cast(), model.len());
            sys::lb_balancer_mark(self.0.raw, name.as_ptr().cast(), name.len(), model_at, model_len, ms, now, err)
        })
    }

    /// Why a pick would go where it goes, as one line of JSON; None when no route serves the model.
    pub fn explain(&self, ask: &Ask<'_>) -> Option<String> {
        let mut len = 0;
        // SAFETY: as above; the text is ours to free.
        unsafe { owned(sys::lb_balancer_explain(self.0.raw, &self.ask(ask), self.now(), &mut len), len) }
    }

    /// What is counted, as JSON.
    pub fn stats(&self) -> String {
        let mut len = 0;
        // SAFETY: as above.
        unsafe { owned(sys::lb_balancer_stats(self.0.raw, self.now(), &mut len), len) }.unwrap_or_default()
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Balancer").field(&self.0.raw).finish()
    }
}

/// Where to send a request. Dropped without a report, it reports that it was not used.
#[must_use = "dropping it gives the reservation back"]
pub struct Pick {
    balancer: Balancer,
    raw: sys::lb_pick,
    open: bool,
}

// SAFETY: its texts are lent by the balancer, to any thread.
unsafe impl Send for Pick {}
// SAFETY: as above.
unsafe impl Sync for Pick {}

impl Pick {
    /// For [`Ask::tried`].
    pub fn target(&self) -> u32 {
        self.raw.target
    }

    /// The name of the deployment.
    pub fn deployment(&self) -> &str {
        // SAFETY: lent until it is reported, which takes self.
        unsafe { text(self.raw.deployment) }
    }

    /// As configured, without a slash at its end.
    pub fn url(&self) -> &str {
        // SAFETY: as above.
        unsafe { text(self.raw.url) }
    }

    /// Its API key, or "". A secret.
    pub fn key(&self) -> &str {
        // SAFETY: as above.
        unsafe { text(self.raw.key) }
    }

    /// What it calls the model; None: as it was asked for.
    pub fn model(&self) -> Option<&str> {
        // SAFETY: as above, where it is not NULL.
        (!self.raw.model.is_null()).then(|| unsafe { CStr::from_ptr(self.raw.model) }.to_str().unwrap_or(""))
    }

    /// Settles the reservation and says what to do next.
    pub fn report(mut self, outcome: &Outcome<'_>) -> Next {
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: &Outcome<'_>) -> Next {
        self.open = false;
        let known = [
            (outcome.tokens_in.is_some(), sys::LB_KNOWN_TOKENS_IN),
            (outcome.tokens_out.is_some(), sys::LB_KNOWN_TOKENS_OUT),
            (outcome.tokens_cached.is_some(), sys::LB_KNOWN_TOKENS_CACHED),
            (outcome.first_content.is_some(), sys::LB_KNOWN_FIRST_CONTENT),
        ];
        let raw = sys::lb_outcome {
            struct_size: size_of::<sys::lb_outcome>() as u32,
            kind: outcome.kind as u32,
            http_status: outcome.http_status.into(),
            known: known.iter().filter(|it| it.0).map(|it| it.1).sum(),
            head: outcome.head.as_ptr().cast(),
            head_len: outcome.head.len(),
            body: outcome.body.as_ptr().cast(),
            body_len: outcome.body.len(),
            tokens_in: outcome.tokens_in.unwrap_or(0),
            tokens_out: outcome.tokens_out.unwrap_or(0),
            tokens_cached: outcome.tokens_cached.unwrap_or(0),
            first_content_ns: outcome.first_content.map_or(0, |it| it.as_nanos() as u64),
            delivered: outcome.delivered.into(),
            reserved: 0,
        };
        let mut next = sys::lb_next { struct_size: size_of::<sys::lb_next>() as u32, kind: 0, out_ns: 0 };
        // SAFETY: the balancer lives, and the outcome is read before the function returns.
        unsafe { sys::lb_balancer_report(self.balancer.0.raw, self.raw.pick, &raw, self.balancer.now(), &mut next) };
        let out = Some(Duration::from_nanos(next.out_ns)).filter(|it| !it.is_zero());
        Next { elsewhere: next.kind == sys::LB_NEXT_ELSEWHERE, out }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        if self.open {
            self.settle(&Outcome { kind: OutcomeKind::NotSent, ..Outcome::default() });
        }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick").field("deployment", &self.deployment()).field("model", &self.model()).finish()
    }
}
