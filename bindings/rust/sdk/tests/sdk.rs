//! async-openai as it comes from the registry, in two ways: through its HTTP hook, and through a listener in process.
#[path = "../../lb/tests/support/mod.rs"]
mod support;

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::CreateChatCompletionRequest;
use async_openai::Client;
use futures_util::StreamExt;
use lb::{Engine, Options};
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use support::*;

/// The same engine in two ways.
fn clients(deployments: &str, routes: &str) -> (Engine, [Client<OpenAIConfig>; 2]) {
    let listen = r#""listen":[{"address":"127.0.0.1:0"}]"#;
    let engine =
        Engine::open(&format!(r#"{{{listen},"deployments":[{deployments}]{routes}}}"#), Options::default()).unwrap();
    let base = format!("http://{}/v1", engine.address("").unwrap());
    let config = OpenAIConfig::new().with_api_base(base).with_api_key("of-the-caller");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let clients = [lb_sdk_tests::client(&engine), Client::with_config(config).with_http_client(http)];
    (engine, clients)
}

fn ask(more: Value) -> CreateChatCompletionRequest {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "Say hello."}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

async fn plain(client: &Client<OpenAIConfig>) -> String {
    let answer = client.chat().create(ask(json!({}))).await.unwrap();
    assert!(answer.usage.unwrap().completion_tokens > 0);
    answer.choices[0].message.content.clone().unwrap()
}

async fn streamed(client: &Client<OpenAIConfig>) -> String {
    let mut stream = client.chat().create_stream(ask(json!({"stream": true}))).await.unwrap();
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        text.extend(event.unwrap().choices.iter().filter_map(|it| it.delta.content.clone()));
    }
    text
}

#[tokio::test]
async fn plain_and_streamed() {
    let mock = Mock::start(r#"{"name":"mock","tokens":40}"#);
    let (_engine, clients) = clients(&mock.deployment("mock"), "");
    for client in &clients {
        assert_eq!(plain(client).await.split(' ').count(), 40);
        assert_eq!(streamed(client).await, plain(client).await);
    }
    assert!(!mock.journal().0.contains("of-the-caller"));
}

type Answer = fn(&Value) -> (&'static str, String);

/// An upstream in this process: what it answers, by the body of the request; and all of those.
fn upstream(answer: Answer) -> (String, Arc<Mutex<Vec<Value>>>) {
    let (listener, asked) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(Mutex::new(Vec::new())));
    let (url, all) = (format!("http://{}/v1", listener.local_addr().unwrap()), asked.clone());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (all, socket) = (all.clone(), socket.unwrap());
            std::thread::spawn(move || serve(socket, answer, &all));
        }
    });
    (url, asked)
}

fn serve(mut socket: std::net::TcpStream, answer: Answer, asked: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (kind, text) = answer(&body);
        asked.lock().unwrap().push(body);
        let length = text.len();
        write!(socket, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{text}").unwrap();
    }
}

const CALL: &str =
    r#"{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\""}}"#;
const MORE: &str = r#"{"index":0,"function":{"arguments":":\"Oslo\"}"}}"#;

/// It wants its tool called.
fn tool_calls(body: &Value) -> (&'static str, String) {
    if body["stream"] == json!(true) {
        let chunk = |delta: String, finish: &str| {
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
                 [{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        let calls = |call: &str| format!("{{\"tool_calls\":[{call}]}}");
        let end = chunk("{}".into(), "\"tool_calls\"");
        let text = chunk(calls(CALL), "null") + &chunk(calls(MORE), "null") + &end + "data: [DONE]\n\n";
        return ("text/event-stream", text);
    }
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Oslo\"}"});
    let call = json!({"id": "call_1", "type": "function", "function": function});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
        "usage": usage});
    ("application/json", answer.to_string())
}

