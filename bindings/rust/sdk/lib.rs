//! How async-openai gets lb for its HTTP: its hook takes a tower service, which an engine is. The requests of reqwest
//! become those of the http crate, and the answers go the other way.
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::Client;
use tower::{service_fn, ServiceExt};

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> OpenAIError {
    OpenAIError::Boxed(error.into())
}

/// A client whose calls run in this process, without a socket between it and lb.
pub fn client(engine: &lb::Engine) -> Client<OpenAIConfig> {
    let engine = engine.clone();
    let service = service_fn(move |request: HttpRequestFactory| {
        let engine = engine.clone();
        async move {
            let request: http::Request<reqwest::Body> = request.build().await?.try_into().map_err(broken)?;
            let response = engine.oneshot(request).await?;
            Ok::<_, OpenAIError>(reqwest::Response::from(response.map(reqwest::Body::wrap)))
        }
    });
    Client::with_config(OpenAIConfig::new().with_api_base("http://lb/v1").with_api_key("of-the-caller"))
        .with_http_service(service)
}
