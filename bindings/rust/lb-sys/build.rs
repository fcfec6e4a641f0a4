//! Finds liblb: in `LB_LIB_DIR`, by building it (feature `vendored`), or by pkg-config.
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for name in ["LB_LIB_DIR", "LB_SOURCE_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={}", name);
    }
    if let Some(folder) = env::var_os("LB_LIB_DIR") {
        link(Path::new(&folder));
    } else if env::var_os("CARGO_FEATURE_VENDORED").is_some() {
        link(&build());
    } else {
        ask_pkg_config();
    }
}

/// The shared library of that folder, or else the static one, which has a list beside it of what its users link too.
fn link(folder: &Path) {
    let shared = ["liblb.so", "liblb.dylib"].iter().any(|name| folder.join(name).exists());
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib={}=lb", if shared { "dylib" } else { "static" });
    if !shared {
        link_flags(&std::fs::read_to_string(folder.join("liblb.needs")).expect("liblb.needs, beside liblb.a"));
    }
}

fn build() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let source = env::var_os("LB_SOURCE_DIR").map_or(beside, PathBuf::from);
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("lb");
    for part in ["include", "lib", "bindings/static", "meson.build"] {
        println!("cargo:rerun-if-changed={}", source.join(part).display());
    }
    if !folder.join("build.ninja").exists() {
        // Cargo's words are "debug" and "release", and so are meson's.
        let kind = format!("-Dbuildtype={}", env::var("PROFILE").unwrap());
        run(Command::new("meson").arg("setup").arg(&folder).arg(&source).args([kind.as_str(), "-Dtests=false"]));
    }
    run(Command::new("ninja").arg("-C").arg(&folder).arg("bindings/static/liblb.a"));
    folder.join("bindings/static")
}

fn ask_pkg_config() {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    link_flags(&run(Command::new(program).args(["--libs", "lb"])));
}

fn link_flags(flags: &str) {
    for flag in flags.split_whitespace() {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={}", folder);
        } else if let Some(name) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={}", name);
        }
    }
}

/// What it printed; ends the build when it fails.
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{:?}: {}", command, error));
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{:?}:\n{}{}", command, said, String::from_utf8_lossy(&done.stderr));
    said.into_owned()
}
