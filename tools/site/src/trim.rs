//! Takes out of the WebAssembly what never runs, or runs only to be thrown away. The compiler cannot: it does not know
//! that nobody reads a panic's text in a browser, nor that we never use one of the framework's two ways to hydrate.
//!
//! Functions are found by name, so a new version of a dependency may bring some back; the size budget tells.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use walrus::ir::Value;
use walrus::{ConstExpr, DataKind, FunctionBuilder, FunctionId, FunctionKind, Module, ModuleConfig};

/// What is put in a function's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    /// It traps.
    Trap,
    /// It answers `Ok(())` and prints nothing.
    PrintNothing,
}

/// They never return. On WebAssembly a panic prints to a standard error that leads nowhere, and then traps; now it traps.
const PANICS: &[&str] = &[
    "core::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::slice::copy_from_slice_impl::len_mismatch_fail",
    "core::str::slice_error_fail",
    "core::cell::panic_already",
    "alloc::raw_vec::handle_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::alloc::handle_alloc_error",
    "std::thread::local::panic_access_error",
];

/// Never called: `hydrate_body` hydrates at once, so the ways to hydrate bit by bit, and from a template, are idle.
const IDLE: &[&str] = &["::into_any::hydrate_async", "::into_any_attr::hydrate_from_template", "::hydrate_async::{closure#0}"];

/// Their text is only ever for programmers; and the console shows no number with a fraction.
const PRINTERS: &[&str] = &[
    " as core::fmt::Debug>::fmt",
    "<f64 as core::fmt::Display>::fmt",
    "<f32 as core::fmt::Display>::fmt",
    "serde_json::error::JsonUnexpected as core::fmt::Display>::fmt",
];

/// Numbers with a fraction, read from JSON or written: our server sends none, and pages show none. What formats one for the
/// text of a JSON error is among [`PRINTERS`].
const FRACTIONS: &[&str] = &["zmij::", "f64_from_parts", "core::num::imp::flt2dec::", "core::num::imp::dec2flt::"];

fn instead(name: &str, returns: bool) -> Option<Instead> {
    let panics = !returns && PANICS.iter().any(|start| name.starts_with(start));
    if panics || IDLE.iter().chain(FRACTIONS).any(|part| name.contains(part)) {
        return Some(Instead::Trap);
    }
    PRINTERS.iter().any(|part| name.contains(part)).then_some(Instead::PrintNothing)
}

/// The same module without what is said above.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn trim(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new().generate_producers_section(false).parse(wasm).map_err(|error| anyhow!("{error:#}"))?;
    let found: Vec<(FunctionId, Instead)> = module
        .funcs
        .iter()
        .filter(|function| matches!(function.kind, FunctionKind::Local(_)))
        .filter_map(|function| {
            let name = format!("{:#}", rustc_demangle::demangle(function.name.as_deref()?));
            let returns = !module.types.results(function.ty()).is_empty();
            Some((function.id(), instead(&name, returns)?))
        })
        .collect();
    for (function, instead) in found {
        replace(&mut module, function, instead);
    }
    forget_locations(&mut module);
    forget_powers(&mut module);
    Ok(module.emit_wasm())
}

fn replace(module: &mut Module, function: FunctionId, instead: Instead) {
    let ty = module.funcs.get(function).ty();
    let (parameters, results) = (module.types.params(ty).to_vec(), module.types.results(ty).to_vec());
    let arguments = parameters.iter().map(|ty| module.locals.add(*ty)).collect();
    let mut builder = FunctionBuilder::new(&mut module.types, &parameters, &results);
    match instead {
        Instead::Trap => builder.func_body().unreachable(),
        Instead::PrintNothing => builder.func_body().i32_const(0),
    };
    module.funcs.get_mut(function).kind = FunctionKind::Local(builder.local_func(arguments));
}

/// Size of a `core::panic::Location` for WebAssembly: address and length of a path, line, column.
const LOCATION: usize = 16;

