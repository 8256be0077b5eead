//! Cursors of lists of keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_domain::key::KeySort;
use keyfold_engine::testing::reread_cursor;
use serde_json::Value;

/// A text is a cursor only where a plain reading finds its order and place in it, and only for that order; what is written for
/// it says the same and is read as itself. The same bytes are tried as they are and as what a cursor wraps.
pub fn check(data: &[u8]) {
    for text in [String::from_utf8_lossy(data).into_owned(), URL_SAFE_NO_PAD.encode(data)] {
        for (sort, descending) in KeySort::ALL.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let Some(written) = reread_cursor(&text, sort, descending) else { continue };
            let plain = plainly(&text);
            assert!(plain.as_ref().is_some_and(|plain| plain.is_for(sort, descending)), "{text:?}");
            assert_eq!(plain, plainly(&written), "{text:?}");
            assert_eq!(reread_cursor(&written, sort, descending), Some(written), "{text:?}");
        }
    }
}

/// What a cursor says.
#[derive(Debug, PartialEq)]
struct Plain {
    sort: String,
    descending: bool,
    number: i64,
    text: String,
    id: String,
}

impl Plain {
    fn is_for(&self, sort: KeySort, descending: bool) -> bool {
        self.sort == sort.as_str() && self.descending == descending
    }
}

fn plainly(text: &str) -> Option<Plain> {
    let value: Value = serde_json::from_slice(&unwrapped(text)?).ok()?;
    // Fields by name, or in their order.
    let field = |value: &Value, name: &str, at: usize| value.get(name).or_else(|| value.get(at)).cloned();
    let place = field(&value, "p", 2)?;
    let string = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.contains('\0'));
    Some(Plain {
        sort: string(field(&value, "s", 0).map(word))?,
        descending: field(&value, "d", 1)?.as_bool()?,
        number: field(&place, "number", 0)?.as_i64()?,
        text: string(field(&place, "text", 1))?,
        id: string(field(&place, "id", 2))?,
    })
}

/// A word may also stand as the one name in an object, which is another way to write a choice.
fn word(value: Value) -> Value {
    match value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next()) {
        Some((name, Value::Null)) => Value::from(name.as_str()),
        _ => value,
    }
}

/// The bytes that are written like this in base 64 for addresses, bit by bit.
fn unwrapped(text: &str) -> Option<Vec<u8>> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = Vec::with_capacity(text.len() * 6);
    for sign in text.chars() {
        let value = alphabet.find(sign)?;
        bits.extend((0..6).rev().map(|at| (value >> at) & 1 == 1));
    }
    let (whole, rest) = bits.split_at(bits.len() / 8 * 8);
    // Bits that belong to no byte are zero, and fewer than a sign's.
    let plain = rest.len() < 6 && !rest.contains(&true);
    plain.then(|| whole.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| (sum << 1) | u8::from(*bit))).collect())
}
