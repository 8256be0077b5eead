//! Programs that are run to their end.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

/// Runs a program and returns what it printed; an error says what it complained of.
///
/// It runs beside the runtime, so that an order to stop is noticed meanwhile.
pub(crate) async fn finished(mut command: Command) -> Result<String> {
    let named = |arguments: Vec<&std::ffi::OsStr>| arguments.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let name = named(std::iter::once(command.get_program()).chain(command.get_args().take(3)).collect());
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await?.with_context(|| format!("cannot run: {name} …"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "this failed: {name} …\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn what_a_program_prints_is_returned_and_what_it_complains_of_is_reported() {
        assert_eq!(finished(shell("echo done")).await.unwrap(), "done\n");
        let error = finished(shell("echo half; echo 'no room' >&2; exit 1")).await.unwrap_err().to_string();
        assert!(error.contains("half") && error.contains("no room"), "{error}");
        let error = finished(Command::new("/nonexistent/program")).await.unwrap_err().to_string();
        assert!(error.contains("/nonexistent/program"), "{error}");
    }
}