/// Empties the places in the source that panics would name, and the paths of those files.
fn forget_locations(module: &mut Module) {
    let segments: Vec<_> = module
        .data
        .iter()
        .filter_map(|data| match data.kind {
            DataKind::Active { offset: ConstExpr::Value(Value::I32(base)), .. } => Some((data.id(), usize::try_from(base).ok()?)),
            _ => None,
        })
        .collect();
    let memory: Vec<(usize, Vec<u8>)> = segments.iter().map(|(id, base)| (*base, module.data.get(*id).value.clone())).collect();
    let is_path = |at: usize, length: usize| {
        memory.iter().any(|(base, bytes)| {
            at.checked_sub(*base).and_then(|from| bytes.get(from..from.checked_add(length)?)).is_some_and(is_source_path)
        })
    };
    let mut paths = BTreeSet::new();
    for (id, base) in &segments {
        let bytes = &mut module.data.get_mut(*id).value;
        let mut at = base.next_multiple_of(4) - base;
        while let Some(found) = bytes.get_mut(at..at + LOCATION) {
            let (path, length, line, column) = (word(found, 0), word(found, 4), word(found, 8), word(found, 12));
            if (6..200).contains(&length) && (1..100_000).contains(&line) && (1..1000).contains(&column) && is_path(path, length) {
                found.fill(0);
                paths.insert((path, length));
                at += LOCATION;
            } else {
                at += 4;
            }
        }
    }
    for (id, base) in &segments {
        let bytes = &mut module.data.get_mut(*id).value;
        for (path, length) in &paths {
            if let Some(found) = path.checked_sub(*base).and_then(|from| bytes.get_mut(from..from + length)) {
                found.fill(0);
            }
        }
    }
}

/// Empties the table of powers of ten that reading fractions would need; nothing in it can be compressed.
fn forget_powers(module: &mut Module) {
    let powers: Vec<u8> = (0..=308).filter_map(|power| format!("1e{power}").parse::<f64>().ok()).flat_map(f64::to_le_bytes).collect();
    let segments: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    for id in segments {
        let bytes = &mut module.data.get_mut(id).value;
        if let Some(at) = bytes.windows(powers.len()).position(|window| window == powers) {
            bytes[at..at + powers.len()].fill(0);
        }
    }
}

fn is_source_path(bytes: &[u8]) -> bool {
    bytes.ends_with(b".rs") && bytes.contains(&b'/') && bytes.iter().all(u8::is_ascii_graphic)
}

/// The number of four bytes at that place, zero if there are fewer.
fn word(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).unwrap_or_default();
    usize::try_from(u32::from_le_bytes(four)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_returns_counts_as_a_panic() {
        assert_eq!(instead("core::panicking::panic_fmt", false), Some(Instead::Trap));
        assert_eq!(instead("core::panicking::panic_fmt", true), None);
        assert_eq!(instead("keyfold_app::browser::copy", false), None);
    }

    #[test]
    fn powers_of_ten_are_forgotten_and_text_beside_them_kept() {
        let mut module = Module::with_config(ModuleConfig::new());
        let memory = module.memories.add_local(false, false, 1, None, None);
        let mut bytes = b"kept".to_vec();
        bytes.extend((0..=308).flat_map(|power| format!("1e{power}").parse::<f64>().unwrap().to_le_bytes()));
        bytes.extend(*b"kept too");
        module.data.add(DataKind::Active { memory, offset: ConstExpr::Value(Value::I32(1024)) }, bytes);
        forget_powers(&mut module);
        let left = module.data.iter().next().unwrap().value.clone();
        assert_eq!(left, [&b"kept"[..], &vec![0; 309 * 8], b"kept too"].concat());
    }

    #[test]
    fn text_for_people_is_still_printed() {
        assert_eq!(instead("<alloc::string::String as core::fmt::Debug>::fmt", true), Some(Instead::PrintNothing));
        assert_eq!(instead("<i64 as core::fmt::Display>::fmt", true), None);
    }

    #[test]
    fn a_place_in_the_source_is_forgotten_and_text_beside_it_kept() {
        let mut module = Module::with_config(ModuleConfig::new());
        let memory = module.memories.add_local(false, false, 1, None, None);
        let path = b"app/src/lib.rs";
        let mut bytes = path.to_vec();
        bytes.extend(*b"no");
        for number in [1024, 14, 7, 3] {
            bytes.extend(u32::to_le_bytes(number));
        }
        let offset = ConstExpr::Value(Value::I32(1024));
        module.data.add(DataKind::Active { memory, offset }, bytes);
        forget_locations(&mut module);
        let left = module.data.iter().next().unwrap().value.clone();
        assert_eq!(left, [vec![0; 14], b"no".to_vec(), vec![0; 16]].concat());
    }
}
