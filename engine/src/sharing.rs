//! How servers on one database share limits. They agree on who counts how: a server alone spends everything that is left, as
//! if there were no others; several spend leases. Nobody who verifies waits for any of this.
//!
//! A server that was alone goes over to leases before anybody else gets one. One of which nothing is heard has stopped
//! spending by itself when the others write it off: what it held counts as spent from then on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::ids::NodeId;
use keyfold_domain::limits::{Ask, LimitName, part};
use keyfold_domain::time::Timestamp;
use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::error::Error;
use crate::keyset::Meter;
use crate::presence::{Presence, say, silent_after_ms};
use crate::service::{Core, flush_spent, json};
use crate::store::db::Conn;
use crate::store::leases::{self, ALONE, BY_LEASES, OtherRow, UNSAID, WRITTEN_OFF};
use crate::store::limits::SpentRow;

/// How often it is looked who else is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked who needs something.
const HELP_EVERY: Duration = Duration::from_millis(250);
/// The least time between two rounds of asking: many calls share one.
const GAP: Duration = Duration::from_millis(5);
/// Meters in one transaction.
const CHUNK: usize = 200;
/// How often a server that begins looks whether it has what it needs, and how many times at most.
const BEGIN_EVERY: Duration = Duration::from_millis(100);
const BEGIN_TRIES: u32 = 25;

/// What a transaction says that was to hand out leases or to change how this server counts.
enum Agreed {
    /// This server was written off, or is not known any more.
    Lost,
    /// How it counts, and how many servers there are.
    Counts { counting: i64, servers: usize },
}

/// This server, if there can be others beside it.
fn among_others(core: &Core) -> Option<&Presence> {
    core.db.shared_feed().and_then(|_| core.presence.get())
}

/// Keeps limits shared while a server runs.
pub(crate) async fn share_limits(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let Some(presence) = among_others(&core) else { return };
    let (mut looks, mut helps) = (interval(LOOK_EVERY), interval(HELP_EVERY));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    helps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let done = tokio::select! {
            _ = looks.tick() => agree(&core, presence).await,
            _ = helps.tick() => help(&core, presence).await,
            () = core.keyset.ledger.wake.notified() => ask(&core, presence).await,
            _ = stop.changed() => return,
        };
        match done {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "limits cannot be shared with other servers; quotas are spent as far as they are leased");
                }
                failing = true;
            }
        }
        sleep(GAP).await;
    }
}

/// Everything at once.
pub(crate) async fn round(core: &Core) -> Result<(), Error> {
    let Some(presence) = among_others(core) else { return Ok(()) };
    agree(core, presence).await?;
    help(core, presence).await?;
    ask(core, presence).await
}

/// Before a server answers anybody: agrees with the others, and takes its parts. Others who are slow are not waited for long;
/// until they have agreed, calls that are limited by a quota are refused here.
pub(crate) async fn begin(core: &Core) {
    let Some(presence) = among_others(core) else { return };
    core.keyset.ledger.join(&core.clock);
    for _ in 0..BEGIN_TRIES {
        if let Err(error) = round(core).await {
            tracing::debug!(%error, "limits are not shared with the other servers yet");
        }
        let now = core.now();
        let mut quotas = core.keyset.ledger.find(|_| true).into_iter().filter(|meter| meter.has_quotas());
        let counts = presence.counting() != UNSAID;
        // Without any quota there is nothing to wait for.
        if quotas.all(|meter| counts && !meter.wants(now)) {
            return;
        }
        sleep(BEGIN_EVERY).await;
    }
    tracing::warn!("another server has not made room yet; until it has, calls that are limited by a quota are refused here");
}

fn postgres(conn: Conn<'_>) -> Result<&mut PgConnection, Error> {
    match conn {
        Conn::Postgres(raw) => Ok(raw),
        Conn::Sqlite(_) => Err(Error::Internal("leases are for PostgreSQL".into())),
    }
}

