//! Limits and addresses as forms send them, with script or without it, and what they mean.

use keyfold_domain::addresses::{AddressRange, read_ranges};
use keyfold_domain::limits::{Limit, LimitParts, MAX_LIMITS, check_limits};
use keyfold_domain::problem::Problem;
use serde::{Deserialize, Serialize};

/// What a limit may be counted over: its value in forms, and in words.
pub const SPANS: [(&str, &str); 10] = [
    ("1", "a second"),
    ("10", "10 seconds"),
    ("60", "a minute"),
    ("600", "10 minutes"),
    ("3600", "an hour"),
    ("day", "a calendar day (UTC)"),
    ("month", "a calendar month (UTC)"),
    ("rolling:86400", "any 24 hours"),
    ("rolling:604800", "any 7 days"),
    ("rolling:2592000", "any 30 days"),
];
/// The span that is offered first.
pub const FIRST_SPAN: &str = "60";
/// Empty rows that a form offers below those that are filled in.
const SPARE: usize = 2;

/// A limit as it is typed and chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitRow {
    /// What it is called.
    pub name: String,
    /// How many units may be spent.
    pub most: String,
    /// One of [`SPANS`], or another number of seconds.
    pub span: String,
}

impl LimitRow {
    /// Is there nothing in it? What span is chosen does not matter then.
    pub fn is_empty(&self) -> bool {
        self.name.trim().is_empty() && self.most.trim().is_empty()
    }

    fn parts(&self) -> Result<LimitParts, Problem> {
        if self.name.trim().is_empty() {
            return Err(Problem::invalid("name", "Give it a name, like burst or daily."));
        }
        let limit = self.most.trim().parse().map_err(|_| Problem::invalid("limit", "Enter how many calls as a whole number from 1."))?;
        let wrong = || Problem::invalid("window", "Choose over how long the calls are counted.");
        let (quota, window) = match self.span.split_once(':') {
            Some((quota, seconds)) => (Some(quota), Some(seconds.parse().map_err(|_| wrong())?)),
            None if self.span == "day" || self.span == "month" => (Some(self.span.as_str()), None),
            None => (None, Some(self.span.parse().map_err(|_| wrong())?)),
        };
        Ok(LimitParts { name: self.name.trim().to_owned(), limit, window, quota: quota.map(str::to_owned) })
    }
}

impl From<&Limit> for LimitRow {
    fn from(limit: &Limit) -> Self {
        let seconds = limit.refill().window().map(|seconds| seconds.to_string());
        let span = match (limit.refill().quota(), seconds) {
            (Some(quota), Some(seconds)) => format!("{quota}:{seconds}"),
            (Some(quota), None) => quota.to_owned(),
            (None, seconds) => seconds.unwrap_or_default(),
        };
        Self { name: limit.name().to_string(), most: limit.most().to_string(), span }
    }
}

/// What a span is called in the list of choices.
pub fn span_words(span: &str) -> String {
    if let Some((_, words)) = SPANS.iter().find(|(value, _)| *value == span) {
        return (*words).to_owned();
    }
    span.split_once(':').map_or_else(|| format!("{span} seconds"), |(_, seconds)| format!("any {seconds} seconds"))
}

/// The rows that a form shows: what is there, and some to be filled in.
pub fn offered(mut rows: Vec<LimitRow>) -> Vec<LimitRow> {
    rows.retain(|row| !row.is_empty());
    let all = (rows.len() + SPARE).min(MAX_LIMITS).max(rows.len());
    rows.resize(all, LimitRow::default());
    rows
}

/// The limits that the rows mean; empty ones mean nothing. What is at fault is told as the field `limits`.
pub fn limits(rows: &[LimitRow]) -> Result<Vec<Limit>, Problem> {
    let about = |at: usize, problem: Problem| Problem::invalid("limits", format!("Limit {}: {}", at + 1, problem.message));
    let filled = rows.iter().enumerate().filter(|(_, row)| !row.is_empty());
    let read = |(at, row): (usize, &LimitRow)| row.parts().and_then(Limit::try_from).map_err(|problem| about(at, problem));
    let limits = filled.map(read).collect::<Result<Vec<_>, _>>()?;
    check_limits(&limits).map_err(|problem| Problem::invalid("limits", problem.message))?;
    Ok(limits)
}

