//! `keyfold demo`: fills an empty instance with plausible data, for a look around. Everything but very many keys is done by
//! the services themselves, by a clock that starts in the past.

mod clock;
mod crowd;
mod dice;
mod life;
mod story;

use std::sync::Arc;

use keyfold_domain::ids::WorkspaceId;
use keyfold_engine::{Clock as _, Engine, OpenRole, SystemClock};
use serde::Serialize;

use crate::cli::{CliError, Printer, stdin_line};
use crate::config::Config;
use crate::serve::open_by;
use clock::TravelClock;
use dice::Dice;

/// How many days the data goes back.
const DAYS: i64 = 120;

/// Fill an empty instance with plausible data, for a look around
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The same number makes the same data; secrets and passwords are never the same
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Add so many keys to one workspace, with all states and dates, to see how lists behave
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=2_000_000))]
    keys: u32,
    /// Read the password of everybody from standard input instead of making one up
    #[arg(long)]
    password_stdin: bool,
}

/// What was made, and how to sign in.
#[derive(Serialize)]
struct Shown {
    administrator: &'static str,
    member: &'static str,
    password: String,
    address: String,
    users: usize,
    workspaces: usize,
    keys: u64,
}

pub(crate) async fn run(args: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let password = args.password_stdin.then(stdin_line).transpose()?;
    let clock = Arc::new(TravelClock::new(SystemClock.now().plus_days(-DAYS)));
    let engine = open_by(config, OpenRole::Beside, clock.clone()).await?;
    let done = match engine.setup.is_needed().await {
        Ok(true) => fill(&args, password, &engine, &clock, printer).await,
        Ok(false) => Err(CliError::Refused(
            "this instance is not empty, and demo data would be hard to tell from yours. Use another --data-dir".into(),
        )),
        Err(error) => Err(error.into()),
    };
    engine.close().await;
    let (password, made) = done?;
    let shown = Shown {
        administrator: story::ADMINISTRATOR,
        member: story::MEMBER,
        password,
        address: config.public_url.to_string(),
        users: story::PEOPLE.len(),
        workspaces: story::WORKSPACES.len(),
        keys: made,
    };
    printer.data(&shown, &words(&shown))
}

fn words(shown: &Shown) -> String {
    let Shown { administrator, member, password, address, users, workspaces, keys } = shown;
    format!(
        "Filled with {users} people, {workspaces} workspaces and {keys} keys.\n\
         Start the server (keyfold serve) and sign in at {address}\n\
         \x20 as {administrator}, who administers the instance, or as {member}, a plain member\n\
         \x20 password: {password}"
    )
}

async fn fill(
    args: &Args,
    given: Option<String>,
    engine: &Engine,
    clock: &Arc<TravelClock>,
    printer: &Printer,
) -> Result<(String, u64), CliError> {
    // A password that was given is known to whoever gave it, and is not repeated.
    let told = if given.is_some() { Some("the one you gave".to_owned()) } else { None };
    let password = given.unwrap_or_else(|| invented(engine));
    let mut dice = Dice::new(args.seed);
    let places = story::settle(engine, clock, &password).await?;
    printer.note(&format!("{} people and {} workspaces; now {DAYS} days of their work", story::PEOPLE.len(), story::WORKSPACES.len()));
    let mut made = life::live(engine, clock, &places, &password, &mut dice, DAYS).await?;
    if args.keys > 0 {
        let crowded: &WorkspaceId = places.crowded();
        crowd::add(engine, crowded, &places, args.keys, &mut dice, printer).await?;
        made += u64::from(args.keys);
    }
    Ok((told.unwrap_or(password), made))
}

/// Four groups of four letters and digits that are not mistaken for one another.
fn invented(engine: &Engine) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 64];
    engine.fill_random(&mut bytes);
    // 248 is the largest multiple of 31 in a byte: what is above would favour some letters.
    let letters = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
    let letters: Vec<char> = letters.take(20).map(|byte| char::from(*byte)).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use keyfold_domain::name;

    use super::*;

    #[test]
    fn every_name_in_the_story_is_one_that_the_product_accepts() {
        for workspace in story::WORKSPACES {
            assert!(name::slug("slug", workspace.slug).is_ok());
        }
        for thing in &story::THINGS {
            assert!(thing.place < story::WORKSPACES.len() && name::optional_name("name", thing.name).is_ok());
        }
        for key in story::keys() {
            assert!(key.ties.iter().all(|tie| tie.parse::<keyfold_domain::verdict::ResourceRef>().is_ok()), "{}", key.name);
            assert!(name::optional_name("name", key.name).is_ok() && key.made >= 0 && key.made < DAYS, "{}", key.name);
        }
    }
}
