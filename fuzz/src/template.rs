//! Templates of route rules, and the requests that they are for.

#[path = "../../domain/src/route/template/plainly.rs"]
mod plainly;

use keyfold_domain::route::{NoRoute, RouteMap, RuleDraft, Template};

use plainly::{fits_plainly, signs};

/// The first line is a template, the second what a request asks for. A template is shown as it was written. It fits where
/// trying all ways to fit finds one, and never a path that servers read differently.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (written, target) = text.split_once('\n').unwrap_or((&text, "/a"));
    let template: Option<Template> = written.parse().ok();
    if written.trim() != written {
        // Around a rule's template blanks are cut; in a template there are none.
        assert!(template.is_none(), "{written:?}");
        return;
    }
    let draft = RuleDraft { methods: vec!["*".to_owned()], path: written.to_owned(), access: "public".to_owned(), ..RuleDraft::default() };
    let map = RouteMap::read(&[draft]).ok();
    assert_eq!(template.is_some(), map.is_some(), "{written:?}");
    let (Some(template), Some(map)) = (template, map) else { return };
    assert!(written.starts_with('/') && template.to_string() == written, "{written:?}");

    let (path, query) = written.split_once('?').map_or((written, None), |(path, query)| (path, Some(query)));
    let asked = plain_path(target.split('?').next().unwrap_or_default());
    let fits = asked.as_deref().map(|asked| fits_plainly(&signs(path), asked));
    match map.find("GET", target) {
        Ok(_) => assert_eq!(fits, Some(true), "{written:?} {target:?}"),
        Err(NoRoute::NoRule) => assert!(fits == Some(false) || query.is_some(), "{written:?} {target:?}"),
        // More is refused than what is not plain: the query, the length, what is encoded twice.
        Err(NoRoute::Unsafe(_)) => {}
    }
}

/// The path as every server reads it, decoded once; `None` if there is no such reading.
fn plain_path(path: &str) -> Option<String> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decoded).collect::<Option<_>>()?;
    let odd = |part: &String| part.contains(['/', '\\', ';']) || part.chars().any(char::is_control) || matches!(part.trim(), "." | "..");
    let (_, inner) = parts.split_last()?;
    let plain = !parts.iter().any(odd) && !inner.iter().any(String::is_empty);
    plain.then(|| format!("/{}", parts.join("/")))
}

fn decoded(part: &str) -> Option<String> {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}
