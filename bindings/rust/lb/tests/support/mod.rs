//! What the tests share: `lb mock` as a process, its journal, and ways to poll.
#![allow(dead_code)]

use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Far longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const PATH: &str = "/v1/chat/completions";

pub fn body(stream: bool) -> String {
    format!(r#"{{"model":"m","stream":{},"messages":[{{"role":"user","content":"Say hello."}}]}}"#, stream)
}

pub trait With {
    fn with(self, change: impl FnOnce(&mut lb::CallOptions)) -> lb::Request;
}

impl With for lb::Request {
    fn with(mut self, change: impl FnOnce(&mut lb::CallOptions)) -> lb::Request {
        change(&mut self.options);
        self
    }
}

/// One deployment that answers in process; `more` goes into it.
pub fn echo(more: &str) -> String {
    format!(r#"{{"deployments":[{{"name":"echo","kind":"echo","models":["m"]{}}}]}}"#, more)
}

pub fn engine(more: &str) -> lb::Engine {
    lb::Engine::open(&echo(more), lb::Options::default()).unwrap()
}

/// Waits until it is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "never: {}", what);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Counter(pub AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    pub fn new() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), counter.into())
    }
    pub fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// One poll of a future that can be polled again.
pub fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Whatever is random in a test; splitmix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % end
    }
}

/// `lb mock` with these options; it ends with this.
pub struct Mock {
    process: Child,
    pub address: String,
}

impl Mock {
    pub fn start(options: &str) -> Mock {
        let lb = std::env::var("LB").expect("LB: the path of the program lb");
        let mut process = Command::new(lb)
            .args(["mock", "--options", options])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that LB names");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|it| it.split('/').next()).expect("an address").to_owned();
        Mock { process, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A deployment `name` of model m, as a part of a configuration.
    pub fn deployment(&self, name: &str) -> String {
        format!(r#"{{"name":"{}","url":"{}","models":["m"]}}"#, name, self.url())
    }

    pub fn engine(&self) -> lb::Engine {
        lb::Engine::open(&format!(r#"{{"deployments":[{}]}}"#, self.deployment("mock")), lb::Options::default())
            .unwrap()
    }

    pub fn journal(&self) -> Journal {
        Journal(http(&self.address, "GET /mock/journal HTTP/1.1", ""))
    }

    pub fn control(&self, options: &str) {
        http(&self.address, "POST /mock/control HTTP/1.1", options);
    }

    /// Waits until so many calls have come.
    pub fn calls(&self, count: usize) -> Journal {
        until("the calls", || self.journal().calls() >= count);
        self.journal()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of the answer to one request, on a connection of its own.
pub fn http(address: &str, line: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(socket, "{}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}", line, length, body).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{}", answer);
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// What a mock saw. Its JSON has no spaces, and the last call's members come last among those of their names.
pub struct Journal(pub String);

impl Journal {
    pub fn calls(&self) -> usize {
        self.number_in(&self.0, "requests") as usize
    }
    fn number_in(&self, text: &str, key: &str) -> f64 {
        let value = text.rsplit(&format!("\"{}\":", key)).next().unwrap();
        value.split([',', '}']).next().unwrap().parse().unwrap_or_else(|_| panic!("{} in {}", key, text))
    }
    fn last_call(&self) -> &str {
        self.0.split("\"closes\":").next().unwrap().rsplit("{\"number\":").next().unwrap()
    }
    /// A number of the last call.
    pub fn last(&self, key: &str) -> f64 {
        self.number_in(self.last_call(), key)
    }
    /// How the last call ended.
    pub fn end(&self) -> String {
        self.last_call().rsplit("\"end\":\"").next().unwrap().split('"').next().unwrap().to_owned()
    }
    pub fn now_ms(&self) -> f64 {
        self.0.split("\"now_ms\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
    }
}

/// Bytes of memory that this process has resident.
pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Threads of this process that are engines'.
pub fn engine_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|it| it.trim_end() == ENGINE_THREAD).count()
}

pub const ENGINE_THREAD: &str = "lb-engine";
