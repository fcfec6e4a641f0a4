use crate::call::Pump;
use crate::{Engine, Error, PollFn, Request, Response, Result, Sender, Status};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The next piece of a body that has data in it.
async fn piece<B: Body>(body: &mut Pin<Box<B>>) -> Option<Result<Bytes>>
where
    B::Error: Into<Cause>,
{
    loop {
        let frame = PollFn(|cx: &mut Context<'_>| body.as_mut().poll_frame(cx)).await?;
        match frame.map(Frame::into_data) {
            Ok(Ok(mut data)) => return Some(Ok(data.copy_to_bytes(data.remaining()))),
            Ok(Err(_)) => continue, // Trailers have no place in these calls.
            Err(error) => {
                let mut failed = Error::from(Status::CANCELLED);
                failed.cause = Some(error.into().into());
                return Some(Err(failed));
            }
        }
    }
}

async fn send_all<B: Body>(mut body: Pin<Box<B>>, first: Bytes, mut sender: Sender) -> Result<()>
where
    B::Error: Into<Cause>,
{
    sender.send(first).await?;
    while let Some(next) = piece(&mut body).await {
        sender.send(next?).await?;
    }
    sender.finish();
    Ok(())
}

impl<B> tower_service::Service<http::Request<B>> for Engine
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Cause>,
{
    type Response = http::Response<Response>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let engine = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let (mut request, length) = (Request::from_parts(&parts), body.size_hint().exact());
            let mut body = Box::pin(body);
            let empty = body.is_end_stream();
            let first = if empty { None } else { piece(&mut body).await };
            let first = first.unwrap_or_else(|| Ok(Bytes::new()))?;
            if body.is_end_stream() || length == Some(first.len() as u64) {
                return Ok(engine.call(&request, first).await?.into_http());
            }
            if let (Some(length), false) = (length, parts.headers.contains_key("content-length")) {
                request = request.header("content-length", length.to_string());
            }
            let (sender, mut call) = engine.call_streaming(&request);
            call.pump = Some(Pump::new(Box::pin(send_all(body, first, sender))));
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
