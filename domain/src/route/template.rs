//! Path templates: `/projects/{id}/**`, `/predict/*/{model_id}/`, `/chats?collection_id={id}`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::target::{Target, UnsafeTarget};
use crate::problem::Problem;

/// The most characters of a template.
pub const MAX_TEMPLATE: usize = 400;
/// The variable that stands for what a key is tied to. No template may have one of that name.
pub const OWN: &str = "own";

/// What a rule says of the path, and of parameters in the query.
///
/// `*` is one part between slashes, `{name}` is one too and gives it a name, `**` at the end is everything from there on, and
/// `[/]` at the end a slash that may be missing. Everything else is text that has to be there as it is, upper and lower case
/// and the slash at the end included. After `?` come parameters that the query must have, each exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Vec<Segment>,
    end: End,
    query: Vec<(Box<str>, Segment)>,
}

/// What stands between two slashes: text, or text around one hole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    Hole { before: Box<str>, name: Option<Box<str>>, after: Box<str> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The path ends with the last segment.
    Here,
    /// A slash may follow.
    MaybeSlash,
    /// At least a slash follows, and whatever there is.
    Anything,
}

/// The values of a template's variables in one request, by name.
pub(super) type Captures<'t> = Vec<(&'t str, Cow<'t, str>)>;

/// How far a template fits a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit<'t> {
    /// Another path.
    Path,
    /// The path, but not the query.
    Query,
    /// All of it.
    Whole(Captures<'t>),
}

impl Segment {
    fn read(text: &str) -> Result<Self, &'static str> {
        let plain = |text: &str| !text.contains(['*', '{', '}', '[', ']']);
        let hole = |start: usize, end: usize, name| {
            let (before, after) = (&text[..start], &text[end..]);
            let whole = plain(before) && plain(after);
            whole.then(|| Self::Hole { before: before.into(), name, after: after.into() }).ok_or("Use one * or {name} between two slashes.")
        };
        match (text.find('{'), text.find('*')) {
            (None, None) if plain(text) => Ok(Self::Text(text.into())),
            (None, None) => {
                Err("Brackets stand for something: {name} for one part of the path, [/] at the end for a slash that may be missing.")
            }
            (Some(start), _) => {
                let end = text[start..].find('}').map(|at| start + at).ok_or("Close the bracket: {name}.")?;
                let name = &text[start + 1..end];
                let fits = (1..=40).contains(&name.len())
                    && name.starts_with(|first: char| first.is_ascii_alphabetic())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                if !fits {
                    return Err("A name in {…} is 1 to 40 letters, digits, _ and -, starting with a letter.");
                }
                if name == OWN {
                    return Err("{own} stands for what the key is tied to. Choose another name in the path.");
                }
                hole(start, end + 1, Some(name.into()))
            }
            (None, Some(start)) => hole(start, start + 1, None),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Hole { name, .. } => name.as_deref(),
            Self::Text(_) => None,
        }
    }

    /// What fills the hole, empty where there is none; `None` if the text does not fit.
    fn fill<'v>(&self, value: &'v str) -> Option<&'v str> {
        match self {
            Self::Text(text) => (**text == *value).then_some(""),
            Self::Hole { before, after, .. } => value.strip_prefix(&**before)?.strip_suffix(&**after).filter(|filling| !filling.is_empty()),
        }
    }
}

impl Template {
    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its variables, in the order in which they stand there.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().chain(self.query.iter().map(|(_, segment)| segment)).filter_map(Segment::name)
    }

    pub(super) fn fit<'t>(&'t self, target: &'t Target<'_>) -> Result<Fit<'t>, UnsafeTarget> {
        let asked = target.segments.as_slice();
        let (asked, rest) = if asked.len() >= self.segments.len() { asked.split_at(self.segments.len()) } else { return Ok(Fit::Path) };
        let ends = match self.end {
            End::Here => rest.is_empty(),
            End::MaybeSlash => rest.is_empty() || matches!(rest, [last] if last.is_empty()),
            End::Anything => !rest.is_empty(),
        };
        let mut captures = Captures::new();
        for (segment, value) in self.segments.iter().zip(asked) {
            let Some(filling) = segment.fill(value).filter(|_| ends) else { return Ok(Fit::Path) };
            captures.extend(segment.name().map(|name| (name, Cow::Borrowed(filling))));
        }
        if !ends {
            return Ok(Fit::Path);
        }
        let mut fits = true;
        for (parameter, wanted) in &self.query {
            // All of them are looked at, so that one that is there twice is found whatever the others say.
            let filling = target.parameter(parameter)?.and_then(|value| wanted.fill(value));
            fits &= filling.is_some();
            captures.extend(wanted.name().zip(filling).map(|(name, filling)| (name, Cow::Borrowed(filling))));
        }
        Ok(if fits { Fit::Whole(captures) } else { Fit::Query })
    }
}

