//! Measures a built Keyfold: verification beside a bare axum route, durable creation beside the disk, start, memory, and the
//! weight of what is shipped. `make bench` builds everything and runs it.
//!
//! Machines drift, so what counts are ratios within one run: the server has one core to itself, the load another, and each
//! slice on Keyfold lies between two on what it is compared with. It talks to 127.0.0.1 only, every loop has an end, and
//! secrets are kept in files of one folder that is removed afterwards.

mod commands;
mod creation;
mod disk;
mod figures;
mod filling;
mod http;
mod instructions;
mod isolation;
mod lists;
mod load;
mod postgres;
mod propagation;
mod reference;
mod report;
mod run;
mod server;
mod startup;
mod verification;
mod weight;
mod wrk;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Measures a built Keyfold
#[derive(Parser)]
#[command(name = "bench", max_term_width = 100)]
enum Command {
    /// Measure everything and print one table
    Run(run::Args),
    /// Measure the pages of keys alone
    Lists(lists::Args),
    /// Count the instructions of a verification, and fail where they have become more than is allowed
    Gate(instructions::Args),
    /// Serve a fixed body from a bare axum route, until stopped
    Reference(reference::Args),
    /// Create keys over HTTP as fast as they are answered, and print how that went
    Create(load::Args),
}

fn main() -> ExitCode {
    let command = Command::parse();
    // The runtime that the server has, so that the reference differs by what it does alone.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(dispatch(command)));
    match outcome.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<String> {
    match command {
        Command::Run(args) => until_stopped(Box::pin(run::run(args))).await,
        Command::Lists(args) => until_stopped(Box::pin(lists::run(args))).await,
        Command::Gate(args) => until_stopped(Box::pin(instructions::gate(args))).await,
        Command::Reference(args) => reference::run(args).await,
        Command::Create(args) => load::run(args).await,
    }
}

/// Ends the work when somebody asks for it, and with it every server it has started.
async fn until_stopped(work: impl Future<Output = Result<String>>) -> Result<String> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        outcome = work => outcome,
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("asked to stop"),
    }
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Tells whoever waits how it goes.
fn say(line: &str) {
    // Nothing is left to tell anyone if standard error is gone.
    let _ = writeln!(std::io::stderr(), "bench: {line}");
}
