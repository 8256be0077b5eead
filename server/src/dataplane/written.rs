//! The verdict on a key, written by hand: a serializer that looks at every byte costs more than all else of an answer.

use keyfold_domain::ids::KeyId;
use keyfold_domain::verdict::Code;
use keyfold_engine::Answer;

use crate::rest::moments::Moment;

/// Writes what the serializer of `VerdictBody` would write of an answer without detail, byte for byte. Says no, with nothing
/// written, where there is no key, a text needs escaping or a key is tied to resources: that is left to the serializer.
pub(super) fn write(out: &mut Vec<u8>, answer: &Answer, request_id: &str) -> bool {
    let Some(key) = answer.key.as_deref() else { return false };
    let code = answer.code;
    let started = out.len();
    let (name, owner, workspace) = (key.name(), key.owner(), key.workspace());
    let texts = [name, &owner.username, &owner.display_name, workspace];
    let end = key.expires_at().map(|end| Moment(end).text());
    if answer.stale.is_some() || key.resources().is_some() || end == Some(None) || !texts.into_iter().all(is_plain) {
        return false;
    }
    let valid = if code == Code::Valid { "{\"valid\":true,\"code\":\"" } else { "{\"valid\":false,\"code\":\"" };
    let parts = [
        valid,
        code.as_str(),
        "\",\"key_id\":\"",
        KeyId::PREFIX,
        key.id_digits().as_str(),
        "\",\"name\":\"",
        name,
        "\",\"owner\":{\"id\":\"",
        owner.id.as_str(),
        "\",\"username\":\"",
        &owner.username,
        "\",\"display_name\":\"",
        &owner.display_name,
        "\"},\"workspace\":{\"id\":\"",
        key.workspace_id().as_str(),
        "\",\"slug\":\"",
        workspace,
        "\"},\"kind\":\"",
        key.kind().as_str(),
        "\",\"scopes\":[",
    ];
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    // The name of a scope holds nothing to be escaped.
    let mut before = "\"";
    for scope in key.effective().iter() {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(scope.as_str().as_bytes());
        before = "\",\"";
    }
    out.extend_from_slice(if key.effective().is_empty() { b"" } else { b"\"" });
    match end.flatten() {
        Some(end) => {
            out.extend_from_slice(b"],\"resources\":[],\"expires_at\":\"");
            out.extend_from_slice(&end);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"],\"resources\":[],\"expires_at\":null"),
    }
    if !answer.standings.is_empty() && !write_limits(out, answer) {
        out.truncate(started);
        return false;
    }
    out.extend_from_slice(b",\"request_id\":\"");
    out.extend_from_slice(request_id.as_bytes());
    out.extend_from_slice(b"\"}");
    true
}

/// Writes how the limits stand. Says no where a moment is beyond the calendar. The name of a limit holds nothing to be
/// escaped.
fn write_limits(out: &mut Vec<u8>, answer: &Answer) -> bool {
    let mut before: &[u8] = b",\"limits\":[{\"name\":\"";
    for (whose, limit, standing) in answer.limits() {
        let Some(resets_at) = Moment(standing.resets_at).text() else { return false };
        out.extend_from_slice(before);
        out.extend_from_slice(limit.name().as_str().as_bytes());
        out.extend_from_slice(b"\",\"of\":\"");
        out.extend_from_slice(whose.as_str().as_bytes());
        out.extend_from_slice(b"\",\"limit\":");
        write_number(out, limit.most());
        out.extend_from_slice(b",\"remaining\":");
        write_number(out, standing.remaining);
        out.extend_from_slice(b",\"resets_at\":\"");
        out.extend_from_slice(&resets_at);
        before = b"\"},{\"name\":\"";
    }
    out.extend_from_slice(b"\"}]");
    if let Some(seconds) = answer.retry_after {
        out.extend_from_slice(b",\"retry_after\":");
        write_number(out, seconds);
    }
    true
}

