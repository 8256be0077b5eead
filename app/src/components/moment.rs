use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use crate::browser;
use crate::format::{self, Civil};

/// How exactly a moment is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// `19 Feb 2027`.
    Day,
    /// `19 Feb 2027, 23:59`.
    Minute,
    /// `2 h ago`.
    Distance(Timestamp),
}

fn text(precision: Precision, at: Timestamp, civil: &Civil) -> String {
    match precision {
        Precision::Day => format::date(civil),
        Precision::Minute => format::date_time(civil),
        Precision::Distance(now) => format::relative(at, now),
    }
}

/// A moment: in UTC from the server and until the page is alive, then in the viewer's zone.
#[component]
pub(crate) fn Moment(at: Timestamp, precision: Precision) -> impl IntoView {
    let civil = RwSignal::new(Civil::utc(at));
    let local = RwSignal::new(false);
    Effect::new(move || {
        civil.set(browser::local(at));
        local.set(true);
    });
    let title = move || {
        let exact = civil.with(format::date_time);
        if local.get() { format!("{exact} ({})", format::iso(at)) } else { format!("{exact} UTC") }
    };
    view! {
        <time datetime=format::iso(at) title=title>
            {move || civil.with(|civil| text(precision, at, civil))}
        </time>
    }
}
