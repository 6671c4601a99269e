//! The demo, from nothing to the KPIs worked out by hand.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use reqwest::redirect::Policy;
use serde_json::Value;

use crate::support::{Process, weirgate};

fn demo(home: &std::path::Path, args: &[&str]) -> (bool, String, String) {
    let args: Vec<&str> = ["demo"].into_iter().chain(args.iter().copied()).collect();
    let output = weirgate(&args, home).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_shows_the_kpis_worked_out_by_hand_and_a_second_time_too() {
    let home = tempfile::tempdir().unwrap();
    let expected: Value = serde_json::from_str(include_str!("../demo-kpis.json")).unwrap();
    for _ in 0..2 {
        let (ok, stdout, stderr) = demo(home.path(), &["--json"]);
        assert!(ok, "{stderr}");
        let shown: Value = serde_json::from_str(&stdout).unwrap();
        let tenants = shown["tenants"].as_array().unwrap();
        assert_eq!(tenants.len(), 2);
        for tenant in tenants {
            let expected = expected[tenant["tenant"].as_str().unwrap()].as_object().unwrap();
            for (name, value) in expected {
                assert_eq!(&tenant["kpis"][name], value, "{name} of {}", tenant["tenant"]);
            }
            let jobs = tenant["jobs"].as_array().unwrap();
            assert_eq!(jobs.len(), 6);
            assert!(jobs.iter().all(|job| job["state"] == "completed"));
            assert!(tenant["export"]["bytes"].as_u64().unwrap() > 0);
        }
    }
    let (ok, stdout, _) = demo(home.path(), &["--date", "2026-01-19"]);
    assert!(ok && stdout.contains("KPIs of 2026-01-19") && stdout.contains("tickets_created"), "{stdout}");
}

#[tokio::test]
async fn who_stays_is_told_how_to_sign_in() {
    let home = tempfile::tempdir().unwrap();
    let mut process =
        Process::start(weirgate(&["demo", "--stay"], home.path()).env("WEIRGATE_LISTEN", "127.0.0.1:0"));
    let mut lines = BufReader::new(process.stderr()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("Ctrl-C")).collect();
    std::thread::spawn(move || lines.for_each(drop));
    let after = |name: &str| {
        let line = said.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{said:?}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let dashboard = after("dashboard")[0].clone();
    let sign_in = after("sign in");
    let fields = [("email", &sign_in[0]), ("password", &sign_in[2])];
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = client
        .post(format!("{dashboard}/sign-in"))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.headers()["location"], "/dashboard");
    process.signal("TERM");
    assert!(process.ended().await.success());
}
