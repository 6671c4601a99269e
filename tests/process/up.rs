//! `up` on a private Postgres: kept between runs, held by one, survives being killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use weirgate_web::tls::http_client;

use crate::support::{Process, weirgate};

pub(super) struct Up {
    pub(super) process: Process,
    pub(super) base: String,
    pub(super) token: String,
    /// What it wrote to standard error since it serves.
    pub(super) said: Arc<Mutex<String>>,
}

/// Starts `up` on a free port and reads where it serves and with which token.
pub(super) fn up(home: &Path) -> Up {
    let mut command = weirgate(&["up"], home);
    let mut process = Process::start(command.env("WEIRGATE_LISTEN", "127.0.0.1:0"));
    let mut lines = BufReader::new(process.stderr()).lines();
    let (mut base, mut token) = (None, None);
    let mut said = String::new();
    while base.is_none() || token.is_none() {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("API") => base = words.next().map(str::to_owned),
            Some("SERVICE_TOKEN") => token = words.next().map(str::to_owned),
            _ => {}
        }
        said += &(line + "\n");
    }
    // Its log must not fill the pipe.
    let said: Arc<Mutex<String>> = Arc::default();
    let heard = said.clone();
    std::thread::spawn(move || lines.for_each(|line| *heard.lock() += &(line.unwrap() + "\n")));
    Up { process, base: base.unwrap(), token: token.unwrap(), said }
}

async fn tenants(up: &Up) -> usize {
    let url = format!("{}/internal/tenants", up.base);
    let answer = http_client().build().unwrap().get(url).bearer_auth(&up.token).send().await.unwrap();
    let body: serde_json::Value = answer.error_for_status().unwrap().json().await.unwrap();
    body["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_second_one_is_told_who_holds_the_folder_and_ctrl_c_stops_the_first() {
    let home = tempfile::tempdir().unwrap();
    let mut first = up(home.path());
    assert_eq!(tenants(&first).await, 2);
    let output = weirgate(&["up"], home.path()).env("WEIRGATE_LISTEN", "127.0.0.1:0").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(&first.process.id().to_string()), "{said}");
    // Other commands use the running one's database.
    let listed = weirgate(&["jobs", "list"], home.path()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    first.process.signal("INT");
    assert!(first.process.ended().await.success());
    let mut again = up(home.path());
    assert_eq!(tenants(&again).await, 2, "the data is kept");
    again.process.signal("TERM");
    assert!(again.process.ended().await.success());
}

#[tokio::test]
async fn killed_it_goes_on_with_its_data() {
    let home = tempfile::tempdir().unwrap();
    let mut first = up(home.path());
    assert_eq!(tenants(&first).await, 2);
    first.process.kill();
    let mut second = up(home.path());
    assert_eq!(tenants(&second).await, 2);
    second.process.signal("TERM");
    assert!(second.process.ended().await.success());
}
