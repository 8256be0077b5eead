//! `GET /rpc/meta`: about the server and the caller. The SDK asks for it before it does anything else.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::Refusal;
use super::caller::Caller;
use crate::state::AppState;

/// The client's own version; sent by newer ones.
const CLIENT_VERSION: HeaderName = HeaderName::from_static("x-client-version");
/// The version whose contract is kept, and which is tested.
const VERSION: &str = "1.7.5";

/// Everything that any version of the client asks for; each ignores what it does not know.
pub(super) async fn show(caller: Caller, State(state): State<AppState>, headers: HeaderMap) -> Result<Reply<Value>, Refusal> {
    let user = state.engine.account.behind(&caller.actor).await?;
    let version = headers.get(CLIENT_VERSION).and_then(|value| value.to_str().ok()).filter(|text| is_version(text));
    Ok(Reply(json!({
        "version": format!("v{}", version.unwrap_or(VERSION)),
        "build": env!("CARGO_PKG_VERSION"),
        "username": user.username,
        "user_id": user.id,
        "subject": user.id,
        "email": user.email,
        "is_guest": false,
        "license_expired": false,
        "license_expiry_date": "",
        "global_configs": [],
        "user_configs": [],
        "picture": null,
        "groups": null,
        "workspaces": null,
        "permissions": [],
        "ui_config": {
            "logo": "", "chat_logo": "", "primary_color": "", "chat_name": "", "greeting": "", "show_private_button": false,
            "show_workers_status": false, "show_live_logs": false, "show_eval": false, "show_extractors": false, "public_mode": false,
        },
    })))
}

/// Three numbers, with a build number after them perhaps. The management of keys is the same for all of them, so the client
/// need not warn its user of another version of the platform, which is not here.
fn is_version(text: &str) -> bool {
    let numbers = text.split_once('-').map_or(text, |(numbers, _)| numbers);
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
    text.len() <= 20
        && text.bytes().all(|found| found.is_ascii_alphanumeric() || found == b'.' || found == b'-')
        && parts.len() == 3
        && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_a_version_is_said_back() {
        for version in ["1.7.5", "1.6.28", "1.7.0-33", "2.0.0"] {
            assert!(is_version(version), "{version}");
        }
        for other in ["", "1.7", "1.7.5.1", "v1.7.5", "1.7.x", "1.7.5-<b>", "1..5", "99999.1.1", "1.7.5\u{a0}"] {
            assert!(!is_version(other), "{other}");
        }
    }
}
