//! A route map as it is kept: every save is a version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::RouteMap;
use super::presets;
use crate::time::Timestamp;

/// Where a version of a map came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RouteSource {
    /// Somebody changed rules.
    Edit,
    /// The preset of this name was loaded.
    Preset(String),
    /// Rules were read from an OpenAPI document.
    Import,
    /// The version of this number was put in force again.
    Revert(i64),
}

/// The text names no source of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use edit, import or preset: and a preset's name")]
pub struct InvalidRouteSource;

impl FromStr for RouteSource {
    type Err = InvalidRouteSource;

    fn from_str(text: &str) -> Result<Self, InvalidRouteSource> {
        match text.split_once(':') {
            None if text == "edit" => Ok(Self::Edit),
            None if text == "import" => Ok(Self::Import),
            Some(("preset", name)) if presets::find(name).is_some() => Ok(Self::Preset(name.to_owned())),
            Some(("version", number)) => number.parse().map(Self::Revert).map_err(|_| InvalidRouteSource),
            _ => Err(InvalidRouteSource),
        }
    }
}

impl TryFrom<String> for RouteSource {
    type Error = InvalidRouteSource;

    fn try_from(text: String) -> Result<Self, InvalidRouteSource> {
        text.parse()
    }
}

impl From<RouteSource> for String {
    fn from(source: RouteSource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for RouteSource {
    /// The name in the API and the database: `edit`, `preset:h2ogpte`, `import`, `version:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit => f.write_str("edit"),
            Self::Preset(name) => write!(f, "preset:{name}"),
            Self::Import => f.write_str("import"),
            Self::Revert(version) => write!(f, "version:{version}"),
        }
    }
}

/// A version of a workspace's map, without its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteMapVersion {
    /// Its number, from 1.
    pub version: i64,
    /// How many rules it has.
    pub rules: i64,
    /// Where it came from.
    pub source: RouteSource,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// Who saved it, as they were called then.
    pub saved_by: String,
}

/// A workspace's map. Without any version the workspace has none, and every request is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteMapDetail {
    /// The rules.
    pub map: RouteMap,
    /// Which version it is.
    pub saved: Option<RouteMapVersion>,
}

impl RouteMapDetail {
    /// The version's number, to say from which one a change was made; 0 where there is none.
    pub fn version(&self) -> i64 {
        self.saved.as_ref().map_or(0, |saved| saved.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_it_is_read() {
        for text in ["edit", "preset:epigos", "import", "version:12"] {
            assert_eq!(text.parse::<RouteSource>().unwrap().to_string(), text);
        }
        for bad in ["", "Edit", "preset:", "preset:other", "version:x", "import:x"] {
            assert!(bad.parse::<RouteSource>().is_err(), "{bad}");
        }
    }
}
