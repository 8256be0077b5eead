//! The verdict on a key, written by hand: a serializer that looks at every byte costs more than all else of an answer.

use keyfold_domain::verdict::{Code, Key};

use crate::rest::moments::Moment;

/// Writes what the serializer of `VerdictBody` would write, byte for byte. Says no, with nothing written, where a text needs
/// escaping or a key is tied to resources: that is left to the serializer.
pub(super) fn write(out: &mut Vec<u8>, code: Code, key: &Key, request_id: &str) -> bool {
    let texts = [&key.name, &key.owner.username, &key.owner.display_name, &key.workspace];
    let end = key.expires_at.map(|end| Moment(end).text());
    if key.resources.is_some() || end == Some(None) || !texts.into_iter().all(|text| is_plain(text)) {
        return false;
    }
    let valid = if code == Code::Valid { "{\"valid\":true,\"code\":\"" } else { "{\"valid\":false,\"code\":\"" };
    let parts = [
        valid,
        code.as_str(),
        "\",\"key_id\":\"",
        key.id.as_str(),
        "\",\"name\":\"",
        &key.name,
        "\",\"owner\":{\"id\":\"",
        key.owner.id.as_str(),
        "\",\"username\":\"",
        &key.owner.username,
        "\",\"display_name\":\"",
        &key.owner.display_name,
        "\"},\"workspace\":{\"id\":\"",
        key.workspace_id.as_str(),
        "\",\"slug\":\"",
        &key.workspace,
        "\"},\"kind\":\"",
        key.kind.as_str(),
        "\",\"scopes\":[",
    ];
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    // The name of a scope holds nothing to be escaped.
    let mut before = "\"";
    for scope in key.effective.iter() {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(scope.as_str().as_bytes());
        before = "\",\"";
    }
    out.extend_from_slice(if key.effective.is_empty() { b"" } else { b"\"" });
    match end.flatten() {
        Some(end) => {
            out.extend_from_slice(b"],\"resources\":[],\"expires_at\":\"");
            out.extend_from_slice(&end);
            out.extend_from_slice(b"\",\"request_id\":\"");
        }
        None => out.extend_from_slice(b"],\"resources\":[],\"expires_at\":null,\"request_id\":\""),
    }
    out.extend_from_slice(request_id.as_bytes());
    out.extend_from_slice(b"\"}");
    true
}

/// Does JSON write the text as it is?
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::bodies::VerdictBody;
    use keyfold_domain::catalogue::ScopeCatalogue;
    use keyfold_domain::scope::{KeyKind, ScopeSet};
    use keyfold_domain::time::Timestamp;
    use keyfold_domain::user::UserRef;
    use keyfold_domain::workspace::Role;

    fn key(name: &str, scopes: &[&str], expires_at: Option<Timestamp>) -> Key {
        let scopes: ScopeSet = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Key {
            id: "key_0123456789012345678901".parse().unwrap(),
            workspace_id: "wsp_0123456789012345678901".parse().unwrap(),
            workspace: "acme".into(),
            owner: UserRef { id: "usr_0123456789012345678901".parse().unwrap(), username: "ada".into(), display_name: "Ada ü".into() },
            owner_role: Some(Role::Member),
            owner_active: true,
            name: name.into(),
            kind: KeyKind::Secret,
            effective: scopes.effective(&ScopeCatalogue::default()),
            scopes,
            resources: None,
            ip_allow: vec![],
            limits: None,
            created_at: Timestamp::from_millis(0),
            expires_at,
            inactivity_days: None,
            activated_at: None,
            deactivated_at: None,
            deleted_at: None,
        }
    }

    fn both(key: &Key, code: Code) -> (Option<String>, String) {
        let mut out = Vec::new();
        let written = write(&mut out, code, key, "req_0");
        assert!(written || out.is_empty());
        let serialized = serde_json::to_string(&VerdictBody::new(code, Some(key), "req_0")).unwrap();
        (written.then(|| String::from_utf8(out).unwrap()), serialized)
    }

    #[test]
    fn what_is_written_by_hand_is_what_the_serializer_writes() {
        let ends = [None, Some(Timestamp::from_millis(1_795_254_817_042)), Some(Timestamp::MAX), Some(Timestamp::from_millis(0))];
        for end in ends {
            for scopes in [&[][..], &["chat"], &["project"], &["keys:write", "verify", "chat"]] {
                for name in ["", "CI", "Zürich 界 🦀", "a/b <i> & 'c'", "\u{7f}"] {
                    for code in Code::ALL {
                        let (by_hand, serialized) = both(&key(name, scopes, end), code);
                        assert_eq!(by_hand, Some(serialized));
                    }
                }
            }
        }
    }

    #[test]
    fn what_needs_care_is_left_to_the_serializer() {
        for name in ["a \"b\"", "back\\slash", "tab\there", "\u{0}"] {
            assert_eq!(both(&key(name, &["chat"], None), Code::Valid).0, None, "{name:?}");
        }
        let tied = Key { resources: Some(vec!["collection:a".parse().unwrap()]), ..key("CI", &["chat"], None) };
        assert_eq!(both(&tied, Code::Valid).0, None);
        let before_the_calendar = key("CI", &["chat"], Some(Timestamp::from_millis(i64::MIN)));
        assert_eq!(both(&before_the_calendar, Code::Valid).0, None);
    }
}
