use lb::{Delivery, Engine, Options, Request};

const ECHO: &str = r#"{"deployments": [{"name": "echo", "kind": "echo", "models": ["gpt-4o-mini"]}]}"#;
const BODY: &str = r#"{"model": "gpt-4o-mini", "stream": true,
    "messages": [{"role": "user", "content": "Say hello."}]}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // first_token [FILE]: a configuration, or else an upstream that answers in process
    let config = std::env::args().nth(1).map_or(Ok(ECHO.to_owned()), std::fs::read_to_string)?;
    let engine = Engine::open(&config, Options { secrets: true, ..Options::default() })?;
    let mut request = Request::post("/v1/chat/completions");
    request.options.delivery = Delivery::Events;
    lb::block_on(async {
        let mut response = engine.call(&request, BODY).await?;
        while let Some(event) = response.next().await {
            println!("{}", String::from_utf8_lossy(&event?));
        }
        Ok(())
    })
}
