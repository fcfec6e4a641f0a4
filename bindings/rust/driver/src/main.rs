//! The driver of tests/conformance for Rust: one command a line, one answer a line. Its protocol is described there.
mod line;

use lb::{
    block_on, Ask, Balancer, Call, CallOptions, Delivery, Engine, Error, Options, Outcome, OutcomeKind, Pick, Request,
};
use line::{quoted, Command, Fnv};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Where a call stands.
enum Stage {
    Begun(Call),
    Answered(lb::Response),
    Failed(Error),
    Left,
}

struct Running {
    stage: Stage,
    kept: Vec<u8>, // Of the last piece, what `read` left.
    sent: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Driver {
    engines: HashMap<String, Engine>,
    calls: HashMap<String, Running>,
    balancers: HashMap<String, Balancer>,
    picks: HashMap<String, Pick>,
    targets: HashMap<String, u32>,
}

const CANCELLED: &str = "error status=CANCELLED";

fn of_config(error: &Error) -> String {
    format!("error status={} where={}", error.status.name(), quoted(&error.location))
}

fn of_status(error: &Error) -> String {
    format!("error status={}", error.status.name())
}

fn of_call(error: &Error) -> String {
    let status = error.status;
    if status == lb::Status::CANCELLED || status == lb::Status::DEADLINE {
        return of_status(error);
    }
    let retry = if error.done.retry_after.is_some() { "yes" } else { "no" };
    format!("error status={} code={} retry_after={}", status.name(), error.done.code, retry)
}

fn ok_or<T>(result: lb::Result<T>, say: fn(&Error) -> String) -> String {
    result.map_or_else(|error| say(&error), |_| "ok".to_owned())
}

impl Running {
    /// The answer, as soon as its head is there; else what to say instead.
    fn answer(&mut self) -> Result<&mut lb::Response, String> {
        if let Stage::Begun(call) = &mut self.stage {
            self.stage = match block_on(call) {
                Ok(response) => Stage::Answered(response),
                Err(error) => Stage::Failed(error),
            };
        }
        match &mut self.stage {
            Stage::Answered(response) => Ok(response),
            Stage::Failed(error) => Err(of_call(error)),
            _ => Err(CANCELLED.to_owned()),
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        if !self.kept.is_empty() {
            return Ok(Some(std::mem::take(&mut self.kept)));
        }
        match block_on(self.answer()?.next()) {
            Some(Ok(piece)) => Ok(Some(piece)),
            None => Ok(None),
            Some(Err(error)) => {
                let said = of_call(&error);
                self.stage = Stage::Failed(error);
                Err(said)
            }
        }
    }

    fn head(&mut self, show: &str) -> Result<String, String> {
        let response = self.answer()?;
        let mut line = format!("head code={}", response.status());
        for name in show.split(',').filter(|it| !it.is_empty()) {
            line += &format!(" {}={}", name, quoted(response.header(name).unwrap_or("-")));
        }
        Ok(line)
    }

    fn read(&mut self, count: usize) -> Result<String, String> {
        let (mut hash, mut left) = (Fnv::default(), count);
        while left > 0 {
            let mut piece = match self.next()? {
                Some(piece) => piece,
                None => break,
            };
            self.kept = piece.split_off(left.min(piece.len()));
            hash.add(&piece);
            left -= piece.len();
        }
        Ok(format!("data {}", hash))
    }

    fn rest(&mut self) -> String {
        let mut hash = Fnv::default();
        loop {
            match self.next() {
                Ok(Some(piece)) => hash.add(&piece),
                Ok(None) => return format!("end {}", hash),
                Err(said) if said == CANCELLED => return said,
                Err(said) => return format!("{} bytes={}", said, hash.bytes),
            }
        }
    }

    fn event(&mut self) -> Result<String, String> {
        Ok(self.next()?.map_or("end".to_owned(), |piece| {
            let mut hash = Fnv::default();
            hash.add(&piece);
            format!("event {}", hash)
        }))
    }

    fn done(&mut self) -> Result<lb::Done, String> {
        while self.next()?.is_some() {}
        Ok(self.answer()?.done().cloned().unwrap_or_default())
    }

    fn attempts(&mut self) -> String {
        let done = match &self.stage {
            Stage::Answered(response) => response.done(),
            Stage::Failed(error) => Some(&*error.done),
            _ => None,
        };
        let failed = done.map_or(&[][..], |it| &it.failed);
        let list: Vec<String> = failed.iter().map(|it| format!("{}:{}", it.status.name(), it.code)).collect();
        format!("attempts list={}", if list.is_empty() { "-".to_owned() } else { list.join(",") })
    }
}

impl Driver {
    fn engine(&self, it: &Command) -> Result<&Engine, String> {
        self.engines.get(it.text("engine")).ok_or_else(|| "bad engine".to_owned())
    }

