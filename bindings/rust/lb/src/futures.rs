use crate::{Response, Result};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

impl Stream for Response {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Response::poll_next(&mut self, cx)
    }
}
