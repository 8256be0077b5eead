//! Moments on the wire: RFC 3339, always UTC with `Z` on the way out, any offset on the way in.

use std::fmt;

use axum::http::HeaderValue;
use jiff::SignedDuration;
use jiff::civil::{self, DateTime};
use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A moment as the API writes it: `2026-11-21T09:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Moment {
    /// The same text as [`fmt::Display`] writes, for moments of the years 0 to 9999, without the machinery of formatting.
    pub(crate) fn text(self) -> Option<[u8; 24]> {
        const DAY_MS: i64 = 86_400_000;
        /// From 1 March of the year 0 to the epoch.
        const DAYS_TO_EPOCH: i64 = 719_468;
        const DAYS_OF_400_YEARS: i64 = 146_097;
        let millis = self.0.as_millis();
        let (days, rest) = (millis.div_euclid(DAY_MS) + DAYS_TO_EPOCH, millis.rem_euclid(DAY_MS));
        // Years that begin in March end with their leap day: the calendar is then a matter of division (H. Hinnant,
        // "chrono-compatible low-level date algorithms").
        let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let seconds = rest / 1000;
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], seconds / 3600);
        put(&mut text[14..16], seconds / 60 % 60);
        put(&mut text[17..19], seconds % 60);
        put(&mut text[20..23], rest % 1000);
        Some(text)
    }
}

/// Writes a number that is not negative with as many digits as there is room for.
fn put(room: &mut [u8], mut number: i64) {
    for slot in room.iter_mut().rev() {
        *slot = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl fmt::Display for Moment {
    // A calendar type and not an instant of jiff: the latter ends a day before the last moment that the product accepts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = EPOCH.saturating_add(SignedDuration::from_millis(self.0.as_millis()));
        let millis = written.subsec_nanosecond() / 1_000_000;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            written.year(),
            written.month(),
            written.day(),
            written.hour(),
            written.minute(),
            written.second()
        )
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A moment as headers write it, to the second before it: `Sat, 21 Nov 2026 09:30:00 GMT`. `None` beyond the year 9999.
pub(crate) fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let instant = jiff::Timestamp::from_second(at.as_millis().div_euclid(1000)).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).ok()?;
    HeaderValue::try_from(text).ok()
}

/// Reads `2026-11-21T09:30:00Z`, with any offset in place of `Z` and any number of decimals to the second. What is finer
/// than a millisecond is dropped.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let has = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|found| wanted.contains(found));
    // jiff reads more forms than RFC 3339 has (a space or a zone name, hours without minutes): only the one is let through.
    if bytes.len() > 40 || !(has(4, b"-") && has(7, b"-") && has(10, b"Tt") && has(13, b":") && has(16, b":")) {
        return None;
    }
    let (local, offset_ms) = if has(bytes.len().checked_sub(1)?, b"Zz") {
        (text.get(..text.len() - 1)?, 0)
    } else {
        let split = text.len().checked_sub(6).filter(|split| *split >= 19)?;
        (text.get(..split)?, offset_ms(text.get(split..)?)?)
    };
    let tail = local.as_bytes().get(19..)?;
    let decimals_fit = tail.is_empty() || (tail.len() > 1 && tail[0] == b'.' && tail[1..].iter().all(u8::is_ascii_digit));
    let head_fits = local.bytes().take(19).enumerate().all(|(at, byte)| matches!(at, 4 | 7 | 10 | 13 | 16) || byte.is_ascii_digit());
    if !decimals_fit || !head_fits {
        return None;
    }
    // Decimals beyond the nanosecond are legal and of no use here.
    let local: DateTime = local.get(..local.len().min(29))?.parse().ok()?;
    // Rounded towards the past, before 1970 as well.
    let millis = i64::try_from(local.duration_since(EPOCH).as_nanos().div_euclid(1_000_000)).ok()?;
    Some(Moment(Timestamp::from_millis(millis.checked_sub(offset_ms)?)))
}

fn offset_ms(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = |digits: &str, below: i64| {
        let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse::<i64>().ok()).flatten().filter(|value| *value < below)
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    Some(sign * (number(hours, 24)? * 60 + number(minutes, 60)?) * 60_000)
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment in RFC 3339 with its offset, like 2027-01-31T12:00:00Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<i64> {
        parse(text).map(|moment| moment.0.as_millis())
    }

    #[test]
    fn moments_are_read_with_any_offset_and_written_in_utc() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("1970-01-01T01:30:00.5+01:30"), Some(500));
        assert_eq!(millis("1969-12-31t23:00:00.0019999999999-01:00"), Some(1));
        assert_eq!(Moment(Timestamp::from_millis(1_795_254_817_042)).to_string(), "2026-11-21T09:53:37.042Z");
        assert_eq!(Moment(Timestamp::from_millis(-1)).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_last_moment_of_the_product_survives_the_way_out_and_in() {
        let last = Moment(Timestamp::MAX).to_string();
        assert_eq!(last, "9999-12-31T23:59:59.999Z");
        assert_eq!(millis(&last), Some(Timestamp::MAX.as_millis()));
    }

    #[test]
    fn the_short_way_to_a_text_leads_to_the_same_text() {
        const YEAR_0: i64 = -62_167_219_200_000;
        let mut millis = YEAR_0;
        while millis <= Timestamp::MAX.as_millis() {
            let moment = Moment(Timestamp::from_millis(millis));
            assert_eq!(moment.text().map(|text| String::from_utf8(text.to_vec()).unwrap()), Some(moment.to_string()));
            // Not a whole number of days, so that every part of the text changes.
            millis += 3 * 86_400_000 + 4_271_093;
        }
        assert_eq!(Moment(Timestamp::from_millis(YEAR_0 - 1)).text(), None);
        assert_eq!(Moment(Timestamp::MAX).text(), Some(*b"9999-12-31T23:59:59.999Z"));
        assert_eq!(Moment(Timestamp::MAX.plus_ms(1)).text(), None);
    }

    #[test]
    fn a_header_tells_a_moment_in_the_form_of_the_web() {
        let date = |millis| http_date(Timestamp::from_millis(millis)).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(date(784_111_777_999).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(date(i64::MAX), None);
    }

    #[test]
    fn a_text_that_is_not_rfc_3339_is_no_moment() {
        for text in [
            "",
            "Z",
            "2027-01-31",
            "2027-01-31T12:00:00",
            "2027-01-31 12:00:00Z",
            "2027-01-31T12:00Z",
            "2027-01-31T12:00:00.Z",
            "2027-01-31T12:00:00+01",
            "2027-01-31T12:00:00+0100",
            "2027-01-31T12:00:00+24:00",
            "2027-01-31T12:00:00Z[UTC]",
            "2027-02-30T12:00:00Z",
            "2027-01-31T25:00:00Z",
            "+002027-01-31T12:00:00Z",
            "1795254817042",
            "２027-01-31T12:00:00Z",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
