//! What differs from run to run in an answer, replaced by a name after a look at its form.

use insta::dynamic_redaction;
use insta::internals::Redaction;

fn checked(name: &'static str, fits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Redaction {
    dynamic_redaction(move |value, path| {
        let text = value.as_str().unwrap_or_else(|| panic!("{path} is no text: {value:?}"));
        assert!(fits(text), "{path} is no {name}: {text}");
        format!("[{name}]")
    })
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 22 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

pub(crate) fn key_id() -> Redaction {
    checked("key id", |text| is_id(text, "key_"))
}

pub(crate) fn secret_id() -> Redaction {
    checked("secret id", |text| is_id(text, "sec_"))
}

pub(crate) fn resource_id() -> Redaction {
    checked("resource id", |text| is_id(text, "res_"))
}

pub(crate) fn workspace_id() -> Redaction {
    checked("workspace id", |text| is_id(text, "wsp_"))
}

pub(crate) fn user_id() -> Redaction {
    checked("user id", |text| is_id(text, "usr_"))
}

pub(crate) fn request_id() -> Redaction {
    checked("request id", |text| is_id(text, "req_"))
}

/// A secret of the usual prefix whose checksum is right.
pub(crate) fn secret() -> Redaction {
    checked("secret", |text| keyfold_domain::token::parse(&keyfold_domain::token::Prefix::default(), text).is_ok())
}

/// The masked form of a secret.
pub(crate) fn hint() -> Redaction {
    checked("hint", |text| {
        let (head, tail) = text.split_once('…').unwrap_or_default();
        ["kf_sec_", "kf_pub_", "kf_adm_"].contains(&head) && tail.len() == 4
    })
}
