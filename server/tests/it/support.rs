//! What the tests stand on: a whole server in process or as a real program, people and keys to act as, and answers that
//! are easy to look at.

mod actors;
mod answer;
mod app;
mod balancer;
mod cluster;
pub(crate) mod page;
mod postgres;
mod process;
mod proxy;
pub(crate) mod redactions;
mod relay;

pub(crate) use actors::{Actor, PASSWORD};
pub(crate) use answer::{Answer, Call, IDENTITY, encoded};
pub(crate) use app::{App, COOKIE, PROXY, new_key, operator, postgres_url, session_of, with_cookie};
pub(crate) use balancer::Balancer;
pub(crate) use cluster::{BUDGET, Cluster, Made, verdict};
pub(crate) use postgres::Pair;
pub(crate) use process::{Cli, Server, eventually, send};
pub(crate) use proxy::{Guard, Proxy, free_port, systemd_analyze};
