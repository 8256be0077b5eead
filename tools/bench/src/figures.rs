//! Figures: what programs of this tool tell each other, the middle of several, and how they are shown to people.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// What a line of figures starts with.
const MARK: &str = "figures ";

/// The figures that a program printed in one line: `figures requests=12 microseconds=34`.
#[derive(Debug)]
pub(crate) struct Figures<'a>(&'a str);

impl<'a> Figures<'a> {
    /// Finds the line in what a program printed.
    pub(crate) fn find(output: &'a str) -> Result<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix(MARK));
        line.map(Self).with_context(|| format!("there are no figures in this output:\n{output}"))
    }

    /// The figure of that name.
    pub(crate) fn get(&self, name: &str) -> Result<f64> {
        let mut pairs = self.0.split_whitespace().filter_map(|pair| pair.split_once('='));
        let text = pairs.find(|(key, _)| *key == name).with_context(|| format!("the figure {name} is missing in: {}", self.0))?.1;
        text.parse().with_context(|| format!("the figure {name} is no number in: {}", self.0))
    }
}

/// Writes figures in the form that [`Figures::find`] reads.
pub(crate) fn line(pairs: &[(&str, f64)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{MARK}{}\n", pairs.join(" "))
}

/// The middle of several figures; of an even number the mean of the two in the middle, of none 0.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

/// The duration below which so many hundredths of sorted durations lie, in microseconds; of none 0.
pub(crate) fn percentile(sorted: &[Duration], hundredths: usize) -> f64 {
    let at = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |duration| micros(*duration))
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A count as a number to calculate with.
pub(crate) fn float(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// `123,456`: a whole number with its thousands apart.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `6.13 µs`, `1.20 ms` or `2.50 s`, from microseconds.
pub(crate) fn time(micros: f64) -> String {
    match micros {
        micros if micros < 1e3 => format!("{micros:.2} µs"),
        micros if micros < 1e6 => format!("{:.2} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

/// `1.5 KiB` or `1.5 MiB`, from bytes.
pub(crate) fn size(bytes: f64) -> String {
    let kib = bytes / 1024.0;
    if kib < 1024.0 { format!("{kib:.1} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_other_lines() {
        let output = "Running 1s test\nfigures requests=1200 microseconds=1000021 p99=413.5\nbye\n";
        let figures = Figures::find(output).unwrap();
        assert!((figures.get("requests").unwrap() - 1200.0).abs() < f64::EPSILON);
        assert!((figures.get("p99").unwrap() - 413.5).abs() < f64::EPSILON);
        assert!(figures.get("p9").unwrap_err().to_string().contains("p9 is missing"));
        assert!(Figures::find("figures: none").unwrap_err().to_string().contains("figures: none"));
        assert!(Figures("requests=many").get("requests").is_err());
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let text = line(&[("requests", 3.0), ("p50", 1.25)]);
        assert!((Figures::find(&text).unwrap().get("p50").unwrap() - 1.25).abs() < f64::EPSILON);
    }

    #[test]
    fn the_median_does_not_care_about_order_or_outliers() {
        assert!((median(vec![9000.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }

    #[test]
    fn a_percentile_is_one_of_the_durations() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        assert!((percentile(&sorted, 50) - 51.0).abs() < 1e-6);
        assert!((percentile(&sorted, 99) - 100.0).abs() < 1e-6);
        assert!((percentile(&sorted, 100) - 100.0).abs() < 1e-6);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }

    #[test]
    fn numbers_are_shown_with_units_and_thousands() {
        assert_eq!(
            [whole(0.0), whole(999.6), whole(1_234_567.0), whole(-1234.0), whole(-123.0)],
            ["0", "1,000", "1,234,567", "-1,234", "-123"]
        );
        assert_eq!([time(6.126), time(1200.0), time(2.5e6)], ["6.13 µs", "1.20 ms", "2.50 s"]);
        assert_eq!([size(1536.0), size(3.0 * 1024.0 * 1024.0)], ["1.5 KiB", "3.0 MiB"]);
        assert!((float(u64::from(u32::MAX) + 2) - 4_294_967_297.0).abs() < f64::EPSILON);
    }
}
