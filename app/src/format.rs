//! How dates, spans of time and numbers are written. Pure: the present moment is always handed in, so that the server and
//! the browser write the same text and hydration finds what it expects.

use keyfold_domain::time::{DAY_MS, Timestamp};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as a calendar and a clock on the wall show it, in whatever zone it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

impl Civil {
    /// The moment in UTC (proleptic Gregorian calendar; days-to-civil after Howard Hinnant's `civil_from_days`).
    pub fn utc(at: Timestamp) -> Self {
        let days = at.as_millis().div_euclid(DAY_MS);
        let rest = at.as_millis().rem_euclid(DAY_MS) / 1000;
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(day_of_year - (153 * shifted_month + 2) / 5 + 1),
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
        }
    }

    /// The moment at which a UTC calendar shows this, or `None` if there is no such date.
    pub fn as_utc(self) -> Option<Timestamp> {
        let (year, month) = (if self.month <= 2 { self.year - 1 } else { self.year }, i64::from(self.month));
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(self.day) - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let at = Timestamp::from_millis(days * DAY_MS + seconds * 1000);
        (Self::utc(at) == self).then_some(at)
    }

    /// The last second of the day that a date field names as `2027-02-19`; `None` if it names no day.
    pub fn end_of_day(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '-');
        let year = parts.next()?;
        let (month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let year = if year.len() == 4 && digits(year) { year.parse().ok()? } else { return None };
        let civil = Self { year, month, day, hour: 23, minute: 59, second: 59 };
        civil.as_utc().map(|_| civil)
    }
}

/// `19 Feb 2027`.
pub fn date(civil: &Civil) -> String {
    let month = usize::try_from(civil.month).ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).copied().unwrap_or_default();
    format!("{} {month} {}", civil.day, civil.year)
}

/// `19 Feb 2027, 23:59`.
pub fn date_time(civil: &Civil) -> String {
    format!("{}, {:02}:{:02}", date(civil), civil.hour, civil.minute)
}

/// `2027-02-19`, as a date field wants it.
pub fn iso_date(civil: &Civil) -> String {
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// `2027-02-19T22:59:59Z`, for machines.
pub fn iso(at: Timestamp) -> String {
    let civil = Civil::utc(at);
    format!("{}T{:02}:{:02}:{:02}Z", iso_date(&civil), civil.hour, civil.minute, civil.second)
}

fn count(number: i64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn span(millis: i64) -> String {
    match millis {
        ms if ms < HOUR_MS => format!("{} min", ms / MINUTE_MS),
        ms if ms < DAY_MS => format!("{} h", ms / HOUR_MS),
        ms if ms < 120 * DAY_MS => count(ms / DAY_MS, "day"),
        ms if ms < 730 * DAY_MS => count(ms / (30 * DAY_MS), "month"),
        ms => count(ms / (365 * DAY_MS), "year"),
    }
}

/// How far a moment lies from now: `just now`, `5 min ago`, `in 3 days`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    match at.millis_since(now) {
        ahead if ahead >= MINUTE_MS => format!("in {}", span(ahead)),
        ahead if ahead > 0 => "in a moment".into(),
        behind if behind > -MINUTE_MS => "just now".into(),
        behind => format!("{} ago", span(behind.saturating_neg())),
    }
}

/// `2,418,990`.
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 call`, `2,000 calls`.
pub fn counted(amount: i64, unit: &str) -> String {
    format!("{} {unit}{}", number(amount), if amount == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// Up to two letters that stand for a person: `Ada Lovelace` is `AL`.
pub fn initials(name: &str) -> String {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().next());
    words.next().into_iter().chain(words.next_back()).flat_map(char::to_uppercase).collect()
}

/// A workspace's short name made from its name: `Sales & Research` is `sales-research`.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for found in name.chars().map(|found| found.to_ascii_lowercase()) {
        if found.is_ascii_alphanumeric() {
            slug.push(found);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

/// A text as part of an address's query (RFC 3986, unreserved characters stay). Written here so that the server and the
/// browser write the same address.
pub fn query_part(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            part.push(char::from(byte));
        } else {
            part.push('%');
            part.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_moment_is_written_in_utc() {
        assert_eq!(iso(NOON), "2027-01-15T08:00:00Z");
        assert_eq!(date_time(&Civil::utc(NOON)), "15 Jan 2027, 08:00");
        assert_eq!(iso(Timestamp::from_millis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(iso(Timestamp::from_millis(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(iso(Timestamp::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(iso(Timestamp::from_millis(951_782_400_000)), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in -150_000..150_000 {
            let at = Timestamp::from_millis(day * DAY_MS);
            assert_eq!(Civil::utc(at).as_utc(), Some(at));
        }
    }

    #[test]
    fn a_date_field_means_the_end_of_that_day() {
        let end = Civil::end_of_day("2027-02-19").unwrap();
        assert_eq!(date_time(&end), "19 Feb 2027, 23:59");
        assert_eq!(iso(end.as_utc().unwrap()), "2027-02-19T23:59:59Z");
        for bad in ["", "2027-02-30", "2027-13-01", "19-02-2027", "2027-2", "+027-02-01", "2027-02-19T00:00", "12027-02-19"] {
            assert_eq!(Civil::end_of_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_distance_in_time_reads_like_speech() {
        let cases = [
            (0, "just now"),
            (-59_999, "just now"),
            (-60_000, "1 min ago"),
            (-7_200_000, "2 h ago"),
            (-DAY_MS, "1 day ago"),
            (-82 * DAY_MS, "82 days ago"),
            (1, "in a moment"),
            (3 * DAY_MS + 1, "in 3 days"),
            (200 * DAY_MS, "in 6 months"),
            (366 * DAY_MS, "in 12 months"),
            (800 * DAY_MS, "in 2 years"),
        ];
        for (millis, text) in cases {
            assert_eq!(relative(NOON.plus_ms(millis), NOON), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_418_990, "2,418,990"), (-12_345, "−12,345")] {
            assert_eq!(number(value), text);
        }
        assert_eq!((counted(1, "call"), counted(2000, "call")), ("1 call".into(), "2,000 calls".into()));
    }

    #[test]
    fn a_list_ends_with_and() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn initials_are_the_first_and_the_last_word() {
        assert_eq!((initials("Ada Lovelace").as_str(), initials("ada").as_str(), initials(" ").as_str()), ("AL", "A", ""));
        assert_eq!(initials("Ada King of Lovelace"), "AL");
    }

    #[test]
    fn a_query_part_keeps_only_plain_characters() {
        assert_eq!(query_part("ci & möre-1"), "ci%20%26%20m%C3%B6re-1");
    }

    #[test]
    fn a_slug_is_what_the_domain_accepts() {
        for (name, made) in [("Sales & Research", "sales-research"), ("  Vision!  ", "vision"), ("Ärzte 42", "rzte-42"), ("…", "")] {
            assert_eq!(slug(name), made);
        }
        let long = slug(&"word ".repeat(20));
        assert_eq!(keyfold_domain::name::slug("slug", &long), Ok(long));
    }
}