/// Looks who else is there, and changes how this server counts where that is called for.
async fn agree(core: &Core, presence: &Presence) -> Result<(), Error> {
    // Nobody else writes what was spent meanwhile.
    let _flushing = core.flushing.lock().await;
    let others = look_around(core, presence).await?;
    let Some((known, others)) = others else { return Ok(()) };
    core.keyset.ledger.count_servers(others.len() + 1);
    if known != presence.counting() || known == WRITTEN_OFF {
        lose(core, presence);
    }
    let now_counts = if others.is_empty() {
        // A change to leases that failed half way is undone as well.
        if presence.counting() == ALONE && !core.keyset.ledger.is_shared() { ALONE } else { become_alone(core, presence).await? }
    } else if others.iter().any(|other| other.counting == ALONE) {
        // It will make room as soon as it sees this server, or be written off.
        return Ok(());
    } else if presence.counting() == BY_LEASES {
        BY_LEASES
    } else {
        lease_from_now_on(core, presence).await?
    };
    if presence.counting() != now_counts {
        presence.count(now_counts);
        tracing::info!(servers = others.len() + 1, leases = now_counts == BY_LEASES, "limits are counted anew");
        say(core, presence).await?;
    }
    Ok(())
}

/// What this server held is not its own any more.
fn lose(core: &Core, presence: &Presence) {
    core.keyset.ledger.hold_until(0);
    core.keyset.ledger.turn(true).iter().for_each(|meter| meter.lose());
    presence.count(UNSAID);
}

/// How this server counts as far as the others know, and the others that are not written off. Writes off those of which
/// nothing is heard. Nothing for a server that is not known any more: it makes itself known again first.
async fn look_around(core: &Core, presence: &Presence) -> Result<Option<(i64, Vec<OtherRow>)>, Error> {
    let (node, now) = (presence.node.id.clone(), core.now());
    let found = core.db.note(move |conn| {
        let node = node.clone();
        Box::pin(async move {
            let conn = postgres(conn)?;
            leases::lock(conn).await?;
            let known = leases::counting(conn, &node).await?;
            let (silent, live): (Vec<_>, Vec<_>) =
                leases::others(conn, &node).await?.into_iter().partition(|other| other.unseen_ms >= silent_after_ms(other.budget_ms));
            for other in &silent {
                leases::set_counting(conn, &other.id, WRITTEN_OFF).await?;
            }
            leases::write_off(conn, now.as_millis()).await?;
            Ok(known.map(|known| (known, live)))
        })
    });
    let found = found.await?;
    if found.is_none() {
        lose(core, presence);
        say(core, presence).await?;
    }
    Ok(found)
}

/// Looks once more, under the lock that all servers share, whether this server may count so; then does what that takes.
async fn under_lock(conn: &mut PgConnection, node: &NodeId, alone: bool) -> Result<bool, Error> {
    leases::lock(conn).await?;
    let others = leases::others(conn, node).await?;
    let may = if alone { others.is_empty() } else { others.iter().all(|other| other.counting != ALONE) };
    Ok(may && leases::counting(conn, node).await?.is_some())
}

/// Takes everything that is left: there is no other server any more.
async fn become_alone(core: &Core, presence: &Presence) -> Result<i64, Error> {
    flush_spent(core).await?;
    let node = presence.node.id.clone();
    let done = core.db.note(move |conn| {
        let node = node.clone();
        Box::pin(async move {
            let conn = postgres(conn)?;
            if !under_lock(conn, &node, true).await? {
                return Ok(false);
            }
            leases::delete_of(conn, &node).await?;
            leases::set_counting(conn, node.as_str(), ALONE).await?;
            Ok(true)
        })
    });
    if !done.await? {
        return Ok(presence.counting());
    }
    // New ones read by themselves what was spent, which only this server changes from now on.
    let meters: Vec<_> = core.keyset.ledger.turn(false).into_iter().filter(|meter| meter.has_quotas()).collect();
    let mut reader = core.db.feed().await?;
    for page in meters.chunks(CHUNK) {
        let subjects = json(page.iter().map(|meter| meter.subject()))?;
        let mut spent = HashMap::<String, Vec<SpentRow>>::new();
        for row in leases::spent_by(postgres(reader.conn())?, &subjects).await? {
            spent.entry(row.subject.clone()).or_default().push(row);
        }
        for meter in page {
            let rows = spent.remove(meter.subject()).unwrap_or_default();
            meter.regain(rows.iter().filter_map(|row| {
                let (name, units) = (row.name.parse::<LimitName>().ok()?, u64::try_from(row.units).ok()?);
                Some((name, Timestamp::from_millis(row.at), units))
            }));
        }
    }
    Ok(ALONE)
}

