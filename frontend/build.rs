//! Keeps the linker's relocations in the WebAssembly: the site tool needs them to cut it into files (`app/src/later.rs`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=--emit-relocs");
}
