use crate::{CallOptions, Engine, Request, Response, Result};
use std::future::Future;

impl Request {
    /// The head of a request of the http crate; with [`CallOptions`] among its extensions, those too.
    pub fn from_parts(parts: &http::request::Parts) -> Request {
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        let mut request = Request::new(parts.method.as_str(), path);
        for (name, value) in &parts.headers {
            request = request.header(name.as_str(), value.as_bytes());
        }
        request.options = parts.extensions.get::<CallOptions>().copied().unwrap_or_default();
        request
    }
}

impl Response {
    /// The same as a response of the http crate, with the rest of the body inside.
    pub fn into_http(self) -> http::Response<Response> {
        let mut head = http::Response::new(());
        *head.status_mut() = http::StatusCode::from_u16(self.status()).unwrap_or_default();
        for (name, value) in self.headers() {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), http::HeaderValue::from_bytes(value)) {
                head.headers_mut().append(name, value);
            }
        }
        head.map(|()| self)
    }
}

impl Engine {
    /// Starts a call by a request of the http crate. Of its URI only path and query are heeded: the engine knows where.
    pub fn send(
        &self,
        request: http::Request<impl AsRef<[u8]>>,
    ) -> impl Future<Output = Result<http::Response<Response>>> + Send {
        let (parts, body) = request.into_parts();
        let call = self.call(&Request::from_parts(&parts), body);
        async { Ok(call.await?.into_http()) }
    }
}
