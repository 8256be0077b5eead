//! Bars over days, drawn by the page itself. What they show is also a table, for whoever reads instead of looking.

use keyfold_domain::usage::DayUsage;
use leptos::prelude::*;

use crate::format::{self, Civil};

/// Units of the drawing for one day, of which the bar takes most. The drawing is stretched to its place.
const STEP: i64 = 10;
const BAR: i64 = 7;
const HEIGHT: i64 = 100;
/// The least height of a bar, so that one call among thousands is seen.
const LEAST: i64 = 2;

/// The top of the scale: a round number, so that half of it is one as well.
fn top(most: i64) -> i64 {
    let mut size = 1;
    loop {
        for step in [2, 4, 6, 10] {
            let top = step * size;
            if top >= most {
                return top;
            }
        }
        size *= 10;
    }
}

/// The height of a bar.
fn height(count: i64, top: i64) -> i64 {
    if count == 0 { 0 } else { (count.saturating_mul(HEIGHT) / top).max(LEAST) }
}

fn day_name(day: &DayUsage) -> String {
    format::date(&Civil::utc(day.day))
}

fn in_words(day: &DayUsage) -> String {
    let denials = if day.denials == 0 { String::new() } else { format!(", {}", format::counted(day.denials, "denial")) };
    format!("{}: {}{denials}", day_name(day), format::counted(day.calls, "call"))
}

/// Calls and denials of some days: denials stand on the calls, hatched.
#[component]
pub(crate) fn DayChart(days: Vec<DayUsage>, label: String) -> impl IntoView {
    let most = days.iter().map(|day| day.calls.saturating_add(day.denials)).max().unwrap_or_default();
    let top = top(most);
    let width = i64::try_from(days.len()).unwrap_or(1) * STEP;
    let bars = days
        .iter()
        .zip(0i64..)
        .map(|(day, at)| {
            let (calls, denials) = (height(day.calls, top), height(day.denials, top));
            let x = at * STEP + (STEP - BAR) / 2;
            view! {
                <g class="chart-day">
                    <title>{in_words(day)}</title>
                    <rect class="chart-room" x=at * STEP y="0" width=STEP height=HEIGHT />
                    <rect class="chart-calls" x=x y=HEIGHT - calls width=BAR height=calls />
                    <rect class="chart-denials" x=x y=HEIGHT - calls - denials width=BAR height=denials />
                </g>
            }
        })
        .collect_view();
    let (first, last) = (days.first().map(day_name), days.last().map(|_| "Today"));
    view! {
        <figure class="chart">
            <div class="chart-scale" aria-hidden="true">
                <span>{format::number(top)}</span>
                <span>{format::number(top / 2)}</span>
                <span>"0"</span>
            </div>
            <svg class="chart-bars" viewBox=format!("0 0 {width} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=label>
                <line class="chart-line" x1="0" x2=width y1="0" y2="0" />
                <line class="chart-line" x1="0" x2=width y1=HEIGHT / 2 y2=HEIGHT / 2 />
                {bars}
                <line class="chart-floor" x1="0" x2=width y1=HEIGHT y2=HEIGHT />
            </svg>
            <div class="chart-days small faint" aria-hidden="true">
                <span>{first}</span>
                <span>{last}</span>
            </div>
            <figcaption class="chart-key small soft">
                <span class="chart-sample chart-sample-calls"></span>
                "Calls"
                <span class="chart-sample chart-sample-denials"></span>
                "Denials"
            </figcaption>
        </figure>
    }
}

/// The same days as a table, the latest first; days without use are left out.
#[component]
pub(crate) fn DayTable(days: Vec<DayUsage>) -> impl IntoView {
    let used = days.into_iter().rev().filter(|day| day.calls > 0 || day.denials > 0);
    view! {
        <table class="plain-table">
            <caption class="visually-hidden">"Calls and denials by day, UTC"</caption>
            <thead>
                <tr>
                    <th scope="col">"Day (UTC)"</th>
                    <th scope="col" class="number">
                        "Calls"
                    </th>
                    <th scope="col" class="number">
                        "Denials"
                    </th>
                </tr>
            </thead>
            <tbody>
                {used
                    .map(|day| {
                        view! {
                            <tr>
                                <th scope="row">{day_name(&day)}</th>
                                <td class="number">{format::number(day.calls)}</td>
                                <td class="number">{format::number(day.denials)}</td>
                            </tr>
                        }
                    })
                    .collect_view()}
            </tbody>
        </table>
    }
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// How dark a cell is, 0 to 4, compared with the busiest.
fn level(count: i64, most: i64) -> i64 {
    if count == 0 || most == 0 { 0 } else { 1 + (count.saturating_mul(4) - 1) / most.max(1) }.min(4)
}

/// Calls by weekday and hour: a table whose cells are darker the more there were.
#[component]
pub(crate) fn WeekGrid(week: Vec<[i64; 24]>) -> impl IntoView {
    let most = week.iter().flatten().copied().max().unwrap_or_default();
    let head = (0..24u8).map(|hour| {
        let shown = (hour % 6 == 0).then(|| hour.to_string());
        view! {
            <th scope="col">
                <span class="visually-hidden">{format!("{hour}:00")}</span>
                <span aria-hidden="true">{shown}</span>
            </th>
        }
    });
    let rows = week.iter().zip(WEEKDAYS).map(|(hours, weekday)| {
        let cells = hours.iter().zip(0u8..).map(|(count, hour)| {
            let class = format!("heat heat-{}", level(*count, most));
            let words = format!("{weekday} {hour}:00: {}", format::counted(*count, "call"));
            view! {
                <td class=class title=words>
                    <span class="visually-hidden">{format::number(*count)}</span>
                </td>
            }
        });
        view! {
            <tr>
                <th scope="row">{weekday}</th>
                {cells.collect_view()}
            </tr>
        }
    });
    view! {
        <table class="week">
            <caption class="small soft">"Calls by weekday and hour (UTC)"</caption>
            <thead>
                <tr>
                    <td></td>
                    {head.collect_view()}
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
        <p class="week-key small faint" aria-hidden="true">
            "Fewer"
            {(0..5).map(|level| view! { <span class=format!("heat heat-{level}")></span> }).collect_view()}
            "More"
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number_that_is_enough() {
        let tops = [0, 1, 2, 3, 5, 7, 11, 95, 101, 214, 999_999].map(top);
        assert_eq!(tops, [2, 2, 2, 4, 6, 10, 20, 100, 200, 400, 1_000_000]);
    }

    #[test]
    fn one_call_among_thousands_is_seen_and_none_is_not() {
        assert_eq!([height(0, 10_000), height(1, 10_000), height(10_000, 10_000)], [0, LEAST, HEIGHT]);
        assert_eq!([level(0, 100), level(1, 100), level(25, 100), level(26, 100), level(100, 100), level(1, 1)], [0, 1, 1, 2, 4, 4]);
    }

    #[test]
    fn a_day_is_said_in_words() {
        let day = DayUsage { day: keyfold_domain::time::Timestamp::from_millis(0), calls: 1, denials: 2 };
        assert_eq!(in_words(&day), "1 Jan 1970: 1 call, 2 denials");
    }
}