/// The addresses that a text means. What is at fault is told as the field `ip_allow`.
pub fn addresses(text: &str) -> Result<Vec<AddressRange>, Problem> {
    read_ranges(text).map_err(|problem| Problem::invalid("ip_allow", problem.message))
}

/// Addresses as they stand in the form, one a line.
pub fn lines(ranges: &[AddressRange]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Puts a field of a submitted form into its row, if it is one: `limits[2][name]`.
pub fn put(rows: &mut Vec<LimitRow>, field: &str, value: &str) {
    let place = field.strip_prefix("limits[").and_then(|rest| rest.strip_suffix(']')).and_then(|rest| rest.split_once("]["));
    let Some((Ok(at), part)) = place.map(|(at, part)| (at.parse::<usize>(), part)) else { return };
    if at >= MAX_LIMITS {
        return;
    }
    if rows.len() <= at {
        rows.resize(at + 1, LimitRow::default());
    }
    if let Some(row) = rows.get_mut(at) {
        match part {
            "name" => value.clone_into(&mut row.name),
            "most" => value.clone_into(&mut row.most),
            "span" => value.clone_into(&mut row.span),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, most: &str, span: &str) -> LimitRow {
        LimitRow { name: name.into(), most: most.into(), span: span.into() }
    }

    #[test]
    fn a_row_means_a_limit_and_a_limit_fills_a_row() {
        for (span, words) in SPANS {
            let rows = [row("a", "7", span)];
            let limits = limits(&rows).unwrap();
            assert_eq!((LimitRow::from(&limits[0]), span_words(span).as_str()), (rows[0].clone(), words));
        }
        let other = limits(&[row(" a ", " 7 ", "90"), row("b", "7", "rolling:100")]).unwrap();
        assert_eq!(
            other.iter().map(|limit| span_words(&LimitRow::from(limit).span)).collect::<Vec<_>>(),
            ["90 seconds", "any 100 seconds"]
        );
        assert_eq!(limits(&[row("", " ", "60"), LimitRow::default()]).unwrap(), []);
    }

    #[test]
    fn a_faulty_row_is_named() {
        let message = |rows: &[LimitRow]| {
            let problem = limits(rows).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("limits"));
            problem.message
        };
        assert!(message(&[LimitRow::default(), row("", "7", "60")]).starts_with("Limit 2: Give it a name"));
        for (rows, words) in [
            ([row("a", "", "60")], "Enter how many"),
            ([row("a", "-1", "60")], "Enter how many"),
            ([row("a", "0", "60")], "A limit of 0"),
            ([row("A b", "1", "60")], "Use 1 to 32"),
            ([row("a", "1", "")], "Choose over"),
            ([row("a", "1", "week")], "Choose over"),
            ([row("a", "1", "4000")], "The window of a rate limit"),
        ] {
            assert!(message(&rows).contains(words), "{rows:?}");
        }
        assert!(message(&[row("a", "1", "60"), row("a", "1", "day")]).contains("another limit named a"));
    }

    #[test]
    fn the_fields_of_a_form_find_their_rows() {
        let mut rows = Vec::new();
        for (field, value) in [
            ("limits[1][name]", "daily"),
            ("limits[1][most]", "9"),
            ("limits[0][span]", "60"),
            ("limits[x][name]", "no"),
            ("limits[99999999][name]", "no"),
            ("limits[0]", "no"),
            ("limits", "no"),
        ] {
            put(&mut rows, field, value);
        }
        assert_eq!(rows, [row("", "", "60"), row("daily", "9", "")]);
        assert_eq!(offered(rows).len(), 3);
        assert_eq!(offered(vec![row("a", "1", "60"); 8]).len(), 8);
    }

    #[test]
    fn addresses_stand_one_a_line() {
        let ranges = addresses("10.0.0.0/8, ::1").unwrap();
        assert_eq!(lines(&ranges), "10.0.0.0/8\n::1");
        assert_eq!(addresses("10.0.0.1/8").unwrap_err().field.as_deref(), Some("ip_allow"));
    }
}