    fn open(&mut self, it: &Command) -> String {
        let (secrets, seed) = (it.text("secrets") == "yes", it.number("seed"));
        let options = Options { secrets, seed, calls_max: it.number("calls_max") as u32, ..Options::default() };
        let opened = Engine::open(it.text("config"), options);
        ok_or(opened.map(|engine| self.engines.insert(it.text("engine").to_owned(), engine)), of_config)
    }

    fn call(&mut self, it: &Command) -> Result<String, String> {
        let body = [it.text("body"), &"x".repeat(it.number("fill") as usize), it.text("tail")].concat();
        let mut request = Request::post(it.text("path"));
        request.options = CallOptions {
            deadline: Duration::from_millis(it.number("deadline_ms")),
            window: it.number("window") as u32,
            attempts: it.text("attempts") == "yes",
            delivery: match it.text("delivery") {
                "events" => Delivery::Events,
                "whole" => Delivery::Whole,
                _ => Delivery::Bytes,
            },
            ..CallOptions::default()
        };
        for line in it.all("header") {
            let (name, value) = line.split_once(':').ok_or("bad header")?;
            request = request.header(name, value);
        }
        let (engine, size, sent) = (self.engine(it)?, it.number("pieces") as usize, Arc::new(AtomicUsize::new(0)));
        let call = if size == 0 {
            engine.call(&request, body)
        } else {
            if it.text("length") == "known" {
                request = request.header("content-length", body.len().to_string());
            }
            let (mut sender, call) = engine.call_streaming(&request);
            let taken = sent.clone();
            std::thread::spawn(move || {
                for piece in body.as_bytes().chunks(size) {
                    if block_on(sender.send(piece)).is_err() {
                        return;
                    }
                    taken.fetch_add(piece.len(), Ordering::SeqCst);
                }
                sender.finish();
            });
            call
        };
        self.calls.insert(it.text("call").to_owned(), Running { stage: Stage::Begun(call), kept: Vec::new(), sent });
        Ok("ok".to_owned())
    }

    fn pick(&mut self, it: &Command) -> Result<String, String> {
        let tried = it.text("tried").split(',').filter_map(|name| self.targets.get(name).copied()).collect();
        let (model, caller) = (it.text("model"), it.text("caller"));
        let ask = Ask { model, caller, tried, retry: it.text("retry") == "yes", ..Ask::default() };
        let balancer = self.balancers.get(it.text("balancer")).ok_or("bad balancer")?;
        let said = match balancer.pick(&ask) {
            Err(refused) => {
                let wait = if refused.wait.is_none() { "no" } else { "yes" };
                let again = if refused.again { "yes" } else { "no" };
                return Err(format!("error status={} wait={} again={}", refused.status.name(), wait, again));
            }
            Ok(pick) => pick,
        };
        let (deployment, url, key) = (quoted(said.deployment()), quoted(said.url()), quoted(said.key()));
        let line = format!(
            "pick deployment={} url={} key={} model={}",
            deployment,
            url,
            key,
            quoted(said.model().unwrap_or("-"))
        );
        self.targets.insert(it.text("pick").to_owned(), said.target());
        self.picks.insert(it.text("pick").to_owned(), said);
        Ok(line)
    }

    fn report(&mut self, it: &Command) -> Result<String, String> {
        // A pick cannot be reported twice: it is gone with its report, as the core would say.
        let pick = self.picks.remove(it.text("pick")).ok_or("error status=GONE")?;
        let number = |key| Some(it.number(key)).filter(|_| it.has(key));
        let next = pick.report(&Outcome {
            kind: match it.text("kind") {
                "OK" => OutcomeKind::Ok,
                "ERROR" => OutcomeKind::Error,
                "CONNECT" => OutcomeKind::Connect,
                "TIMEOUT" => OutcomeKind::Timeout,
                "BROKEN" => OutcomeKind::Broken,
                "CANCELLED" => OutcomeKind::Cancelled,
                "NOT_SENT" => OutcomeKind::NotSent,
                _ => return Err("bad kind".to_owned()),
            },
            http_status: it.number("http_status") as u16,
            head: it.text("head").as_bytes(),
            body: it.text("body").as_bytes(),
            tokens_in: number("tokens_in"),
            tokens_out: number("tokens_out"),
            delivered: it.text("delivered") == "yes",
            ..Outcome::default()
        });
        let kind = if next.elsewhere { "ELSEWHERE" } else { "STOP" };
        Ok(format!("next kind={} out={}", kind, if next.out.is_some() { "yes" } else { "no" }))
    }

