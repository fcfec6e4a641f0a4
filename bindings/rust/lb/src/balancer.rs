use crate::engine::millis;
use crate::error::{check, owned, text};
use crate::{parts, sys, Options, OutcomeKind, Result, Status};
use std::fmt;
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

/// Why there is no pick, and what to do.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// LIMITED or NO_UPSTREAM: nobody may take the call; INVALID: no route serves the model; FULL: too many picks have
    /// not been reported.
    pub status: Status,
    /// Before asking again; with u64::MAX nanoseconds, until another pick is reported; None: there is nothing to wait
    /// for.
    pub wait: Option<Duration>,
    /// All have been tried; ask again after the wait, with none tried.
    pub again: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)
    }
}

impl std::error::Error for Refused {}

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
/// let balancer = Balancer::open(config, Default::default())?;
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
    /// Opens a balancer by a configuration in JSON or YAML. Of the options it heeds `secrets`, `seed` and `calls_max`.
    pub fn open(config: &str, options: Options) -> Result<Balancer> {
        let options = sized!(lb_balancer_options {
            flags: if options.secrets { sys::LB_ENGINE_SECRETS } else { 0 },
            seed: options.seed,
            unix_ns: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_nanos() as u64),
            picks_max: options.calls_max,
        });
        let (began, mut raw) = (Instant::now(), std::ptr::null_mut());
        // SAFETY: everything is read before the function returns.
        check(|err| unsafe { sys::lb_balancer_open(&options, config.as_ptr().cast(), config.len(), &mut raw, err) })?;
        Ok(Balancer(Arc::new(Door { raw, began })))
    }

    fn at(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.0.began).as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// Names a target, and holds a reservation there until it is reported.
    pub fn pick(&self, ask: &Ask<'_>) -> Result<Pick, Refused> {
        let mut raw = sized!(lb_pick {});
        // SAFETY: the balancer lives, and what is asked is read before the function returns.
        let status = Status(unsafe { sys::lb_balancer_pick(self.0.raw, &self.ask(ask), self.now(), &mut raw) });
        if status == Status::OK {
            return Ok(Pick { balancer: self.clone(), raw });
        }
        let waits = raw.wait_ns > 0 && (status == Status::LIMITED || status == Status::NO_UPSTREAM);
        let wait = waits.then(|| Duration::from_nanos(raw.wait_ns));
        Err(Refused { status, wait, again: raw.again != 0 })
    }

    fn ask(&self, ask: &Ask<'_>) -> sys::lb_ask {
        let ((model, model_len), (caller, caller_len)) = (parts(ask.model), parts(ask.caller));
        let (affinity, affinity_len) = parts(ask.affinity);
        sized!(lb_ask {
            flags: if ask.retry { sys::LB_ASK_RETRY } else { 0 },
            model,
            model_len,
            caller,
            caller_len,
            affinity,
            affinity_len,
            characters: ask.characters,
            tokens_in: ask.tokens_in,
            tokens_out_max: ask.tokens_out_max,
            choices: ask.choices,
            images: ask.images,
            tried: ask.tried.as_ptr(),
            tried_count: ask.tried.len(),
            attempts: ask.attempts,
            deadline_ns: ask.deadline.map_or(0, |it| self.at(it).max(1)),
        })
    }

    /// Replaces the whole configuration, or changes nothing and says why.
    pub fn configure(&self, config: &str) -> Result<()> {
        let ((at, len), now) = (parts(config), self.now());
        // SAFETY: the balancer lives; the text is read before the function returns.
        check(|err| unsafe { sys::lb_balancer_configure(self.0.raw, at, len, now, err) })
    }

    /// Takes a deployment out for that long, or (zero) back in at once; `model` "" is all of its models.
    pub fn mark(&self, deployment: &str, model: &str, out: Duration) -> Result<()> {
        let ((name, len), (model, model_len), now) = (parts(deployment), parts(model), self.now());
        // SAFETY: as above.
        check(|err| unsafe { sys::lb_balancer_mark(self.0.raw, name, len, model, model_len, millis(out), now, err) })
    }

    /// Why a pick would go where it goes, as one line of JSON; None when no route serves the model.
    pub fn explain(&self, ask: &Ask<'_>) -> Option<String> {
        // SAFETY: as above.
        owned(|len| unsafe { sys::lb_balancer_explain(self.0.raw, &self.ask(ask), self.now(), len) })
    }

    /// What is counted, as JSON.
    pub fn stats(&self) -> String {
        // SAFETY: as above.
        owned(|len| unsafe { sys::lb_balancer_stats(self.0.raw, self.now(), len) }).unwrap_or_default()
    }
}

/// Where to send a request. Dropped without a report, it reports that it was not used.
#[must_use = "dropping it gives the reservation back"]
pub struct Pick {
    balancer: Balancer,
    raw: sys::lb_pick, // Its number is 0 once it is reported.
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
        // SAFETY: as above.
        (!self.raw.model.is_null()).then(|| unsafe { text(self.raw.model) })
    }

    /// Settles the reservation and says what to do next.
    pub fn report(mut self, outcome: &Outcome<'_>) -> Next {
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: &Outcome<'_>) -> Next {
        let ((head, head_len), (body, body_len)) = (parts(outcome.head), parts(outcome.body));
        let known = |number: Option<u64>, flag| if number.is_some() { flag } else { 0 };
        let first_content = outcome.first_content.map(|it| it.as_nanos() as u64);
        let raw = sized!(lb_outcome {
            kind: outcome.kind as u32,
            http_status: outcome.http_status.into(),
            known: known(outcome.tokens_in, sys::LB_KNOWN_TOKENS_IN)
                | known(outcome.tokens_out, sys::LB_KNOWN_TOKENS_OUT)
                | known(outcome.tokens_cached, sys::LB_KNOWN_TOKENS_CACHED)
                | known(first_content, sys::LB_KNOWN_FIRST_CONTENT),
            head,
            head_len,
            body,
            body_len,
            tokens_in: outcome.tokens_in.unwrap_or(0),
            tokens_out: outcome.tokens_out.unwrap_or(0),
            tokens_cached: outcome.tokens_cached.unwrap_or(0),
            first_content_ns: first_content.unwrap_or(0),
            delivered: outcome.delivered.into(),
        });
        let (mut next, pick) = (sized!(lb_next {}), std::mem::take(&mut self.raw.pick));
        // SAFETY: the balancer lives, and the outcome is read before the function returns.
        unsafe { sys::lb_balancer_report(self.balancer.0.raw, pick, &raw, self.balancer.now(), &mut next) };
        let out = Some(Duration::from_nanos(next.out_ns)).filter(|it| !it.is_zero());
        Next { elsewhere: next.kind == sys::LB_NEXT_ELSEWHERE, out }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        if self.raw.pick != 0 {
            self.settle(&Outcome { kind: OutcomeKind::NotSent, ..Outcome::default() });
        }
    }
}
