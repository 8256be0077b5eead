//! What a person chose for this browser besides the theme: whether single keys act, and which columns the list of keys
//! leaves out. Kept in cookies, which hold no secret, so that pages come from the server as they were chosen.

use std::fmt;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
#[cfg(feature = "ssr")]
use super::context;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use super::sessions::local_path;

/// The cookie that says that single keys shall do nothing.
pub const SHORTCUTS_COOKIE: &str = "kf_shortcuts";

/// The cookie that names the columns that are left out, with a dot between them.
pub const COLUMNS_COOKIE: &str = "kf_columns";

/// What the cookie and the document say when single keys are switched off.
pub const OFF: &str = "off";

/// Do single keys act, by the cookie's value? They do unless they were switched off.
pub fn shortcuts_are_on(cookie: Option<&str>) -> bool {
    cookie != Some(OFF)
}

/// A column of the list of keys that can be left out. The key itself and what can be done with it always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    Status,
    Scopes,
    Resource,
    Created,
    Expires,
    LastUsed,
    Calls,
}

impl Column {
    /// Every one, in the order of the table.
    pub const ALL: [Self; 7] = [Self::Status, Self::Scopes, Self::Resource, Self::Created, Self::Expires, Self::LastUsed, Self::Calls];

    /// The name in forms, in the cookie and in the style sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scopes => "scopes",
            Self::Resource => "resource",
            Self::Created => "created",
            Self::Expires => "expires",
            Self::LastUsed => "last_used",
            Self::Calls => "calls",
        }
    }
}

/// The columns that are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenColumns(Vec<Column>);

impl HiddenColumns {
    /// What the cookie's value names; what it does not know is shown.
    pub fn from_cookie(value: &str) -> Self {
        let named = |column: &Column| value.split('.').any(|name| name == column.as_str());
        Self(Column::ALL.into_iter().filter(named).collect())
    }

    /// All but those that are to be seen.
    pub fn all_but(shown: &[String]) -> Self {
        Self(Column::ALL.into_iter().filter(|column| shown.iter().all(|name| name != column.as_str())).collect())
    }

    /// Is that column left out?
    pub fn has(&self, column: Column) -> bool {
        self.0.contains(&column)
    }

    fn joined(&self, between: &str) -> String {
        self.0.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(between)
    }

    /// The cookie's value; `None` if nothing is left out.
    pub fn to_cookie(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.joined("."))
    }
}

/// As the document's attribute names them: words with a space between them.
impl fmt::Display for HiddenColumns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.joined(" "))
    }
}

/// Which columns are left out.
#[server(endpoint = "get_columns", prefix = "/_app", input = Json, output = Json)]
pub async fn get_columns() -> Result<HiddenColumns, Fault> {
    Ok(context::request()?.hidden_columns)
}

/// Remembers which columns are to be seen, and says which are left out, as the document names them. Needs nobody signed in:
/// it concerns the browser alone.
#[server(endpoint = "set_columns", prefix = "/_app")]
pub async fn set_columns(#[server(default)] shown: Vec<String>, #[server(default)] back: String) -> Result<String, Fault> {
    let request = context::request()?;
    let hidden = HiddenColumns::all_but(&shown);
    context::set_cookie(&request.cookies.preference(COLUMNS_COOKIE, hidden.to_cookie().as_deref()));
    context::go_to(local_path(&back).unwrap_or("/"));
    Ok(hidden.to_string())
}

/// Remembers whether single keys shall act. Needs nobody signed in: it concerns the browser alone.
#[server(endpoint = "set_shortcuts", prefix = "/_app")]
pub async fn set_shortcuts(#[server(default)] shortcuts: String) -> Result<(), Fault> {
    let request = context::request()?;
    context::set_cookie(&request.cookies.preference(SHORTCUTS_COOKIE, (shortcuts == OFF).then_some(OFF)));
    context::go_to("/account?done=shortcuts");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_survive_the_way_through_a_cookie() {
        let hidden = HiddenColumns::all_but(&["scopes".to_owned(), "expires".to_owned(), "unknown".to_owned()]);
        assert_eq!(hidden.to_cookie().as_deref(), Some("status.resource.created.last_used.calls"));
        assert_eq!(HiddenColumns::from_cookie(&hidden.to_cookie().unwrap_or_default()), hidden);
        assert_eq!(hidden.to_string(), "status resource created last_used calls");
        assert!(hidden.has(Column::Calls) && !hidden.has(Column::Scopes));
    }

    #[test]
    fn what_a_cookie_does_not_know_is_shown() {
        assert_eq!(HiddenColumns::from_cookie("key.actions.\"><script>."), HiddenColumns::default());
        assert_eq!(HiddenColumns::default().to_cookie(), None);
    }

    #[test]
    fn single_keys_act_unless_they_were_switched_off() {
        assert!(shortcuts_are_on(None) && shortcuts_are_on(Some("x")) && !shortcuts_are_on(Some(OFF)));
    }
}
