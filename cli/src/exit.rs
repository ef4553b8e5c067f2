//! How a command ends: what it says on stderr, and its exit code.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use anyhow::Result;

/// The exit code of a finished command; an error is printed on stderr, with its causes.
///
/// A reader of stdout that has seen enough, `head` say, is no failure.
pub fn finish(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        let source = cause.downcast_ref::<io::Error>();
        source.is_some_and(|source| source.kind() == ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
