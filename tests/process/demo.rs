//! The demo, from nothing to the KPIs worked out by hand.

use std::process::Stdio;

use serde_json::Value;

use crate::support::weirgate;

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
