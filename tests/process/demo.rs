//! The demo, from nothing to the KPIs worked out by hand.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::redirect::Policy;
use serde_json::Value;
use weirgate_web::tls::http_client;

use crate::support::{Process, weirgate};

fn demo(home: &std::path::Path, args: &[&str]) -> (bool, String, String) {
    let args: Vec<&str> = ["demo"].into_iter().chain(args.iter().copied()).collect();
    let program = weirgate(&args, home);
    // As most shells have it.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
    command
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(home);
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_shows_the_kpis_worked_out_by_hand_and_a_second_time_too() {
    let home = tempfile::tempdir().unwrap();
    let expected: Value = serde_json::from_str(include_str!("../../jobs/msp/tests/demo-kpis.json")).unwrap();
    for _ in 0..2 {
        let (ok, stdout, stderr) = demo(home.path(), &["--json"]);
        assert!(ok, "{stderr}");
        // As an older version left it, for the next run.
        assert_closed(&home.path().join("home"));
        open_to_others(&home.path().join("home"));
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
        let anomalies = shown["anomalies"].as_array().unwrap();
        let [day] = anomalies.as_slice() else { panic!("{anomalies:?}") };
        assert_eq!((&day["tenant"], &day["date"]), (&"tenant_demo_client2".into(), &"2026-02-10".into()));
        assert!(day["z_score"].as_f64().unwrap() >= 3.0, "{day}");
    }
    let (ok, stdout, stderr) = demo(home.path(), &["--date", "2026-01-19"]);
    assert!(ok && stdout.contains("KPIs of 2026-01-19") && stdout.contains("tickets_created"), "{stdout}");
    assert!(
        stdout.contains("1 day is unusual") && stdout.contains("2026-02-10: 14 tickets created"),
        "{stdout}"
    );
    assert!(!stderr.contains("the mock data in"), "{stderr}");
    let (_, stdout, stderr) = demo(home.path(), &["--date", "2025-03-01"]);
    let told = stderr.contains("has rows from 2026-01-16 to 2026-02-13 only");
    assert!(stdout.contains("KPIs of 2025-03-01") && told, "{stderr}");
    assert_closed(&home.path().join("home"));
}

/// All that is in a folder, and itself; the data of Postgres aside, which looks after it.
fn all_in(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true if entry.file_name() == "postgres" => {}
            true => all.extend(all_in(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all
}

/// Nobody else reads or lists anything; root's Postgres, which runs as another account, passes
/// through.
fn assert_closed(home: &Path) {
    let passages = [home.to_owned(), home.join("demo")];
    let all = all_in(home);
    for path in &all {
        let mode = fs::metadata(path).unwrap().mode() & 0o777;
        let most = match path.is_dir() {
            true if passages.contains(path) && rustix::process::geteuid().is_root() => 0o711,
            true => 0o700,
            false => 0o600,
        };
        assert_eq!(mode & !most, 0, "{} has the mode {mode:o}", path.display());
    }
    let is_export = |path: &PathBuf| path.is_file() && path.starts_with(home.join("demo/exports"));
    assert!(all.iter().filter(|path| is_export(path)).count() >= 2, "{all:?}");
}

fn open_to_others(home: &Path) {
    for path in all_in(home) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
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
    let client = http_client().redirect(Policy::none()).build().unwrap();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = client
        .post(format!("{dashboard}/sign-in"))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.headers()["location"], "/dashboard");
    process.signal("TERM");
    assert!(process.ended().await.success());
}
