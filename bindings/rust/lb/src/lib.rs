//! lb balances calls to LLM HTTP APIs over many deployments, keys and providers: a call goes in as an HTTP request, the
//! engine picks an upstream, limits, retries and fails over, and the answer comes out as a stream.
//!
//! ```
//! let config = r#"{"deployments": [{"name": "echo", "kind": "echo", "models": ["m"]}]}"#;
//! let engine = lb::Engine::open(config, lb::Options::default())?;
//! let mut request = lb::Request::post("/v1/chat/completions");
//! request.options.delivery = lb::Delivery::Events;
//! let body = r#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Say hello."}]}"#;
//! lb::block_on(async {
//!     let mut response = engine.call(&request, body).await?;
//!     while let Some(event) = response.next().await {
//!         println!("{}", String::from_utf8_lossy(&event?));
//!     }
//!     Ok::<(), lb::Error>(())
//! })?;
//! # Ok::<(), lb::Error>(())
//! ```
//!
//! - An [`Engine`] runs on a thread of its own and needs no runtime; its futures are polled by any executor.
//! - A [`Call`] is the future of a [`Response`], which is the stream of its body. Dropping either cancels the call,
//!   which reaches the upstream at once. Bytes that nobody takes hold back the upstream.
//! - An [`Error`] has lb's words, and a [`Status`] to tell kinds apart.
//! - A [`Balancer`] is for programs that keep an HTTP client of their own.
//!
//! Features, none of which is on by default: `http` (requests and responses of the http crate), `tower` (`Engine` is a
//! `tower::Service`, a `Response` is a body), `futures` (`Response` is a `Stream`), and `vendored` (liblb is built from
//! its sources). The configuration is described in lb's `lib/config/reference.md`; what each part of the core promises,
//! in its `lb.h`, which [`sys`] repeats.
#![deny(missing_docs)]
#![warn(unsafe_op_in_unsafe_fn)]

/// A struct of `lb.h` that says its size; what is not named is zero.
macro_rules! sized {
    ($name:ident { $($member:ident $(: $value:expr)?),* $(,)? }) => {{
        let struct_size = std::mem::size_of::<sys::$name>() as u32;
        #[allow(clippy::needless_update)]
        let whole = sys::$name { struct_size, $($member $(: $value)?,)* ..Default::default() };
        whole
    }};
}

mod balancer;
mod call;
/// Types of the configuration, for those who would rather not write JSON or YAML; they only serialise.
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod config;
mod engine;
mod error;
#[cfg(feature = "futures")]
mod futures;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "tower")]
mod tower;
#[rustfmt::skip]
mod words;

pub use balancer::{Ask, Balancer, Next, Outcome, Pick, Refused};
pub use call::{Call, CallOptions, Request, Response, Sender};
pub use engine::{check_config, Engine, Log, Options};
pub use error::{Error, Status};
pub use lb_sys as sys;
pub use words::{Delivery, Done, OutcomeKind};

macro_rules! opaque {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
opaque! { Balancer Call Engine Options Pick Response Sender }

/// What most functions here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread to its end, for programs without an executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// A text or bytes, as C takes them.
fn parts(bytes: &(impl AsRef<[u8]> + ?Sized)) -> (*const sys::c_char, usize) {
    (bytes.as_ref().as_ptr().cast(), bytes.as_ref().len())
}
