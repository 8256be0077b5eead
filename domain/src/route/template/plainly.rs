//! Which paths a template fits, by trying everything. Templates are held against it, here and by `fuzz`.

/// What a template wants, sign by sign.
#[derive(Debug, Clone)]
pub(crate) enum Sign {
    Letter(char),
    /// One or more letters that are no slash.
    Hole,
    /// Anything, nothing included.
    Rest,
    /// A slash or nothing.
    MaybeSlash,
}

/// The signs of a path template that is one.
pub(crate) fn signs(template: &str) -> Vec<Sign> {
    let (body, end) = match (template.strip_suffix("**"), template.strip_suffix("[/]")) {
        (Some(body), _) => (body, Some(Sign::Rest)),
        (_, Some(body)) => (body, Some(Sign::MaybeSlash)),
        _ => (template, None),
    };
    let mut signs = Vec::new();
    let mut letters = body.chars();
    while let Some(letter) = letters.next() {
        signs.push(match letter {
            '*' => Sign::Hole,
            '{' => {
                letters.by_ref().take_while(|letter| *letter != '}').for_each(drop);
                Sign::Hole
            }
            letter => Sign::Letter(letter),
        });
    }
    signs.extend(end);
    signs
}

/// Tries every way in which the signs could fit.
pub(crate) fn fits_plainly(signs: &[Sign], path: &str) -> bool {
    let rest = |path: &str| path.chars().next().map(|first| path[first.len_utf8()..].to_owned());
    match signs.split_first() {
        None => path.is_empty(),
        Some((Sign::Letter(letter), signs)) => path.starts_with(*letter) && fits_plainly(signs, &rest(path).unwrap_or_default()),
        Some((Sign::Rest, _)) => true,
        Some((Sign::MaybeSlash, signs)) => fits_plainly(signs, path) || (path == "/" && fits_plainly(signs, "")),
        Some((Sign::Hole, signs)) => {
            let end = path.find('/').unwrap_or(path.len());
            (1..=end).filter(|at| path.is_char_boundary(*at)).any(|at| fits_plainly(signs, &path[at..]))
        }
    }
}
