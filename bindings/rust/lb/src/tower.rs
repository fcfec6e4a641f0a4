use crate::{Engine, Error, Request, Response, Result};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The next piece of a body that has data in it; trailers have no place in these calls.
async fn piece<B: Body>(body: &mut Pin<Box<B>>) -> Option<Result<Bytes, B::Error>> {
    loop {
        let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await?;
        if let Some(piece) = frame.map(|it| it.into_data().ok()).transpose() {
            return Some(piece.map(|mut it| it.copy_to_bytes(it.remaining())));
        }
    }
}

/// Errors are an [`Error`], or what the request's body failed with. A body in more than one piece is streamed.
impl<B> tower_service::Service<http::Request<B>> for Engine
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError> + Send,
{
    type Response = http::Response<Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (engine, (parts, body)) = (self.clone(), request.into_parts());
        Box::pin(async move {
            let (mut request, length) = (Request::from_parts(&parts), body.size_hint().exact());
            let mut body = Box::pin(body);
            let first = piece(&mut body).await.transpose().map_err(Into::into)?.unwrap_or_default();
            if body.is_end_stream() || length == Some(first.len() as u64) {
                return Ok(engine.call(&request, first).await?.into_http());
            }
            if let (Some(length), false) = (length, parts.headers.contains_key("content-length")) {
                request = request.header("content-length", length.to_string());
            }
            let (mut sender, call) = engine.call_streaming(&request);
            let mut next = Some(first);
            while let Some(data) = next {
                if sender.send(data).await.is_err() {
                    break; // The call has ended, and says why itself.
                }
                next = piece(&mut body).await.transpose().map_err(Into::into)?;
            }
            sender.finish();
            Ok(call.await?.into_http())
        })
    }
}

impl Body for Response {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Response::poll_next(&mut self, cx).map(|it| it.map(|it| it.map(|it| Frame::data(it.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.done().is_some()
    }
}
