//! Moments, as whole milliseconds. Where "now" comes from is the engine's business (its `Clock`).

use serde::{Deserialize, Serialize};

/// One day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Serialised as that integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment Keyfold accepts from outside: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved by a number of milliseconds; stops at the ends of the number range.
    #[must_use]
    pub const fn plus_ms(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This moment moved by whole days of 24 hours; stops at the ends of the number range.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_ms(days.saturating_mul(DAY_MS))
    }

    /// Milliseconds from `earlier` to this moment; negative if this moment is before it.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The midnight (UTC) with which the day of this moment began, and the next one.
    pub const fn day_around(self) -> (Self, Self) {
        let start = Self(self.0.saturating_sub(self.0.rem_euclid(DAY_MS)));
        (start, start.plus_days(1))
    }

    /// The midnights (UTC) with which the calendar month of this moment began and the next one begins.
    pub const fn month_around(self) -> (Self, Self) {
        // Years that begin in March, in cycles of 400: the day of a leap year is the last one then.
        let days = self.0.div_euclid(DAY_MS).saturating_add(719_468);
        let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let month = (5 * (day - march(year)) + 2) / 153;
        let (start, next) =
            (march(year) + month_start(month), if month == 11 { march(year + 1) } else { march(year) + month_start(month + 1) });
        let base = cycle.saturating_mul(146_097).saturating_sub(719_468);
        (Self(0).plus_days(base.saturating_add(start)), Self(0).plus_days(base.saturating_add(next)))
    }
}

/// The days of a cycle of 400 years before its year of that number begins, in March.
const fn march(year: i64) -> i64 {
    365 * year + year / 4 - year / 100 + year / 400
}

/// The days of a year that begins in March before its month of that number.
const fn month_start(month: i64) -> i64 {
    (153 * month + 2) / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_begin_where_the_calendar_says() {
        let day = |days: i64| Timestamp::from_millis(days * DAY_MS);
        // 1970-01, 2000-02, 2024-02, 2026-11, 2026-12, 2100-02 and 1969-12, by their first days.
        for (start, length) in [(0, 31), (10_988, 29), (19_754, 29), (20_758, 30), (20_788, 31), (47_513, 28), (-31, 31)] {
            for moment in [day(start), day(start).plus_ms(1), day(start + length).plus_ms(-1)] {
                assert_eq!(moment.month_around(), (day(start), day(start + length)), "{start}");
            }
        }
        assert_eq!(day(7).plus_ms(-1).day_around(), (day(6), day(7)));
        assert_eq!(day(7).day_around(), (day(7), day(8)));
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut at = Timestamp::from_millis(0);
        for _ in 0..12 * 500 {
            let (start, next) = at.month_around();
            let days = next.millis_since(start) / DAY_MS;
            assert!(start == at && (28..=31).contains(&days), "{at:?}");
            at = next;
        }
        assert_eq!(at, Timestamp::from_millis(182_622 * DAY_MS));
        for edge in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_millis(edge);
            assert!(at.month_around().0 <= at.month_around().1 && at.day_around().0 <= at.day_around().1);
        }
    }
}
