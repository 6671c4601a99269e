//! The `weirgate` program: parses the command line and hands on.

use std::process::ExitCode;

use clap::Parser;
use weirgate::cli::{Cli, Command};
use weirgate::config::Config;
use weirgate::{commands, connections, home};

fn main() -> ExitCode {
    let cli = Cli::parse();
    connections::raise_limit();
    // Mock data is written for others to read.
    if !matches!(cli.command, Command::MockData(_)) {
        home::keep_to_ourselves();
    }
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}")),
    };
    let ended = runtime.block_on(commands::run(cli, config));
    // What still blocks a thread, such as a read that never returns, must not hold the exit up.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("weirgate: {message}");
    ExitCode::FAILURE
}
