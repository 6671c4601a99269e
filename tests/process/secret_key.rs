//! What is sealed, and processes with and without the key that opens it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use tempfile::TempDir;
use weirgate_identity::SecretKey;
use weirgate_test_support::TestDb;

use super::up::up;
use crate::support::{Process, database, weirgate};

struct Scene {
    db: TestDb,
    home: TempDir,
}

/// Settings of secret keys.
type Keys<'a> = &'a [(&'a str, &'a str)];

impl Scene {
    async fn new() -> Self {
        Self { db: database().await, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str], keys: Keys<'_>) -> Command {
        let mut command = weirgate(args, self.home.path());
        command.env("DATABASE_URL", &self.db.url).env("WEIRGATE_LISTEN", "127.0.0.1:0");
        command.env("SERVICE_TOKEN", "0123456789abcdef").envs(keys.iter().copied());
        command
    }

    /// Whether it succeeded, and what it said.
    async fn run(&self, args: &[&str], keys: Keys<'_>) -> (bool, String) {
        said(self.command(args, keys)).await
    }

    /// Starts `serve` and ends it once it serves.
    fn serves(&self, keys: Keys<'_>) {
        let mut process = Process::start(&mut self.command(&["serve"], keys));
        let mut lines = BufReader::new(process.stderr()).lines().map(Result::unwrap);
        let mut before = String::new();
        assert!(
            lines.any(|line| {
                before += &line;
                line.contains("serving")
            }),
            "{before}"
        );
        process.kill();
    }
}

fn alone(key: &str) -> [(&str, &str); 1] {
    [("WEIRGATE_SECRET_KEY", key)]
}

fn both<'a>(key: &'a str, old: &'a str) -> [(&'a str, &'a str); 2] {
    [("WEIRGATE_SECRET_KEY", key), ("WEIRGATE_SECRET_KEY_OLD", old)]
}

async fn said(mut command: Command) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let both = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(both).unwrap())
}

#[tokio::test]
async fn without_the_key_of_what_is_sealed_nothing_starts_and_a_new_key_takes_over() {
    let scene = Scene::new().await;
    let [first, second] = [(); 2].map(|()| SecretKey::generate());
    let [first_name, second_name] = [&first, &second].map(|key| key.name().to_string());
    let [first, second] = [first, second].map(|key| key.to_hex());

    scene.serves(&[]);
    let (ok, refused) = scene.run(&["identity", "keys", "rotate"], &[]).await;
    assert!(!ok && refused.contains("openssl rand -hex 32"), "{refused}");
    let (ok, rotated) = scene.run(&["identity", "keys", "rotate"], &alone(&first)).await;
    assert!(ok, "{rotated}");
    let (_, listed) = scene.run(&["identity", "keys", "list"], &[]).await;
    assert!(listed.contains("signing") && listed.contains(&first_name), "{listed}");

    for role in ["serve", "worker", "up"] {
        let (ok, refused) = scene.run(&[role], &[]).await;
        assert!(!ok && refused.contains("WEIRGATE_SECRET_KEY is not set"), "{role}: {refused}");
        assert!(
            refused.contains("identity.signing_keys") && refused.contains(&first_name),
            "{role}: {refused}"
        );
        let (ok, refused) = scene.run(&[role], &alone(&second)).await;
        assert!(!ok && refused.contains(&first_name) && refused.contains(&second_name), "{role}: {refused}");
        assert!(refused.contains("WEIRGATE_SECRET_KEY_OLD"), "{role}: {refused}");
        assert!(!refused.contains(&second), "{role} shows a key: {refused}");
    }

    // First the new key opens beside the present one, then it seals, and the former one opens.
    scene.serves(&both(&first, &second));
    scene.serves(&both(&second, &first));
    for count in [1, 0] {
        let (ok, resealed) = scene.run(&["identity", "reseal"], &both(&second, &first)).await;
        assert!(ok && resealed.contains(&format!("{count} sealed anew")), "{resealed}");
        assert!(
            resealed.contains(&second_name) && resealed.contains("WEIRGATE_SECRET_KEY_OLD can go"),
            "{resealed}"
        );
    }
    scene.serves(&alone(&second));
    let (ok, refused) = scene.run(&["worker"], &alone(&first)).await;
    assert!(!ok && refused.contains(&second_name), "{refused}");
    let (ok, refused) = scene.run(&["identity", "reseal"], &alone(&first)).await;
    assert!(!ok && refused.contains(&second_name), "{refused}");
}

#[tokio::test]
async fn up_makes_a_key_in_the_home_and_all_commands_there_use_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("home/secret-key");
    let mut first = up(home.path());
    let key = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let name = SecretKey::parse(key.trim()).unwrap().name().to_string();
    let (ok, rotated) = said(weirgate(&["identity", "keys", "rotate"], home.path())).await;
    assert!(ok, "{rotated}");
    let (_, listed) = said(weirgate(&["identity", "keys", "list"], home.path())).await;
    assert!(listed.contains(&name), "{listed}");
    first.process.signal("TERM");
    assert!(first.process.ended().await.success());

    fs::remove_file(&file).unwrap();
    let mut command = weirgate(&["up"], home.path());
    command.env("WEIRGATE_LISTEN", "127.0.0.1:0");
    let (ok, refused) = said(command).await;
    assert!(!ok && refused.contains(&name) && refused.contains("home/secret-key"), "{refused}");
    assert!(!file.exists(), "no other key takes its place");
    fs::write(&file, &key).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut again = up(home.path());
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
    again.process.signal("TERM");
    assert!(again.process.ended().await.success());
}
