#!/usr/bin/env bash
# Makes sure that one Rust toolchain can compile for this machine and for the browser (wasm32-unknown-unknown), and
# writes target/toolchain.env, which every other script sources.
#
# With rustup that can download, rust-toolchain.toml says all there is to say and rustup does it. Where rustup cannot
# download, Debian's compiler is used: it is recent and comes with its source, so that the browser's standard library
# can be built from it once (about a minute). Safe to run at any time; with nothing to do it takes a fraction of a second.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

target=wasm32-unknown-unknown
env_file=$root/target/toolchain.env

# has_target RUSTC...: does this compiler exist and find a standard library for the browser?
has_target() {
    local libdir
    libdir=$("$@" --print target-libdir --target "$target" 2>/dev/null) || return 1
    compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

finish() {
    mkdir -p "$(dirname "$env_file")"
    printf '%s\n' "$@" >"$env_file.new"
    mv "$env_file.new" "$env_file"
    exit 0
}

# Debian's compiler, and its edition of the standard library for the browser.
sysroot=/usr
stamp=$sysroot/lib/rustlib/$target/lib/.keyfold-built-with

debian_ready() {
    [ -x "$sysroot/bin/cargo" ] && [ -f "$stamp" ] && have wasm-ld-22 &&
        [ "$(cat "$stamp")" = "$("$sysroot/bin/rustc" -vV)" ] && has_target "$sysroot/bin/rustc"
}

debian_finish() {
    local lines=("export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-22")
    if have rustup; then
        if ! rustup toolchain list | grep -q '^debian-web\b'; then
            rustup toolchain link debian-web "$sysroot" >&2
        fi
        lines+=("export RUSTUP_TOOLCHAIN=debian-web")
    else
        lines+=("export PATH=$sysroot/bin:\$PATH")
    fi
    finish "# Written by scripts/toolchain.sh: Debian's compiler" "${lines[@]}"
}

build_debian_target() {
    local work lib
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    say "building the browser's standard library for $("$sysroot/bin/rustc" --version) (once, about a minute)"
    mkdir "$work/src"
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "throwaway"
edition = "2024"
[profile.release]
panic = "abort"
TOML
    : >"$work/src/lib.rs"
    # RUSTC_BOOTSTRAP opens -Zbuild-std for this one crate. Without embedded bitcode, LTO of the front end fails later.
    (
        cd "$work"
        unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER CARGO_BUILD_RUSTC_WRAPPER CARGO_ENCODED_RUSTFLAGS
        RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes RUSTC=$sysroot/bin/rustc CARGO_TARGET_DIR=$work/target \
            CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-22 \
            "$sysroot/bin/cargo" build --quiet --release -Zbuild-std=std,panic_abort,proc_macro --target "$target" >&2
    )
    lib=$work/lib
    mkdir "$lib"
    cp "$work/target/$target/release/deps/"*.rlib "$lib/"
    rm -f "$lib/"libthrowaway-*.rlib
    "$sysroot/bin/rustc" -vV >"$lib/$(basename "$stamp")"
    chmod -R a+rX "$lib"
    # The old edition goes first: two copies of one library side by side would be ambiguous to the compiler.
    as_root rm -rf "$(dirname "$stamp")"
    as_root mkdir -p "$(dirname "$(dirname "$stamp")")"
    as_root cp -r "$lib" "$(dirname "$stamp")"
    rm -rf "$work"
    trap - EXIT
}

# The bundled SQLite and the TLS library are compiled from C.
need cc build-essential

# 1. The toolchain that is active here can do it already. A caller's RUSTUP_TOOLCHAIN is respected, except for Debian's,
#    which has its own check below.
active_ready() {
    [ "${RUSTUP_TOOLCHAIN:-}" != debian-web ] && have rustc && have cargo &&
        [ "$(readlink -f "$(command -v rustc)")" != "$sysroot/bin/rustc" ] &&
        RUSTUP_AUTO_INSTALL=0 has_target rustc
}
if active_ready; then
    finish "# Written by scripts/toolchain.sh: the active toolchain is used as it is"
fi

# 2. Debian's compiler, prepared earlier.
if debian_ready; then
    debian_finish
fi

# 3. rustup may fetch what rust-toolchain.toml names, unless it was told not to.
if have rustup && [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ]; then
    say "asking rustup for the toolchain that rust-toolchain.toml names"
    if (unset RUSTUP_TOOLCHAIN && rustc --version && rustup target add "$target") >&2 &&
        (unset RUSTUP_TOOLCHAIN && has_target rustc); then
        finish "# Written by scripts/toolchain.sh: the toolchain of rust-toolchain.toml" "unset RUSTUP_TOOLCHAIN"
    fi
    say "rustup could not"
fi

# 4. Prepare Debian's compiler.
debian_has_compiler() { have apt-get && apt-cache show rustc-web >/dev/null 2>&1; }
if ! debian_has_compiler; then
    if have apt-get; then
        as_root apt-get update -qq >&2
    fi
    debian_has_compiler || fail "no Rust toolchain with the target $target. Install rustup (https://rustup.rs), let it run 'rustup toolchain install' in this folder, and try again."
fi
apt_install rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web lld-22
debian_ready || build_debian_target
debian_ready || fail "the browser's standard library was built, but $sysroot/bin/rustc does not find it."
debian_finish
