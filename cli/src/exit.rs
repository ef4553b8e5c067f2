//! How a command ends: what it says on stderr, and its exit code.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use anyhow::Result;

use crate::output::visible;

/// The exit code of a finished command; an error is printed on stderr, with its causes.
///
/// A reader of stdout that has seen enough, `head` say, is no failure.
pub fn finish(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = kind.or_else(|| json.and_then(serde_json::Error::io_error_kind));
        kind == Some(ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let text = format!("{error:#}");
    let lines: Vec<String> = text.lines().map(visible).collect();
    say!("error: {}", lines.join("\n"));
    ExitCode::FAILURE
}
