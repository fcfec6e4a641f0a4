//! Finds liblb: in `LB_LIB_DIR`, by building it (feature `vendored`), or by pkg-config.
use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

fn main() {
    println!("cargo:rerun-if-env-changed=LB_LIB_DIR");
    println!("cargo:rerun-if-env-changed=LB_SOURCE_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    if let Some(folder) = env::var_os("LB_LIB_DIR") {
        link(Path::new(&folder));
    } else if env::var_os("CARGO_FEATURE_VENDORED").is_some() {
        link(&build());
    } else {
        ask_pkg_config();
    }
}

/// The shared library of that folder, or else the static one, which leaves the C++ library to its users.
fn link(folder: &Path) {
    let shared = ["liblb.so", "liblb.dylib"].iter().any(|name| folder.join(name).exists());
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib={}=lb", if shared { "dylib" } else { "static" });
    if !shared {
        println!("cargo:rustc-link-lib=dylib=stdc++");
    }
    println!("cargo:libdir={}", folder.display());
}

fn build() -> PathBuf {
    let beside = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../..");
    let source = env::var_os("LB_SOURCE_DIR").map_or(beside, PathBuf::from);
    let folder = Path::new(&env::var("OUT_DIR").unwrap()).join("lb");
    for part in ["include", "lib", "meson.build"] {
        println!("cargo:rerun-if-changed={}", source.join(part).display());
    }
    if !folder.join("build.ninja").exists() {
        run(Command::new("meson")
            .arg("setup")
            .arg(&folder)
            .arg(&source)
            .args(["-Dbuildtype=release", "-Dtests=false"]));
    }
    run(Command::new("ninja").arg("-C").arg(&folder).arg("lib/abi/liblb.so"));
    folder.join("lib/abi")
}

fn ask_pkg_config() {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let flags = run(Command::new(program).args(["--libs", "lb"]));
    for flag in flags.split_whitespace() {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={}", folder);
            println!("cargo:libdir={}", folder);
        } else if let Some(name) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={}", name);
        }
    }
    println!("cargo:rustc-link-lib=lb");
}

/// What it printed; ends the build when it fails.
fn run(command: &mut Command) -> String {
    match command.output() {
        Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).into_owned(),
        Ok(done) => {
            eprintln!(
                "{:?}:\n{}{}",
                command,
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            );
            exit(1)
        }
        Err(error) => {
            eprintln!("{:?}: {}", command, error);
            exit(1)
        }
    }
}
