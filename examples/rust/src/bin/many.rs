//! many FILE [CALLS [MODEL]]: so many calls at a time, on one thread: a call runs from its start on, whoever awaits it.
//! Prints who served how many; ends with 1 when one was not served.
use lb::{block_on, Engine, Options, Request};
use std::collections::BTreeMap;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let config = std::fs::read_to_string(arguments.next().ok_or("usage: many FILE [CALLS [MODEL]]")?)?;
    let count = arguments.next().map_or(Ok(20), |it| it.parse::<usize>())?;
    let model = arguments.next().unwrap_or_else(|| "gpt-4o-mini".to_owned());
    let engine = Engine::open(&config, Options { secrets: true, no_listen: true, ..Options::default() })?;
    let body = format!(r#"{{"model": "{}", "messages": [{{"role": "user", "content": "Say hello."}}]}}"#, model);
    let request = Request::post("/v1/chat/completions");
    let calls: Vec<_> = (0..count).map(|_| engine.call(&request, &body)).collect();
    let (mut served, mut failed) = (BTreeMap::<String, usize>::new(), 0);
    for call in calls {
        let answer = block_on(async {
            let mut response = call.await?;
            response.bytes().await?;
            Ok::<_, lb::Error>(response)
        });
        match answer {
            Ok(response) => *served.entry(response.done().map_or("", |it| &it.upstream).to_owned()).or_default() += 1,
            Err(error) => {
                eprintln!("{}", error);
                failed += 1;
            }
        }
    }
    for (upstream, count) in served {
        println!("{} served {}", upstream, count);
    }
    std::process::exit((failed > 0).into())
}