#[tokio::test]
async fn tools() {
    use async_openai::types::chat::{ChatCompletionMessageToolCalls, FinishReason};
    let (url, asked) = upstream(tool_calls);
    let (_engine, clients) = clients(&format!(r#"{{"name":"tools","url":"{url}","models":["m"]}}"#), "");
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": parameters}});
    for client in &clients {
        let answer = client.chat().create(ask(json!({"tools": [tool]}))).await.unwrap();
        let choice = &answer.choices[0];
        assert_eq!(choice.finish_reason, Some(FinishReason::ToolCalls));
        match &choice.message.tool_calls.as_ref().unwrap()[0] {
            ChatCompletionMessageToolCalls::Function(call) => {
                assert_eq!((call.id.as_str(), call.function.name.as_str()), ("call_1", "weather"));
                assert_eq!(call.function.arguments, r#"{"city":"Oslo"}"#);
            }
            other => panic!("{other:?}"),
        }
        // What the tool said goes back, and the next answer is streamed.
        let told = json!({"messages": [{"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"}], "tools": [tool], "stream": true});
        let mut stream = client.chat().create_stream(ask(told)).await.unwrap();
        let mut arguments = String::new();
        while let Some(event) = stream.next().await {
            for call in event.unwrap().choices.iter().flat_map(|it| it.delta.tool_calls.clone().unwrap_or_default()) {
                arguments += &call.function.unwrap().arguments.unwrap();
            }
        }
        assert_eq!(arguments, r#"{"city":"Oslo"}"#);
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|it| it["tools"][0]["function"]["name"] == "weather"));
    assert_eq!(asked[1]["messages"][2]["content"], "rain");
}

/// A stream that is dropped, and a call that is: the upstream sees its client close.
// Its streams are read by a task of theirs, which needs a thread of its own while this one waits.
#[tokio::test(flavor = "multi_thread")]
async fn abort() {
    let mock = Mock::start(r#"{"tokens":100000,"event_gap_ms":1,"per_model":{"slow":{"latency_ms":60000}}}"#);
    let deployment = mock.deployment("mock").replace(r#"["m"]"#, r#"["m","slow"]"#);
    let (_engine, clients) = clients(&deployment, "");
    for client in &clients {
        let mut took = f64::MAX;
        for _ in 0..3 {
            let mut stream = client.chat().create_stream(ask(json!({"stream": true}))).await.unwrap();
            for _ in 0..3 {
                stream.next().await.unwrap().unwrap();
            }
            let before = mock.journal().now_ms();
            drop(stream);
            until("the stream ends", || mock.journal().end() != "open");
            assert_eq!(mock.journal().end(), "client_closed");
            took = took.min(mock.journal().last("end_ms") - before);
            let calls = mock.journal().calls();
            let slow = client.chat();
            let call = slow.create(ask(json!({"model": "slow"})));
            tokio::time::timeout(std::time::Duration::from_millis(200), call).await.unwrap_err();
            until("the call came and went", || {
                mock.journal().calls() > calls && mock.journal().end() == "client_closed"
            });
        }
        assert!(took <= 100.0, "{took} ms");
    }
}

#[tokio::test]
async fn failover() {
    for way in 0..2 {
        let (mut east, west) = (Mock::start(r#"{"name":"east"}"#), Mock::start(r#"{"name":"west"}"#));
        let routes = r#","routes":[{"model":"m","tiers":[["east"],["west"]]}]"#;
        let deployments = format!("{},{}", east.deployment("east"), west.deployment("west"));
        let (_engine, clients) = clients(&deployments, routes);
        let client = &clients[way];
        assert!(plain(client).await.starts_with("east"));
        assert!(streamed(client).await.starts_with("east"));
        east.kill();
        for _ in 0..3 {
            assert!(streamed(client).await.starts_with("west"));
            assert!(plain(client).await.starts_with("west"));
        }
    }
}

/// Errors of lb are what an OpenAI upstream's would be.
#[tokio::test]
async fn errors() {
    let mock = Mock::start("{}");
    let (_engine, [hook, listener]) = clients(&mock.deployment("mock"), "");
    let unknown = ask(json!({"model": "nobody's"}));
    match listener.chat().create(unknown.clone()).await.unwrap_err() {
        OpenAIError::ApiError(error) => assert!(error.to_string().contains("nobody's"), "{error}"),
        other => panic!("{other:?}"),
    }
    match hook.chat().create(unknown).await.unwrap_err() {
        OpenAIError::Boxed(error) => assert_eq!(error.downcast_ref::<lb::Error>().unwrap().done.code, 404),
        other => panic!("{other:?}"),
    }
}

/// Anthropic's API, which has no SDK in Rust, by reqwest: a call with a tool, plain and streamed.
fn messages(body: &Value) -> (&'static str, String) {
    let usage = json!({"input_tokens": 7, "output_tokens": 5});
    let tool = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}});
    let message = |content: Value, stop: Value| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": stop, "stop_sequence": null, "usage": usage})
    };
    if body["stream"] != json!(true) {
        return ("application/json", message(json!([tool]), json!("tool_use")).to_string());
    }
    let block = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}});
    let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
    let events = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        delta("{\"city\""),
        delta(":\"Oslo\"}"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    let text = events.iter().map(|it| format!("event: {}\ndata: {it}\n\n", it["type"].as_str().unwrap())).collect();
    ("text/event-stream", text)
}

#[tokio::test]
async fn anthropic() {
    let (url, asked) = upstream(messages);
    let url = url.trim_end_matches("/v1");
    let config = format!(
        r#"{{"listen":[{{"address":"127.0.0.1:0"}}],"deployments":[
            {{"name":"bad","dialect":"anthropic","url":"http://127.0.0.1:1","models":["m"]}},
            {{"name":"good","dialect":"anthropic","url":"{url}","models":["m"]}}],
          "routes":[{{"model":"m","tiers":[["bad"],["good"]]}}]}}"#
    );
    let engine = Engine::open(&config, Options::default()).unwrap();
    let address = format!("http://{}/v1/messages", engine.address("").unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for stream in [false, true] {
        let tool = json!({"name": "weather", "input_schema": {"type": "object"}});
        let body = json!({"model": "m", "max_tokens": 50, "stream": stream, "tools": [tool],
            "messages": [{"role": "user", "content": "Weather?"}]});
        for listener in [false, true] {
            let request = http.post(&address).header("anthropic-version", "2023-06-01").header("x-api-key", "mine");
            let request = request.header("content-type", "application/json").body(body.to_string());
            let text = if listener {
                request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
            } else {
                let request: http::Request<reqwest::Body> = request.build().unwrap().try_into().unwrap();
                let response = tower::ServiceExt::oneshot(engine.clone(), request).await.unwrap();
                assert_eq!(response.headers()["x-lb-served-by"], "good");
                String::from_utf8(response.into_body().bytes().await.unwrap()).unwrap()
            };
            let json = if stream { "data: {\"type\":\"message_stop\"}\n\n" } else { "" };
            assert!(text.ends_with(json) && text.contains("toolu_1"), "{text}");
            assert_eq!(text, messages(&body).1);
        }
    }
    assert!(asked.lock().unwrap().iter().all(|it| it["tools"][0]["name"] == "weather"));
}
