//! What SQLite's index of the pieces of names is asked for (see `store::names`).

use keyfold_domain::name::fold;
use sqlx::SqliteConnection;

/// Characters of a piece.
const PIECE: usize = 3;
/// Pieces that are asked for at most. Each is a list of the names that hold it, and all lists are read side by side; whether the
/// names hold the rest is seen when they are looked at.
const MOST_PIECES: usize = 3;
/// So many names are looked at one by one and sorted. Where more hold what is searched for, a page is full before long in any order.
const FEW: usize = 2000;

/// A search for a part of a name.
pub(super) enum Search {
    /// All of these pieces, in the words of FTS5.
    Pieces(String),
    /// A beginning of pieces, in its one form, and the first text after all of those.
    Beginning(String, String),
}

impl Search {
    pub(super) fn of(typed: &str) -> Self {
        let wanted: Vec<char> = fold(typed.trim()).chars().collect();
        if wanted.len() < PIECE {
            let after = following(&wanted);
            return Self::Beginning(wanted.into_iter().collect(), after);
        }
        // Side by side, and the last one, which may share characters with the one before.
        let last = wanted.len() - PIECE;
        let starts: Vec<usize> = (0..last).step_by(PIECE).chain([last]).collect();
        let taken = starts.len().min(MOST_PIECES);
        let pieces = (1..=taken).filter_map(|nth| {
            let start = *starts.get((starts.len() * nth).div_ceil(taken).saturating_sub(1))?;
            // Quotes are doubled in a text of FTS5's, and nothing else means anything there.
            wanted.get(start..start + PIECE).map(|piece| format!("\"{}\"", piece.iter().collect::<String>().replace('"', "\"\"")))
        });
        Self::Pieces(pieces.collect::<Vec<_>>().join(" "))
    }

    /// The numbers of the names that may hold it, as a JSON list; `None` if there are more than [`FEW`].
    pub(super) async fn numbers(&self, conn: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
        let most = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
        let found: Vec<i64> = match self {
            Self::Pieces(pieces) => {
                let sql = "SELECT rowid FROM key_names WHERE key_names MATCH $1 LIMIT $2";
                sqlx::query_scalar(sql).bind(pieces).bind(most).fetch_all(conn).await?
            }
            Self::Beginning(from, to) => {
                let sql = "SELECT doc FROM key_name_pieces WHERE term >= $1 AND term < $2 LIMIT $3";
                sqlx::query_scalar(sql).bind(from).bind(to).bind(most).fetch_all(conn).await?
            }
        };
        Ok((found.len() <= FEW).then(|| format!("[{}]", found.iter().map(i64::to_string).collect::<Vec<_>>().join(","))))
    }
}

/// The first text, by the numbers of its characters, that comes after every text with that beginning.
fn following(beginning: &[char]) -> String {
    let mut text = beginning.to_vec();
    while let Some(last) = text.pop() {
        // The range leaves out what is no character.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            break;
        }
    }
    text.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(typed: &str) -> String {
        match Search::of(typed) {
            Search::Pieces(pieces) => pieces,
            Search::Beginning(from, to) => format!("{from} to {to}"),
        }
    }

    #[test]
    fn a_search_is_cut_into_pieces_that_cover_it_up_to_a_few() {
        assert_eq!(pieces(" Abc "), "\"abc\"");
        assert_eq!(pieces("abcd"), "\"abc\" \"bcd\"");
        assert_eq!(pieces("abcdef"), "\"abc\" \"def\"");
        assert_eq!(pieces("a\"* AND"), "\"a\"\"*\" \" an\" \"and\"");
        let long = pieces("00a01a02a03a04a05a06a07a08a09a");
        assert_eq!(long, "\"03a\" \"06a\" \"09a\"");
    }

    #[test]
    fn a_short_search_is_a_range_of_pieces() {
        assert_eq!(pieces("A"), "a to b");
        assert_eq!(pieces("\u{d7ff}"), "\u{d7ff} to \u{e000}");
        assert_eq!(pieces("z\u{10ffff}"), "z\u{10ffff} to {");
    }
}
