//! The binary `keyfold`: reads the command line and runs a command.

use std::process::ExitCode;

use clap::Parser as _;
use keyfold_server::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
