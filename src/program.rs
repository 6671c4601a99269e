//! The program, from its command line to its exit code. It is part of the library, so that the
//! binary compiles none of it again.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::output::{Closed, exit_code_of_closed};
use crate::signals::{self, Interrupted, Stop};
use crate::{commands, home, open_files};

/// How long what a signal broke off may take to be let go, which ends what it had started.
const LET_GO: Duration = Duration::from_secs(2);

/// Parses the command line, reads the settings, and runs what was asked for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    open_files::raise_limit();
    weirgate_web::tls::provide_tls();
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
    let ended = runtime.block_on(async { commands::run(cli, config, Stop::listen()?).await });
    match ended {
        Ok(()) => {
            // What still blocks a thread, such as a read that never returns, must not hold the exit
            // up.
            runtime.shutdown_background();
            ExitCode::SUCCESS
        }
        Err(error) if error.is::<Interrupted>() => {
            runtime.shutdown_timeout(LET_GO);
            let _ = fail("interrupted");
            signals::exit_code()
        }
        Err(error) => {
            runtime.shutdown_background();
            if error.is::<Closed>() { exit_code_of_closed() } else { fail(&told(&error)) }
        }
    }
}

/// An error with its causes, each said once: some say what theirs says, too.
fn told(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn fail(message: &str) -> ExitCode {
    // Nobody has to read it.
    let _ = writeln!(std::io::stderr(), "weirgate: {message}");
    ExitCode::FAILURE
}
