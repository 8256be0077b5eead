//! Moments on the wire: RFC 3339, always UTC with `Z` on the way out, any offset on the way in.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{self, DateTime};
use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A moment as the API writes it: `2026-11-21T09:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

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