/// Makes room for others: from now on this server spends what it has leased, and it leases a part of what is left.
async fn lease_from_now_on(core: &Core, presence: &Presence) -> Result<i64, Error> {
    let (servers, now) = (core.keyset.ledger.servers(), core.now());
    let meters = core.keyset.ledger.turn(true);
    for meter in &meters {
        if presence.counting() == ALONE {
            // Nobody else leases anything before the transaction is through.
            meter.share(servers, now);
        } else {
            meter.lose();
        }
    }
    let mut rows = Vec::new();
    for meter in &meters {
        rows.extend(meter.holdings().into_iter().map(|(name, units)| (meter.subject().to_owned(), name, units, false)));
    }
    let pages = rows.chunks(CHUNK).map(|page| json(page.iter())).collect::<Result<Vec<_>, _>>()?;
    let (node, pages) = (presence.node.id.clone(), Arc::new(pages));
    let done = core.db.note(move |conn| {
        let (node, pages) = (node.clone(), Arc::clone(&pages));
        Box::pin(async move {
            let conn = postgres(conn)?;
            if !under_lock(conn, &node, false).await? {
                return Ok(false);
            }
            leases::delete_of(conn, &node).await?;
            for page in pages.iter() {
                leases::hold(conn, &node, page).await?;
            }
            leases::set_counting(conn, node.as_str(), BY_LEASES).await?;
            Ok(true)
        })
    });
    let done = done.await?;
    core.keyset.ledger.ask_for(&meters, now);
    Ok(if done { BY_LEASES } else { presence.counting() })
}

/// Asks for what meters need.
async fn ask(core: &Core, presence: &Presence) -> Result<(), Error> {
    if presence.counting() != BY_LEASES {
        // They ask again as soon as it is known how this server counts.
        core.keyset.ledger.take_asking(usize::MAX);
        return Ok(());
    }
    loop {
        let meters = core.keyset.ledger.take_asking(CHUNK);
        if meters.is_empty() {
            return Ok(());
        }
        let _flushing = core.flushing.lock().await;
        match lease(core, presence, &meters).await? {
            Agreed::Counts { counting: BY_LEASES, servers } => core.keyset.ledger.count_servers(servers),
            Agreed::Counts { .. } => return Ok(()),
            Agreed::Lost => {
                lose(core, presence);
                return Ok(());
            }
        }
    }
}

/// One transaction in which leases are handed out to these meters.
async fn lease(core: &Core, presence: &Presence, meters: &[Arc<Meter>]) -> Result<Agreed, Error> {
    let (node, now) = (presence.node.id.clone(), core.now());
    let asks: Vec<(Arc<Meter>, Ask)> =
        meters.iter().flat_map(|meter| meter.asks(now).into_iter().map(|ask| (Arc::clone(meter), ask))).collect();
    let rows: Arc<Vec<(String, Ask)>> = Arc::new(asks.iter().map(|(meter, ask)| (meter.subject().to_owned(), ask.clone())).collect());
    let done = core.db.note(move |conn| {
        let (node, rows) = (node.clone(), Arc::clone(&rows));
        Box::pin(async move {
            let conn = postgres(conn)?;
            hand_out(conn, &node, &rows).await
        })
    });
    let (agreed, given) = done.await?;
    for ((meter, ask), (units, elsewhere)) in asks.iter().zip(given) {
        if ask.needed > 0 {
            meter.granted(&ask.name, units, elsewhere, now);
        } else {
            meter.told(&ask.name, elsewhere);
        }
    }
    Ok(agreed)
}