fn parameter(text: &str) -> Result<(Box<str>, Segment), &'static str> {
    const RULE: &str = "After ? write parameters as name=value, name={variable} or name=*, joined with &.";
    let (name, value) = text.split_once('=').ok_or(RULE)?;
    let fits = (1..=60).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !fits || value.is_empty() || value.contains('=') {
        return Err(RULE);
    }
    Ok((name.into(), Segment::read(value)?))
}

fn read(text: &str) -> Result<Template, &'static str> {
    if text.chars().count() > MAX_TEMPLATE {
        return Err("Use at most 400 characters.");
    }
    let readable = |found: char| crate::name::is_plain(found) && !found.is_whitespace() && !matches!(found, '\\' | ';' | '#' | '%');
    if !text.chars().all(readable) {
        return Err("Write the path as people read it, without spaces and without \\ ; # and %: nothing in it is encoded.");
    }
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let rest = path.strip_prefix('/').ok_or("Start the path with a slash.")?;
    let (rest, end) = if rest == "**" {
        ("", End::Anything)
    } else if let Some(rest) = rest.strip_suffix("/**") {
        (rest, End::Anything)
    } else if let Some(rest) = rest.strip_suffix("[/]") {
        (rest, End::MaybeSlash)
    } else {
        (rest, End::Here)
    };
    if rest.contains("**") {
        return Err("** stands for everything that follows, so it can only be the end: /projects/**.");
    }
    let parts: Vec<&str> = if rest.is_empty() && end == End::Anything && path == "/**" { Vec::new() } else { rest.split('/').collect() };
    let empty_end = usize::from(end == End::Here);
    if parts.iter().rev().skip(empty_end).any(|part| part.is_empty()) {
        return Err("Leave out slashes that follow each other.");
    }
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err("Write the path without . and .. between slashes.");
    }
    let segments = parts.into_iter().map(Segment::read).collect::<Result<Vec<_>, _>>()?;
    let query = query.map_or(Ok(Vec::new()), |query| query.split('&').map(parameter).collect::<Result<Vec<_>, _>>())?;
    let template = Template { text: text.into(), segments, end, query };
    let names: Vec<&str> = template.variables().collect();
    if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
        return Err("Give every {name} in the path a name of its own.");
    }
    let looked_at: Vec<String> = template.query.iter().map(|(name, _)| name.to_lowercase()).collect();
    if looked_at.iter().enumerate().any(|(at, name)| looked_at[..at].contains(name)) {
        return Err("Name each parameter after ? once.");
    }
    Ok(template)
}

impl FromStr for Template {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        read(text).map_err(|rule| Problem::invalid("path", rule))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod plainly;

#[cfg(test)]
mod tests {
    use super::plainly::{fits_plainly, signs};
    use super::*;
    use proptest::prelude::*;

    fn fits(template: &str, target: &str) -> bool {
        let template: Template = template.parse().unwrap();
        matches!(template.fit(&Target::read(target).unwrap()), Ok(Fit::Whole(_)))
    }

