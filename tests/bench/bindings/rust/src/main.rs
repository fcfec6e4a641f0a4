//! lb beside reqwest: the same calls to the same upstream (`lb mock`, a process of its own), interleaved in one run. It
//! prints a line of JSON a figure: {"lang":"rust","case":"plain lb","what":"cpu_us","value":31.2}.
//!
//!     lb-bench LB [--rounds N] [--scale F] [--only CASE] [--side SIDE]
//!
//! --side is for profiles: that one alone, and no figures.
//!
//! CPU is that of the whole process, so of lb the engine's thread is in it. "lb events" takes server-sent events one by
//! one. What they cost to cross is what that side uses more than "floor", which counts them on the engine's thread,
//! in a `deliver` function of its own over lb-sys, and hands nothing on.
mod floor;

use lb::{Delivery, Engine, Options, Request};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONCURRENCY: usize = 32;
const EVENTS: usize = 1000;
const HELD: usize = 1000;
const PATH: &str = "/v1/chat/completions";
const MOCK: &str = r#"{"tokens":16,"journal_calls":0,"per_model":{"large":{"body_bytes":2048},"stream":{"tokens":1000},
    "short":{"tokens":20},"held":{"tokens":100,"stall":{"after_events":3}}}}"#;

struct Mock(Child, String);

