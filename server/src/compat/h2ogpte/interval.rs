//! A lifetime as this client writes it: `30 days`, `30 minutes`. Blanks and case do not count; a unit may end in `s`.

use jiff::civil::{self, DateTime};
use jiff::{SignedDuration, Span};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;

const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);
/// The longest lifetime, in years.
const MOST_YEARS: i64 = 100;
/// A wish for this long is on its way for a while, and the shortest life a key may have is as long.
const SHORTEST_MS: i64 = 60_000;
const SLACK_MS: i64 = 1_000;

/// The moment that comes so much later than `now`. Months and years are those of the calendar.
pub(super) fn later(now: Timestamp, text: &str) -> Result<Timestamp, Problem> {
    let wrong = || Problem::invalid("expires_in", "Write a number and a unit, like \"30 days\" or \"30 minutes\".");
    let text: String = text.chars().filter(|found| !found.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let digits = text.find(|found: char| !found.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| if number.is_empty() { wrong() } else { too_long() })?;
    if number == 0 {
        return Err(Problem::invalid("expires_in", "Choose a lifetime above zero."));
    }
    let span = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => Span::new().try_seconds(number),
        "minute" => Span::new().try_minutes(number),
        "hour" => Span::new().try_hours(number),
        "day" => Span::new().try_days(number),
        "week" => Span::new().try_weeks(number),
        "month" => Span::new().try_months(number),
        "year" => Span::new().try_years(number),
        _ => return Err(wrong()),
    };
    let start = EPOCH.checked_add(SignedDuration::from_millis(now.as_millis())).map_err(|_| too_long())?;
    let end = span.and_then(|span| start.checked_add(span)).map_err(|_| too_long())?;
    let latest = start.checked_add(Span::new().years(MOST_YEARS)).map_err(|_| too_long())?;
    if end > latest {
        return Err(too_long());
    }
    let millis = i64::try_from(end.duration_since(EPOCH).as_millis()).map_err(|_| too_long())?;
    let wished = millis - now.as_millis();
    let slack = if (SHORTEST_MS..SHORTEST_MS + SLACK_MS).contains(&wished) { SLACK_MS } else { 0 };
    Ok(Timestamp::from_millis(millis + slack))
}

fn too_long() -> Problem {
    Problem::invalid("expires_in", format!("Choose at most {MOST_YEARS} years."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 31 January 2026, noon.
    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);
    const DAY: i64 = 86_400_000;

    fn after(text: &str) -> Option<i64> {
        later(NOW, text).ok().map(|end| end.as_millis() - NOW.as_millis())
    }

    #[test]
    fn a_number_and_a_unit_make_a_lifetime() {
        for (text, millis) in [
            ("30 days", 30 * DAY),
            ("30 minutes", 30 * 60_000),
            ("1 day", DAY),
            ("90 seconds", 90_000),
            ("  2   WEEKS ", 14 * DAY),
            ("36hours", 36 * 3_600_000),
            // 28 February, and a year without a leap day.
            ("1 month", 28 * DAY),
            ("1 year", 365 * DAY),
            ("3 s e c o n d s", 3_000),
            // So that it is still a minute when it arrives.
            ("1 minute", 61_000),
            ("60 seconds", 61_000),
        ] {
            assert_eq!(after(text), Some(millis), "{text}");
        }
        assert!(after("100 years").is_some());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            " ",
            "30",
            "days",
            "0 days",
            "-1 days",
            "+1 days",
            "1.5 days",
            "30 days 2 hours",
            "1 fortnight",
            "30 dayss",
            "ss",
            "1 s",
            "101 years",
            "1201 months",
            "99999999999999999999 days",
            "9223372036854775807 seconds",
            "٣ days",
            "1\u{0}day",
            "2026-12-01",
        ] {
            assert_eq!(after(text), None, "{text:?}");
        }
    }
}
