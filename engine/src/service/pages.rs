//! Pages of lists that are ordered by one text: what was asked for in its accepted form, and where the next page starts.

use keyfold_domain::key::{MAX_PAGE, Page};
use keyfold_domain::name::check_search;
use keyfold_domain::problem::Problem;
use keyfold_domain::user::PeopleFilter;

use crate::error::Error;
use crate::store::users::Pattern;

/// The longest cursor, in bytes: usernames and short names are far shorter.
const MAX_CURSOR: usize = 100;

/// A page that was asked for.
pub(crate) struct Asked {
    pub(crate) pattern: Pattern,
    /// The text of the last row of the page before; empty for the first page.
    pub(crate) after: String,
    limit: usize,
}

impl Asked {
    pub(crate) fn of(filter: &PeopleFilter) -> Result<Self, Problem> {
        let search = filter.search.trim();
        if !(1..=MAX_PAGE).contains(&filter.limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")));
        }
        check_search("search", search)?;
        let after = filter.cursor.clone().unwrap_or_default();
        if after.len() > MAX_CURSOR || !after.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it."));
        }
        Ok(Self { pattern: Pattern::of(search), after, limit: usize::try_from(filter.limit).unwrap_or(usize::MAX) })
    }

    /// Rows to read: one more than asked for tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The page that those rows make; `text` is what the list is ordered by.
    pub(crate) fn page<R, T>(
        &self,
        rows: Vec<R>,
        show: impl Fn(R) -> Result<T, Error>,
        text: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Error> {
        let more = rows.len() > self.limit;
        let items = rows.into_iter().take(self.limit).map(show).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { next: items.last().filter(|_| more).map(text), items })
    }
}