fn write_number(out: &mut Vec<u8>, mut number: u32) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Does JSON write the text as it is?
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::bodies::VerdictBody;
    use std::sync::Arc;

    use keyfold_domain::catalogue::ScopeCatalogue;
    use keyfold_domain::limits::{Limit, Limits, Standing};
    use keyfold_domain::scope::{KeyKind, ScopeSet};
    use keyfold_domain::time::Timestamp;
    use keyfold_domain::user::UserRef;
    use keyfold_domain::verdict::Key;
    use keyfold_domain::workspace::Role;
    use keyfold_engine::KeyRecord;

    fn key(name: &str, scopes: &[&str], expires_at: Option<Timestamp>) -> Key {
        let scopes: ScopeSet = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Key {
            id: "key_0123456789012345678901".parse().unwrap(),
            workspace_id: "wsp_0123456789012345678901".parse().unwrap(),
            workspace: "acme".into(),
            owner: UserRef { id: "usr_0123456789012345678901".parse().unwrap(), username: "ada".into(), display_name: "Ada ü".into() }
                .into(),
            owner_role: Some(Role::Member),
            owner_active: true,
            name: name.into(),
            kind: KeyKind::Secret,
            effective: scopes.effective(&ScopeCatalogue::default()).into(),
            scopes: scopes.into(),
            resources: None,
            ip_allow: vec![],
            limits: None,
            created_at: Timestamp::from_millis(0),
            expires_at,
            inactivity_days: None,
            activated_at: None,
            deactivated_at: None,
            stopped_for_good: false,
            deleted_at: None,
        }
    }

    fn answer(key: &Key, code: Code) -> Answer {
        Answer {
            code,
            key: Some(Arc::new(KeyRecord::of(key))),
            standings: Vec::new(),
            retry_after: None,
            checks: None,
            at: Timestamp::from_millis(0),
            stale: None,
        }
    }

    fn both(answer: &Answer) -> (Option<String>, String) {
        let mut out = Vec::new();
        let written = write(&mut out, answer, "req_0");
        assert!(written || out.is_empty());
        let serialized = serde_json::to_string(&VerdictBody::new(answer, None, "req_0")).unwrap();
        (written.then(|| String::from_utf8(out).unwrap()), serialized)
    }

    #[test]
    fn what_is_written_by_hand_is_what_the_serializer_writes() {
        let ends = [None, Some(Timestamp::from_millis(1_795_254_817_042)), Some(Timestamp::MAX), Some(Timestamp::from_millis(0))];
        for end in ends {
            for scopes in [&[][..], &["chat"], &["project"], &["keys:write", "verify", "chat"]] {
                for name in ["", "CI", "Zürich 界 🦀", "a/b <i> & 'c'", "\u{7f}"] {
                    for code in Code::ALL {
                        let (by_hand, serialized) = both(&answer(&key(name, scopes, end), code));
                        assert_eq!(by_hand, Some(serialized));
                    }
                }
            }
        }
    }

    #[test]
    fn how_limits_stand_is_written_as_the_serializer_writes_it() {
        let limits = |json: &str| serde_json::from_str::<Vec<Limit>>(json).unwrap();
        let own = limits(r#"[{"name":"burst","limit":10,"window":1},{"name":"a-b_9","limit":1000000000,"quota":"month"}]"#);
        for owners in [vec![], limits(r#"[{"name":"all","limit":1,"quota":"day"}]"#)] {
            for (remaining, retry_after) in [(0, None), (0, Some(1)), (9, None), (1_000_000_000, Some(u32::MAX))] {
                let limited = Key { limits: Limits::of(own.clone(), owners.clone()), ..key("CI", &["chat"], None) };
                let standing = Standing { remaining, resets_at: Timestamp::from_millis(1_795_254_817_042) };
                let standings = vec![standing; 2 + owners.len()];
                let (by_hand, serialized) = both(&Answer { standings, retry_after, ..answer(&limited, Code::RateLimited) });
                assert!(serialized.contains(r#""of":"key""#), "{serialized}");
                assert_eq!(by_hand, Some(serialized));
            }
        }
    }

    #[test]
    fn what_needs_care_is_left_to_the_serializer() {
        for name in ["a \"b\"", "back\\slash", "tab\there", "\u{0}"] {
            assert_eq!(both(&answer(&key(name, &["chat"], None), Code::Valid)).0, None, "{name:?}");
        }
        let tied = Key { resources: Some(vec!["collection:a".parse().unwrap()]), ..key("CI", &["chat"], None) };
        assert_eq!(both(&answer(&tied, Code::Valid)).0, None);
        let before_the_calendar = key("CI", &["chat"], Some(Timestamp::from_millis(i64::MIN)));
        assert_eq!(both(&answer(&before_the_calendar, Code::Valid)).0, None);
    }
}