    fn captured(template: &str, target: &str) -> Vec<(String, String)> {
        let template: Template = template.parse().unwrap();
        let target = Target::read(target).unwrap();
        let Ok(Fit::Whole(captures)) = template.fit(&target) else { panic!("{template} does not fit") };
        captures.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    #[test]
    fn a_template_fits_what_it_says_and_nothing_else() {
        for (template, yes, no) in [
            ("/", &["/", "/?x=1"][..], &["/a", "/a/"][..]),
            ("/a", &["/a", "/%61"], &["/", "/a/", "/A", "/a/b", "/ab"]),
            ("/a/", &["/a/"], &["/a", "/a/b"]),
            ("/a[/]", &["/a", "/a/"], &["/a/b", "/ab"]),
            ("/a/*", &["/a/b", "/a/b%20c"], &["/a", "/a/", "/a/b/", "/a/b/c"]),
            ("/a/*/", &["/a/b/"], &["/a/b", "/a//".trim_end_matches('/')]),
            ("/a/**", &["/a/", "/a/b", "/a/b/c/"], &["/a", "/ab"]),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/a/*/c/**", &["/a/b/c/", "/a/b/c/d"], &["/a/b/c", "/a/c/"]),
            ("/v1/{name}:cancel", &["/v1/job:cancel"], &["/v1/:cancel", "/v1/job", "/v1/job:delete", "/v1/job:cancel/"]),
            ("/café", &["/caf%C3%A9", "/caf%c3%a9"], &["/cafe"]),
        ] {
            for target in yes {
                assert!(fits(template, target), "{template} {target}");
            }
            for target in no {
                assert!(!fits(template, target), "{template} {target}");
            }
        }
    }

    #[test]
    fn a_variable_takes_what_stands_in_its_place() {
        assert_eq!(captured("/projects/{id}/**", "/projects/p%20q/x"), [("id".into(), "p q".into())]);
        assert_eq!(captured("/a/{x}/{y}.json", "/a/1/2.json"), [("x".into(), "1".into()), ("y".into(), "2".into())]);
        assert_eq!(captured("/chats?collection_id={c}&n=*", "/chats?n=1&collection_id=c1"), [("c".into(), "c1".into())]);
    }

    #[test]
    fn a_query_must_have_what_the_template_names() {
        for (target, expected) in [
            ("/chats?collection_id=default", true),
            ("/chats?x=1&collection_id=default", true),
            ("/chats", false),
            ("/chats?collection_id=other", false),
            ("/chats?collection_id=", false),
            ("/chats?collection_id=Default", false),
        ] {
            assert_eq!(fits("/chats?collection_id=default", target), expected, "{target}");
        }
        assert!(!fits("/chats?collection_id={id}", "/chats?collection_id="));
        let template: Template = "/chats?a=1&b=2".parse().unwrap();
        let doubtful = Target::read("/chats?a=0&b=2&b=3").unwrap();
        assert_eq!(template.fit(&doubtful), Err(UnsafeTarget::Query));
        let other = Target::read("/other?b=2&b=3").unwrap();
        assert_eq!(template.fit(&other), Ok(Fit::Path), "a query is looked at only where the path fits");
    }

    #[test]
    fn a_template_that_means_nothing_is_refused_with_its_rule() {
        for bad in [
            "",
            "a",
            "a/b",
            "//",
            "/a//b",
            "/a//",
            "//**",
            "/**/a",
            "/a**",
            "/a/**b",
            "/***",
            "/{a",
            "/a}",
            "/{}",
            "/{1a}",
            "/{a b}",
            "/{a}{b}",
            "/*{a}",
            "/{own}",
            "/{a}/{a}",
            "/a?x={a}&y={a}",
            "/a b",
            "/a;b",
            "/a#b",
            "/a%20b",
            "/a\\b",
            "/a/../b",
            "/.",
            "/a?",
            "/a?x",
            "/a?=1",
            "/a?x=",
            "/a?x=1&",
            "/a?x=1&x=2",
            "/a?x=1&X=2",
            "/a[/]b",
            "/[a]",
            "/a\u{202e}b",
            "[/]",
            "/a/[/]",
        ] {
            assert_eq!(bad.parse::<Template>().map_err(|problem| problem.field), Err(Some("path".into())), "{bad:?}");
        }
        assert!(format!("/{}", "a".repeat(MAX_TEMPLATE)).parse::<Template>().is_err());
    }

    proptest! {
        #[test]
        fn a_template_fits_what_a_plain_reading_of_its_signs_fits(
            parts in proptest::collection::vec("[ab]{1,2}|\\*|\\{x\\}|a\\*|\\{y\\}b|a\\*b", 0..4),
            end in "|/|/\\*\\*|\\[/\\]",
            path in "(/[ab]{1,3}){0,4}/?",
        ) {
            let text = format!("/{}{end}", parts.join("/"));
            let path = if path.is_empty() { "/".to_owned() } else { path };
            if let Ok(template) = text.parse::<Template>() {
                let target = Target::read(&path).unwrap();
                let fit = matches!(template.fit(&target), Ok(Fit::Whole(_)));
                prop_assert_eq!(fit, fits_plainly(&signs(&text), &path), "{} {}", text, path);
            }
        }

        #[test]
        fn text_without_signs_fits_itself_alone(parts in proptest::collection::vec("[a-zA-Z0-9_.~-]{1,6}", 1..5), other in "[a-z]{1,6}") {
            prop_assume!(parts.iter().all(|part| part != "." && part != ".."));
            let path = format!("/{}", parts.join("/"));
            let slash = format!("{path}/");
            prop_assert!(fits(&path, &path));
            prop_assert!(!fits(&path, &slash));
            prop_assert!(fits(&slash, &slash));
            let longer = format!("{path}/{other}");
            prop_assert!(!fits(&path, &longer));
            let everything = format!("{path}/**");
            prop_assert!(fits(&everything, &longer));
        }

        #[test]
        fn any_text_is_a_template_or_is_refused_and_never_fits_what_it_should_not(text in "(/|\\*|\\{|\\}|a|b|\\[|\\]|\\?|=|&){0,14}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert!(text.starts_with('/'));
                prop_assert_eq!(template.to_string(), text.clone());
                let nowhere = Target::read("/nowhere/near").unwrap();
                let fit = template.fit(&nowhere).unwrap();
                let open = template.end == End::Anything || template.segments.iter().any(|segment| matches!(segment, Segment::Hole { .. }));
                prop_assert!(fit == Fit::Path || open);
            }
        }
    }
}
