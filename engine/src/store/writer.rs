//! The one writer of a SQLite file: a task that owns the writing connection and commits in groups.
//!
//! With `synchronous=FULL` a commit costs one sync to disk. Work that arrives while one is under way waits and then shares
//! the next, so the rate of durable writes grows with the load instead of being bound by the disk's sync rate.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::db::Conn;
use crate::error::Error;

/// The most units of work in one commit: bounds how long the first of them waits.
const GROUP: usize = 64;
/// After so long without work the WAL is moved into the database file, so that a copy of the file alone is nearly all.
const IDLE: Duration = Duration::from_secs(30);
/// Units of work that may wait; callers beyond wait for room.
const BACKLOG: usize = 1024;

type Outcome = Result<Box<dyn Any + Send>, Error>;

struct Job {
    work: Box<dyn for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Outcome> + Send + Sync>,
    reply: oneshot::Sender<Outcome>,
}

/// The way to the writer's task.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    closing: Arc<tokio::sync::Notify>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(crate) fn start(connection: SqliteConnection) -> Self {
        let (jobs, inbox) = mpsc::channel(BACKLOG);
        let closing = Arc::new(tokio::sync::Notify::new());
        let task = tokio::spawn(serve(connection, inbox, Arc::clone(&closing)));
        Self { jobs, closing, task: Arc::new(Mutex::new(Some(task))) }
    }

    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Result<T, Error>> + Send + Sync + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let boxed: Box<dyn for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Outcome> + Send + Sync> = Box::new(move |conn| {
            let running = work(conn);
            async move {
                let value: Box<dyn Any + Send> = Box::new(running.await?);
                Ok(value)
            }
            .boxed()
        });
        let gone = || Error::Unavailable("the writer has stopped".into());
        self.jobs.send(Job { work: boxed, reply }).await.map_err(|_| gone())?;
        let value = outcome.await.map_err(|_| gone())??;
        value.downcast::<T>().map(|value| *value).map_err(|_| Error::Internal("the writer returned a value of another type".into()))
    }

    /// Lets what waits finish, then closes the connection with the WAL moved into the database file.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer's task ended badly");
        }
    }
}

async fn serve(mut connection: SqliteConnection, mut inbox: mpsc::Receiver<Job>, closing: Arc<tokio::sync::Notify>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut moved = true;
    loop {
        tokio::select! {
            biased;
            received = inbox.recv_many(&mut group, GROUP) => if received == 0 { break },
            () = closing.notified() => {
                inbox.close();
                continue;
            }
            () = sleep(IDLE), if !moved => {
                move_wal(&mut connection).await;
                moved = true;
                continue;
            }
        }
        moved = false;
        commit_group(&mut connection, std::mem::take(&mut group)).await;
    }
    move_wal(&mut connection).await;
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database file could not be closed cleanly");
    }
}

async fn move_wal(connection: &mut SqliteConnection) {
    if let Err(error) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::warn!(%error, "the WAL could not be moved into the database file; a later try does it");
    }
}

async fn commit_group(connection: &mut SqliteConnection, group: Vec<Job>) {
    if let Err(error) = connection.execute("BEGIN IMMEDIATE").await {
        let why = error.to_string();
        refuse(group.into_iter().map(|job| job.reply), &why);
        return;
    }
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        let outcome = run_one(connection, &job).await;
        done.push((job.reply, outcome));
    }
    match connection.execute("COMMIT").await {
        Ok(_) => {
            for (reply, outcome) in done {
                // Whoever asked may have gone away; the work is committed all the same.
                drop(reply.send(outcome));
            }
        }
        Err(error) => {
            let why = error.to_string();
            // After some errors SQLite has rolled back already; then this has nothing to do.
            drop(connection.execute("ROLLBACK").await);
            refuse(done.into_iter().map(|(reply, _)| reply), &why);
        }
    }
}

fn refuse(replies: impl Iterator<Item = oneshot::Sender<Outcome>>, why: &str) {
    for reply in replies {
        drop(reply.send(Err(Error::Unavailable(why.to_owned()))));
    }
}

/// Runs one unit of work behind a savepoint, so that its failure or panic takes nothing else of the group along.
async fn run_one(connection: &mut SqliteConnection, job: &Job) -> Outcome {
    connection.execute("SAVEPOINT work").await?;
    let outcome = AssertUnwindSafe((job.work)(Conn::Sqlite(connection))).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::Internal("a write panicked".into())));
    let end = if outcome.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
    connection.execute(end).await?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::{on, sqlite_writer};

    #[tokio::test]
    async fn after_a_while_without_work_the_wal_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyfold.db");
        let wal = || std::fs::metadata(folder.path().join("keyfold.db-wal")).map_or(0, |found| found.len());
        let writer = Writer::start(sqlite_writer(&path).await.unwrap());
        let made = writer.run(|mut conn| {
            Box::pin(async move {
                on!(&mut conn, raw => sqlx::query("CREATE TABLE t (x INTEGER)").execute(&mut **raw).await?.rows_affected());
                Ok(())
            })
        });
        made.await.unwrap();
        assert!(wal() > 0);
        tokio::time::pause();
        tokio::time::advance(IDLE * 2).await;
        while wal() > 0 {
            // SQLite works on a thread of its own, for which no clock is held.
            tokio::task::yield_now().await;
        }
        writer.close().await;
    }
}
