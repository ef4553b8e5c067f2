//! The functions in a context, the command as a process, and a cluster on this machine.

#[cfg(feature = "ballista")]
mod cluster;
mod command;
mod functions;
mod support;
