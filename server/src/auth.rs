//! Who is asking: the client's address, the session cookie, the management key, and whether a request with side effects
//! came from our own pages.

mod actor;
mod bearer;
mod client_ip;
mod cookies;
mod origin;

pub(crate) use actor::{RequestActor, identify, user_agent};
pub(crate) use bearer::bearer;
pub(crate) use client_ip::{client_ip, is_trusted};
pub(crate) use cookies::{cookie, session_cookies};
pub(crate) use origin::same_origin_only;
