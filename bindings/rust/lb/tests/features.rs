//! The traits of others: http, tower and futures.
#![cfg(all(feature = "http", feature = "tower", feature = "futures"))]
mod support;

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use lb::{block_on, CallOptions, Delivery, Engine, Response, Status};
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};
use support::*;
use tower_service::Service;

fn post<B>(body: B) -> http::Request<B> {
    http::Request::post(format!("http://anywhere.example{}", PATH))
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

#[test]
fn http_types() {
    let engine = engine(r#","events":3"#);
    block_on(async {
        let response = engine.send(post(body(false))).await.unwrap();
        assert_eq!(response.status(), http::StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-lb-served-by"], "echo");
        assert!(!response.into_body().bytes().await.unwrap().is_empty());
        let mut request = post(body(true));
        request.extensions_mut().insert(CallOptions { delivery: Delivery::Events, ..CallOptions::default() });
        let mut events = Box::pin(engine.send(request).await.unwrap().into_body());
        let mut count = 0;
        while let Some(event) = poll_fn(|cx| Stream::poll_next(events.as_mut(), cx)).await {
            assert!(event.unwrap().starts_with(b"{"));
            count += 1;
        }
        assert_eq!(count, 5);
    });
}

/// A body in pieces, which are not always there, and which may fail.
struct Pieces {
    pieces: Vec<&'static str>,
    exact: bool,
    fails: bool,
    wait: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.wait = !self.wait;
        if self.wait {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pieces.is_empty() {
            return Poll::Ready(if std::mem::take(&mut self.fails) {
                Some(Err(std::io::ErrorKind::NotConnected.into()))
            } else {
                None
            });
        }
        Poll::Ready(Some(Ok(Frame::data(self.pieces.remove(0).into()))))
    }
    fn size_hint(&self) -> SizeHint {
        if self.exact {
            SizeHint::with_exact(self.pieces.iter().map(|it| it.len() as u64).sum())
        } else {
            SizeHint::default()
        }
    }
}

const START: &str = r#"{"model":"m","#;
const END: &str = r#""messages":[]}"#;

async fn serve(
    engine: &mut Engine,
    pieces: &[&'static str],
    exact: bool,
    fails: bool,
) -> Result<http::Response<Response>, Box<dyn std::error::Error + Send + Sync>> {
    poll_fn(|cx| Service::<http::Request<Pieces>>::poll_ready(engine, cx)).await?;
    Service::call(engine, post(Pieces { pieces: pieces.to_vec(), exact, fails, wait: false })).await
}

#[test]
fn service() {
    let mut engine = engine("");
    let whole: &'static str = Box::leak(body(false).into_boxed_str());
    block_on(async {
        for exact in [false, true] {
            for pieces in [&[whole][..], &[START, END], &["", START, "", END, ""]] {
                let mut response = serve(&mut engine, pieces, exact, false).await.unwrap().map(Box::pin);
                let mut size = 0;
                while let Some(frame) = poll_fn(|cx| response.body_mut().as_mut().poll_frame(cx)).await {
                    size += frame.unwrap().into_data().unwrap().len();
                }
                assert!(size > 0 && response.body().is_end_stream());
                let sent = pieces.concat().len() as u64;
                assert_eq!(response.body().done().unwrap().tokens_in, Some(sent / 4));
            }
        }
        // The body's own failure is the call's.
        for pieces in [&[][..], &[START], &[START, START]] {
            let error = serve(&mut engine, pieces, false, true).await.unwrap_err();
            assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotConnected);
        }
        let error = serve(&mut engine, &["{", "}"], false, false).await.unwrap_err();
        assert_eq!(error.downcast_ref::<lb::Error>().unwrap().status, Status::INVALID);
    });
}

#[test]
fn futures_are_send() {
    fn is_send<T: Future + Send>(_: &T) {}
    let mut engine = engine("");
    is_send(&Service::call(&mut engine, post(Pieces { pieces: vec![START], exact: false, fails: false, wait: false })));
    is_send(&engine.send(post("")));
}
