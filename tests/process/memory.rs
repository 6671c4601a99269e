//! What large answers cost in memory.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use uuid::Uuid;
use weirgate_test_support::{Does, Step, tenant};
use weirgate_web::tls::http_client;

use crate::support::{Process, database, weirgate};

const TOKEN: &str = "the-service-token-of-the-tests";
const OUTPUT: usize = 80_000_000;

/// The most memory that the process had so far, in bytes.
fn peak(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    peak.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_large_output_is_in_memory_twice_at_most() {
    let (db, home) = (database().await, tempfile::tempdir().unwrap());
    let tenant = tenant(&db.pool, "acme", "UTC").await;
    let job: Uuid = db.enqueue(tenant.id, &Step::new("large", Does::Succeed)).await.id;
    sqlx::query("update queue.jobs set output = to_jsonb(repeat('x', $2)) where id = $1")
        .bind(job)
        .bind(i32::try_from(OUTPUT).unwrap())
        .execute(&db.pool)
        .await
        .unwrap();
    let mut command = weirgate(&["serve"], home.path());
    command.env("DATABASE_URL", &db.url).env("SERVICE_TOKEN", TOKEN).env("WEIRGATE_LISTEN", "127.0.0.1:0");
    let mut process = Process::start(&mut command);
    let mut lines = BufReader::new(process.stderr()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let (_, rest) = line.split_once("127.0.0.1:")?;
        Some(format!("127.0.0.1:{}", rest.split(|it: char| !it.is_ascii_digit()).next()?))
    });
    let address = address.expect("it serves");
    std::thread::spawn(move || lines.for_each(drop));
    let client = http_client().build().unwrap();
    let get = async |path: &str| {
        let url = format!("http://{address}{path}");
        let answer = client.get(url).bearer_auth(TOKEN).timeout(Duration::from_mins(1)).send().await.unwrap();
        answer.error_for_status().unwrap().bytes().await.unwrap().len()
    };
    assert!(get("/internal/jobs").await < 10_000, "a list leaves it out");
    let before = peak(&process);
    assert!(get(&format!("/internal/jobs/{job}")).await > OUTPUT);
    let more = peak(&process) - before;
    println!("{} MB for an output of {} MB", more / 1_000_000, OUTPUT / 1_000_000);
    // The buffer that it comes in grows with it; no other copy is made.
    assert!(more < OUTPUT * 5 / 2, "{more}");
}