    fn of_a_call(&mut self, it: &Command) -> Result<String, String> {
        let call = self.calls.get_mut(it.text("call")).ok_or("bad call")?;
        let known = |it: Option<u64>| it.map_or("-".to_owned(), |it| it.to_string());
        match it.name() {
            "head" => call.head(it.text("show")),
            "read" => call.read(it.number("bytes") as usize),
            "rest" => Ok(call.rest()),
            "event" => call.event(),
            "attempts" => Ok(call.attempts()),
            "sent" => Ok(format!("sent bytes={}", call.sent.load(Ordering::SeqCst))),
            "done" => call.done().map(|done| {
                let (tokens_in, tokens_out) = (known(done.tokens_in), known(done.tokens_out));
                let (attempts, upstream) = (known(done.attempts), quoted(&done.upstream));
                format!(
                    "done tokens_in={} tokens_out={} attempts={} upstream={}",
                    tokens_in, tokens_out, attempts, upstream
                )
            }),
            _ => {
                // cancel, leave: the future, or the body, is dropped.
                call.stage = Stage::Left;
                call.kept.clear();
                Ok("ok".to_owned())
            }
        }
    }

    fn run(&mut self, it: &Command) -> Result<String, String> {
        match it.name() {
            "open" => Ok(self.open(it)),
            "configure" => Ok(ok_or(self.engine(it)?.configure(it.text("config")), of_config)),
            "mark" => {
                let out = Duration::from_millis(it.number("ms"));
                Ok(ok_or(self.engine(it)?.mark(it.text("name"), it.text("model"), out), of_status))
            }
            "address" => {
                let address = self.engine(it)?.address(it.text("name"));
                Ok(address.map_or_else(|error| of_status(&error), |at| format!("address at={}", quoted(&at))))
            }
            "stats" => {
                let engine = self.engine(it)?;
                let stats = if it.text("format") == "json" { engine.stats_json() } else { engine.stats_prometheus() };
                Ok(stats.map_or_else(|error| of_status(&error), |text| format!("stats bytes={}", text.len())))
            }
            "close" => {
                let engine = self.engines.remove(it.text("engine")).ok_or("bad engine")?;
                block_on(engine.close(Duration::from_millis(it.number("drain_ms"))));
                Ok("ok".to_owned())
            }
            "call" => self.call(it),
            "head" | "read" | "rest" | "event" | "done" | "attempts" | "sent" | "cancel" | "leave" => {
                self.of_a_call(it)
            }
            "balancer" => {
                let opened =
                    Balancer::open(it.text("config"), Options { seed: it.number("seed"), ..Options::default() });
                Ok(ok_or(opened.map(|one| self.balancers.insert(it.text("balancer").to_owned(), one)), of_config))
            }
            "pick" => self.pick(it),
            "report" => self.report(it),
            "free" => Ok(self.balancers.remove(it.text("balancer")).map_or("bad balancer", |_| "ok").to_owned()),
            _ => Err("bad command".to_owned()),
        }
    }
}

fn main() {
    let (mut driver, mut out) = (Driver::default(), std::io::stdout());
    let mut say = |line: &str| out.write_all(format!("{}\n", line).as_bytes()).and_then(|()| out.flush());
    let mut told = say("driver lang=rust has=events,whole,done,attempts,window,balancer,seed");
    for line in std::io::stdin().lock().lines() {
        let answer = match line.map(|it| Command::parse(&it)) {
            Ok(Some(command)) => driver.run(&command).unwrap_or_else(|said| said),
            Ok(None) => "bad line".to_owned(),
            Err(_) => break,
        };
        told = told.and_then(|()| say(&answer));
        if told.is_err() {
            break; // Nobody listens any more.
        }
    }
}
