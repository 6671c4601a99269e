//! The `weirgate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    weirgate::program::run()
}