impl Mock {
    fn start(program: &str) -> Mock {
        let mut command = Command::new(program);
        let mut child =
            command.args(["mock", "--options", MOCK]).stdout(Stdio::piped()).spawn().expect("the program lb");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let origin = line.trim().rsplit(' ').next().unwrap().trim_end_matches("/v1").to_owned();
        Mock(child, origin)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn body(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Say something."}}]}}"#)
}

/// Who sends.
#[derive(Clone)]
enum Side {
    Reqwest(reqwest::Client, String),
    Lb(Engine, Request),
    Floor(Arc<floor::Floor>),
}

/// An answer of which something has come.
enum Held {
    Reqwest(#[allow(dead_code)] reqwest::Response),
    Lb(#[allow(dead_code)] lb::Response),
}

const AGENT: &str = "bench/1";
const KEY: &str = "Bearer sk-of-the-caller";

impl Side {
    fn lb(engine: &Engine, delivery: Delivery) -> Side {
        let mut request = Request::post(PATH).header("authorization", KEY).header("user-agent", AGENT);
        request.options.delivery = delivery;
        Side::Lb(engine.clone(), request)
    }

    async fn begin(&self, model: &str, stream: bool) -> Held {
        match self {
            Side::Reqwest(client, url) => {
                let request = client.post(url).header("content-type", "application/json");
                let request = request.header("authorization", KEY).header("user-agent", AGENT);
                let response = request.body(body(model, stream)).send().await.unwrap();
                assert_eq!(response.status(), 200);
                Held::Reqwest(response)
            }
            Side::Lb(engine, request) => {
                let response = engine.call(request, body(model, stream)).await.unwrap();
                assert_eq!(response.status(), 200);
                Held::Lb(response)
            }
            Side::Floor(_) => unreachable!(),
        }
    }

    /// One call, to its end.
    async fn call(&self, model: &str, stream: bool) {
        match self.begin(model, stream).await {
            Held::Reqwest(response) if !stream => drop(response.bytes().await.unwrap()),
            Held::Reqwest(mut response) => while response.chunk().await.unwrap().is_some() {},
            Held::Lb(mut response) if !stream => drop(response.bytes().await.unwrap()),
            Held::Lb(mut response) => {
                while let Some(piece) = response.next().await {
                    piece.unwrap();
                }
            }
        }
    }

    async fn hold(&self) -> Held {
        let mut held = self.begin("held", true).await;
        match &mut held {
            Held::Reqwest(response) => drop(response.chunk().await.unwrap().unwrap()),
            Held::Lb(response) => drop(response.next().await.unwrap().unwrap()),
        }
        held
    }
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    model: &'static str,
    count: usize,
    events: usize, // 0: it does not stream.
}

const WHATS: [&str; 4] = ["requests_per_s", "cpu_us", "p50_us", "p99_us"];

fn round(runtime: &tokio::runtime::Runtime, side: &Side, case: Case) -> [f64; 4] {
    let (next, mut took) = (Arc::new(AtomicUsize::new(0)), Vec::with_capacity(case.count));
    let (used, start) = (cpu(), Instant::now());
    if let Side::Floor(floor) = side {
        took = floor.run(&body(case.model, true), case.count, CONCURRENCY);
    } else {
        let tasks: Vec<_> = (0..CONCURRENCY)
            .map(|_| {
                let (side, next) = (side.clone(), next.clone());
                runtime.spawn(async move {
                    let mut took = Vec::new();
                    while next.fetch_add(1, Ordering::Relaxed) < case.count {
                        let began = Instant::now();
                        side.call(case.model, case.events > 0).await;
                        took.push(began.elapsed());
                    }
                    took
                })
            })
            .collect();
        for task in tasks {
            took.extend(runtime.block_on(task).unwrap());
        }
    }
    let (elapsed, used) = (start.elapsed(), cpu() - used);
    took.sort();
    assert_eq!(took.len(), case.count);
    let us = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let count = case.count as f64;
    [count / elapsed.as_secs_f64(), us(used) / count, us(took[case.count / 2]), us(took[case.count * 99 / 100])]
}

fn print(case: &str, what: &str, value: f64) {
    println!(r#"{{"lang":"rust","case":"{case}","what":"{what}","value":{value:.3}}}"#);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(runtime: &tokio::runtime::Runtime, sides: &[(&str, Side)], case: Case, rounds: usize) {
    let mut all: Vec<Vec<[f64; 4]>> = vec![Vec::new(); sides.len()];
    for number in 0..=rounds {
        for (at, (_, side)) in sides.iter().enumerate() {
            let got = round(runtime, side, case);
            if number > 0 {
                all[at].push(got); // What was connected and cached in the first is warm behind it.
            }
        }
    }
    let of = |side: usize, what: usize| median(all[side].iter().map(|it| it[what]).collect());
    for (at, (name, _)) in sides.iter().enumerate() {
        let name = format!("{} {}", case.name, name);
        (0..4).for_each(|what| print(&name, WHATS[what], of(at, what)));
        if case.events > 0 {
            print(&name, "cpu_ns_per_event", of(at, 1) * 1000.0 / case.events as f64);
        }
    }
    // Of rounds side by side, so that what disturbs both cancels out.
    let pairs = |f: &dyn Fn(usize) -> f64| median((0..rounds).map(f).collect());
    print(&format!("{} lb : reqwest", case.name), "cpu_us_ratio", pairs(&|at| all[1][at][1] / all[0][at][1]));
    print(&format!("{} lb : reqwest", case.name), "requests_per_s_ratio", pairs(&|at| all[1][at][0] / all[0][at][0]));
    if case.events > 0 {
        let more = pairs(&|at| all[2][at][1] - all[3][at][1]);
        print(&format!("{} lb events", case.name), "crossing_ns_per_event", more * 1000.0 / case.events as f64);
    }
}

/// What an open stream costs, of all that the process has.
fn memory(runtime: &tokio::runtime::Runtime, name: &str, side: &Side) {
    let before = resident_kib();
    let mut open: Vec<Held> = Vec::new();
    for _ in 0..HELD / 50 {
        let tasks: Vec<_> =
            (0..50).map(|_| side.clone()).map(|it| runtime.spawn(async move { it.hold().await })).collect();
        open.extend(tasks.into_iter().map(|it| runtime.block_on(it).unwrap()));
    }
    print(&format!("memory {name}"), "kib_per_stream", (resident_kib() - before) as f64 / HELD as f64);
    drop(open);
    std::thread::sleep(Duration::from_millis(200));
}

fn resident_kib() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4
}

/// What all threads of this process have used.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let used = tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("schedstat")).ok());
    Duration::from_nanos(used.map(|it| it.split(' ').next().unwrap().parse::<u64>().unwrap()).sum())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str, other: &str| {
        let at = arguments.iter().position(|it| it == name);
        at.map_or(other, |at| arguments[at + 1].as_str()).to_owned()
    };
    let (rounds, only, alone) = (given("--rounds", "7").parse().unwrap(), given("--only", ""), given("--side", ""));
    let scale: f64 = given("--scale", "1").parse().unwrap();
    let scaled = |count: usize| CONCURRENCY.max((count as f64 * scale).round() as usize);
    let program = arguments.get(1);
    let mock = Mock::start(program.expect("usage: lb-bench LB [--rounds N] [--scale F] [--only CASE] [--side SIDE]"));
    let config = format!(r#"{{"deployments":[{{"name":"mock","url":"{}/v1","connections_max":4096}}]}}"#, mock.1);
    let engine = Engine::open(&config, Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let reqwest = Side::Reqwest(reqwest::Client::builder().no_proxy().build().unwrap(), format!("{}{}", mock.1, PATH));
    let bytes = Side::lb(&engine, Delivery::Bytes);
    let plain = [("reqwest", reqwest.clone()), ("lb", bytes.clone())];
    let floor = Side::Floor(floor::Floor::open(&config));
    let streaming =
        [plain[0].clone(), plain[1].clone(), ("lb events", Side::lb(&engine, Delivery::Events)), ("floor", floor)];
    for case in [
        Case { name: "plain", model: "plain", count: scaled(9600), events: 0 },
        Case { name: "body 2 KiB", model: "large", count: scaled(9600), events: 0 },
        Case { name: "stream", model: "stream", count: scaled(160), events: EVENTS },
        Case { name: "stream of 20", model: "short", count: scaled(1600), events: 20 },
    ] {
        if !case.name.starts_with(&only) {
            continue;
        }
        let sides: &[_] = if case.events > 0 { &streaming } else { &plain };
        if alone.is_empty() {
            measure(&runtime, sides, case, rounds);
        } else {
            let (_, side) = sides.iter().find(|(name, _)| *name == alone).expect("a side of that name");
            for _ in 0..rounds {
                round(&runtime, side, case);
            }
        }
    }
    // Each in a process of its own: what one has given back, the other would take.
    for (name, side) in &plain {
        if only == format!("memory {name}") {
            memory(&runtime, name, side);
        } else if only.is_empty() {
            let own = std::env::current_exe().unwrap();
            let done = Command::new(own).args([&arguments[1], "--only", &format!("memory {name}")]).status().unwrap();
            assert!(done.success());
        }
    }
}
