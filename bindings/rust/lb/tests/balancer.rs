//! The balancer door: picks, reports, refusals.
use lb::{Ask, Balancer, Options, Outcome, OutcomeKind, Status};
use std::time::{Duration, Instant};

const TWO: &str = r#"{"deployments":[
    {"name":"east","url":"https://east.example/v1","key":"secret","models":{"m":{"as":"mini"}}},
    {"name":"west","url":"https://west.example/v1/","models":["m"],"concurrency":1}],
  "routes":[{"model":"m","tiers":[["east"],["west"]]}]}"#;

fn ask() -> Ask<'static> {
    Ask { model: "m", characters: 100, tokens_out_max: 10, ..Ask::default() }
}

#[test]
fn picks_and_reports() {
    let balancer = Balancer::open(TWO, Options::default()).unwrap();
    let pick = balancer.pick(&ask()).unwrap();
    assert_eq!((pick.deployment(), pick.url(), pick.key()), ("east", "https://east.example/v1", "secret"));
    assert_eq!(pick.model(), Some("mini"));
    assert!(!format!("{:?}", pick).contains("secret"));
    let mut again = ask();
    again.tried.push(pick.target());
    let failed =
        Outcome { kind: OutcomeKind::Error, http_status: 429, head: b"retry-after: 60\r\n", ..Outcome::default() };
    let next = pick.report(&failed);
    assert!(next.elsewhere && next.out.unwrap() > Duration::from_secs(50), "{:?}", next);
    let pick = balancer.clone().pick(&again).unwrap();
    assert_eq!((pick.deployment(), pick.url(), pick.model()), ("west", "https://west.example/v1", Some("m")));
    let done = Outcome { http_status: 200, tokens_in: Some(30), tokens_out: Some(5), ..Outcome::default() };
    let next = std::thread::spawn(move || pick.report(&done)).join().unwrap();
    assert!(!next.elsewhere && next.out.is_none());
    assert!(balancer.stats().contains("west") && balancer.explain(&ask()).unwrap().contains("east"));
    assert!(balancer.explain(&Ask { model: "nobody's", ..ask() }).is_none());
}

/// A pick that is dropped gives its place back.
#[test]
fn dropped_picks() {
    let balancer = Balancer::open(TWO, Options::default()).unwrap();
    balancer.mark("east", "", Duration::from_secs(3600)).unwrap();
    for _ in 0..100 {
        let pick = balancer.pick(&ask()).unwrap();
        assert_eq!(pick.deployment(), "west");
        let refused = balancer.pick(&ask()).unwrap_err();
        assert!(refused.wait.is_some(), "{:?}", refused);
        assert!([Status::LIMITED, Status::NO_UPSTREAM].contains(&refused.status) && !refused.to_string().is_empty());
    }
    balancer.mark("east", "m", Duration::ZERO).unwrap();
    assert_eq!(balancer.pick(&ask()).unwrap().deployment(), "east");
    assert_eq!(balancer.mark("far", "", Duration::ZERO).unwrap_err().status, Status::INVALID);
}

#[test]
fn refusals() {
    assert_eq!(Balancer::open("{", Options::default()).unwrap_err().status, Status::CONFIG);
    let balancer = Balancer::open(TWO, Options { secrets: true, seed: 7, ..Options::default() }).unwrap();
    let unknown = balancer.pick(&Ask { model: "nobody's", ..ask() }).unwrap_err();
    assert_eq!((unknown.status, unknown.wait), (Status::INVALID, None));
    let deadline = Some(Instant::now() + Duration::from_secs(5));
    let mut all = Ask { deadline, retry: true, attempts: 2, caller: "me", affinity: "a session", ..ask() };
    for name in ["east", "west"] {
        let pick = balancer.pick(&all).unwrap();
        assert_eq!(pick.deployment(), name);
        all.tried.push(pick.target());
        pick.report(&Outcome { kind: OutcomeKind::Timeout, ..Outcome::default() });
    }
    assert_eq!(balancer.pick(&all).unwrap_err().wait, None);
    balancer.configure(&TWO.replace("\"east\"", "\"near\"")).unwrap();
    assert_eq!(balancer.pick(&ask()).unwrap().deployment(), "near");
}
