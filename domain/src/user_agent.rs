//! How a program calls itself, in a few words of ours. What it sends is long, may say anything and is never kept.

/// So much of it is looked at.
const MOST_BYTES: usize = 512;

/// Programs by the token that betrays them. Whoever builds on another names it as well, so the builder stands first.
const PROGRAMS: [(&str, &str); 23] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox Focus"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
    ("Epiphany/", "GNOME Web"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "Python"),
    ("Python-urllib/", "Python"),
    ("Go-http-client/", "Go"),
];

/// Systems by a part of the text, the narrower ones first.
const SYSTEMS: [(&str, &str); 9] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

/// A `User-Agent` in a few words, like `Firefox on Linux`; `None` if nothing in it is known. The words are all ours.
pub fn in_words(user_agent: &str) -> Option<String> {
    let start = user_agent.char_indices().map(|(at, _)| at).find(|at| *at >= MOST_BYTES).unwrap_or(user_agent.len());
    let text = user_agent.get(..start).unwrap_or_default();
    let tokens = || text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';' | ','));
    let program = PROGRAMS.iter().find(|(token, _)| tokens().any(|found| found.starts_with(token))).map(|(_, name)| *name);
    let system = SYSTEMS.iter().find(|(part, _)| text.contains(part)).map(|(_, name)| *name);
    match (program, system) {
        (Some(program), Some(system)) => Some(format!("{program} on {system}")),
        (Some(program), None) => Some(program.to_owned()),
        (None, Some(system)) => Some(format!("Something on {system}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn browsers_are_known_by_what_they_add_and_not_by_what_they_pretend_to_be() {
        let cases = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            ("Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 OPR/120.0", "Opera on ChromeOS"),
            ("curl/8.5.0", "curl"),
            ("Lynx on Linux", "Something on Linux"),
        ];
        for (text, words) in cases {
            assert_eq!(in_words(text).as_deref(), Some(words), "{text}");
        }
        for text in ["", "Mozilla/5.0", "NotFirefox/1", "kf_sec_0123"] {
            assert_eq!(in_words(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_is_kept(text in "\\PC{0,900}", tail in "(Firefox/1|Windows)?") {
            let words = in_words(&format!("{text} {tail}"));
            prop_assert!(words.is_none_or(|words| words.len() <= 40 && words.is_ascii() && !words.contains('/')));
        }
    }
}