/// Units given, and units left elsewhere, for each that was asked for.
async fn hand_out(conn: &mut PgConnection, node: &NodeId, rows: &[(String, Ask)]) -> Result<(Agreed, Vec<(u64, u64)>), Error> {
    leases::lock(conn).await?;
    let counting = leases::counting(conn, node).await?;
    let others = leases::others(conn, node).await?;
    match counting {
        Some(BY_LEASES) if others.iter().all(|other| other.counting != ALONE) => {}
        Some(counting) if counting != WRITTEN_OFF => {
            return Ok((Agreed::Counts { counting: UNSAID, servers: others.len() + 1 }, Vec::new()));
        }
        _ => return Ok((Agreed::Lost, Vec::new())),
    }
    let servers = u32::try_from(others.len() + 1).unwrap_or(u32::MAX);
    let asked = json(rows.iter().map(|(subject, ask)| (subject, &ask.name, ask.since.as_millis())))?;
    let mut pools = leases::pools(conn, node, &asked).await?;
    pools.sort_unstable_by_key(|pool| pool.at);
    let number = |units: i64| u64::try_from(units).unwrap_or(0);
    let mut given = Vec::with_capacity(rows.len());
    let (mut holds, mut gone) = (Vec::new(), Vec::new());
    for ((subject, ask), pool) in rows.iter().zip(&pools) {
        let taken = number(pool.spent).saturating_add(number(pool.others)).saturating_add(ask.held);
        let free = ask.most.saturating_sub(taken);
        let units = if ask.needed == 0 { 0 } else { part(free, servers, ask.needed) };
        if ask.most == 0 {
            gone.push((subject, &ask.name));
        } else {
            // Whoever has something and gets no more waits until that is spent.
            let wanted = ask.needed > units;
            holds.push((subject, &ask.name, ask.held.saturating_add(units), wanted));
        }
        given.push((units, (free - units).saturating_add(number(pool.others))));
    }
    leases::hold(conn, node, &json(holds.iter())?).await?;
    leases::forget(conn, node, &json(gone.iter())?).await?;
    Ok((Agreed::Counts { counting: BY_LEASES, servers: others.len() + 1 }, given))
}

/// Lets go of what others need and this server has.
async fn help(core: &Core, presence: &Presence) -> Result<(), Error> {
    if presence.counting() != BY_LEASES {
        return Ok(());
    }
    let mut reader = core.db.feed().await?;
    let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    let wanted = leases::wanted(postgres(reader.conn())?, &presence.node.id, limit).await?;
    drop(reader);
    if wanted.is_empty() {
        return Ok(());
    }
    let _flushing = core.flushing.lock().await;
    let meters: HashMap<String, Arc<Meter>> = core
        .keyset
        .ledger
        .find(|subject| wanted.iter().any(|row| row.subject == subject))
        .into_iter()
        .map(|meter| (meter.subject().to_owned(), meter))
        .collect();
    let mut rows = Vec::new();
    for row in &wanted {
        let (Some(meter), Ok(name)) = (meters.get(&row.subject), row.name.parse::<LimitName>()) else { continue };
        meter.let_go(&name);
        let held = meter.holdings().into_iter().find(|(other, _)| *other == name).map_or(0, |(_, units)| units);
        rows.push((&row.subject, name, held));
    }
    let (node, rows) = (presence.node.id.clone(), json(rows.iter())?);
    let done = core.db.note(move |conn| {
        let (node, rows) = (node.clone(), rows.clone());
        Box::pin(async move { Ok(leases::shrink(postgres(conn)?, &node, &rows).await?) })
    });
    // If that fails, what was let go stays so: it is told with whatever is told next.
    done.await
}
