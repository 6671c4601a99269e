//! A server, and commands that ask it or its database.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output};

use serde_json::Value;

use super::cli::Cli;
use crate::support::{Process, weirgate};

pub(super) const TOKEN: &str = "0123456789abcdef";

/// A server on a database of its own, with the two demo tenants.
pub(super) struct Scene {
    pub(super) cli: Cli,
    pub(super) server: Process,
    pub(super) base: String,
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        let cli = Cli::new().await;
        cli.ok(&["seed"]).await;
        let (server, base) = serve(&cli, "127.0.0.1:0", settings);
        Self { cli, server, base }
    }

    /// A command that knows the server alone.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        elsewhere(&self.cli, args, &self.base)
    }

    pub(super) async fn asked(&self, args: &[&str]) -> Output {
        output(self.command(args)).await
    }

    /// What it writes to standard output.
    pub(super) async fn out(&self, args: &[&str]) -> String {
        let output = self.asked(args).await;
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// That a command that changes nothing shows the same through both doors. Times pass in
    /// between, so that it may be a few tries.
    pub(super) async fn same(&self, args: &[&str]) -> String {
        let mut both = (String::new(), String::new());
        for _ in 0..5 {
            both = (self.cli.out(args).await, self.out(args).await);
            if both.0 == both.1 {
                return both.0;
            }
        }
        panic!("{args:?}:\n{}\nand of the server:\n{}", both.0, both.1);
    }

    /// That a command that changes something says the same through both doors; what it says of the
    /// server, with names of its own.
    pub(super) async fn alike(&self, steps: &[&[&str]]) {
        let mut said = [Vec::new(), Vec::new()];
        for (door, said) in said.iter_mut().enumerate() {
            let mut id = String::new();
            for step in steps {
                let step: Vec<&str> = step.iter().map(|arg| if *arg == "ID" { &*id } else { *arg }).collect();
                let answer = if door == 0 { self.cli.out(&step).await } else { self.out(&step).await };
                let first = answer.split_whitespace().next().unwrap_or_default();
                if first.len() == 36 && id.is_empty() {
                    first.clone_into(&mut id);
                }
                said.push(plain(&answer));
            }
        }
        let [here, there] = said;
        for ((step, here), there) in steps.iter().zip(here).zip(there) {
            assert_eq!(here, there, "{step:?}");
        }
    }
}

/// A server that commands can ask, and its address.
pub(super) fn serve(cli: &Cli, listen: &str, settings: &[(&str, &str)]) -> (Process, String) {
    let mut command = cli.command(&["serve"]);
    command.env("WEIRGATE_LISTEN", listen).env("SERVICE_TOKEN", TOKEN).env("WEIRGATE_LOG_FORMAT", "json");
    let mut process = Process::start(command.envs(settings.iter().copied()));
    let mut lines = BufReader::new(process.stderr()).lines();
    let mut said = String::new();
    let base = loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = json["address"].as_str().or(json["fields"]["address"].as_str()) {
            break format!("http://{address}");
        }
        said += &line;
    };
    // Its log must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (process, base)
}

/// A command that knows a server and its token, and no database.
pub(super) fn elsewhere(cli: &Cli, args: &[&str], base: &str) -> Command {
    let mut command = weirgate(args, cli.home.path());
    command.env("WEIRGATE_URL", base).env("WEIRGATE_TOKEN", TOKEN);
    command
}

pub(super) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without ids, times and what depends on how wide these are.
pub(super) fn plain(said: &str) -> String {
    let word = |word: &str| {
        let word = word.trim_matches(['"', ',', '.']);
        let is_id = word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_time =
            word.len() >= 8 && word.contains(':') && word.starts_with(|it: char| it.is_ascii_digit());
        if is_id {
            "ID"
        } else if is_time {
            "TIME"
        } else {
            word
        }
        .to_owned()
    };
    said.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}
