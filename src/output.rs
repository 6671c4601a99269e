//! What commands write for people and other programs. A reader may go away at any time, as `head`
//! does.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub struct Closed;

/// What a shell shows of a program that SIGPIPE has ended, as it would have ended others.
#[must_use]
pub fn exit_code_of_closed() -> ExitCode {
    ExitCode::from(128 + 13)
}

/// Writes a line to standard output. It is a `Result`: what changes something says so after it is
/// committed.
macro_rules! say {
    ($($words:tt)*) => { $crate::output::line(format_args!($($words)*)) };
}

/// Writes a line to standard error, for people who look on. Nobody has to.
macro_rules! tell {
    ($($words:tt)*) => { $crate::output::note(format_args!($($words)*)) };
}

pub(crate) use {say, tell};

pub(crate) fn line(words: Arguments<'_>) -> Result<()> {
    write(format!("{words}\n").as_bytes())
}

/// Writes to standard output, and all of it now: a process that waits next has shown what it said.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

pub(crate) fn note(words: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{words}");
}
