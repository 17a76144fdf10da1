//! Puts the module and the native library into the command, where they have been built: `api-guard run` needs no other
//! file then.
//!
//! `API_GUARD_MODULE` and `API_GUARD_LIBRARY` name them (`make install` and `make dist` do), else what is in `dist/` is
//! taken. A command without them is built all the same, and says what it lacks when it is asked to run one. The page of
//! `api-guard playground` likewise: `API_GUARD_PLAYGROUND` names its folder, else it is `dist/playground`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The module itself is built from this package too, and does not contain itself.
    if env::var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|arch| arch == "wasm32") {
        return Ok(());
    }
    embed("API_GUARD_MODULE", "api_guard.wasm", |_| true)?;
    embed("API_GUARD_LIBRARY", "libapi_guard.so", is_for_the_target)?;
    page()
}

/// Writes the file that `variable` names, or `dist/NAME` if `fits` it, or nothing, to where the sources include it from.
fn embed(variable: &str, name: &str, fits: fn(&[u8]) -> bool) -> io::Result<()> {
    println!("cargo::rerun-if-env-changed={variable}");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let named = env::var_os(variable).filter(|name| !name.is_empty());
    let file = named.as_ref().map_or_else(|| root.join("dist").join(name), |name| root.join(name));
    let bytes = match fs::read(&file) {
        Ok(bytes) if named.is_some() && !fits(&bytes) => {
            return Err(io::Error::other(format!("{}: not for this target", file.display())));
        }
        Ok(bytes) => {
            println!("cargo::rerun-if-changed={}", file.display());
            if fits(&bytes) { bytes } else { Vec::new() }
        }
        Err(error) if named.is_some() => return Err(error),
        Err(_) => Vec::new(),
    };
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&folder).join(name), bytes)
}

/// Whether a shared object is for the processor that the command is built for, by its ELF header's `e_machine`.
fn is_for_the_target(bytes: &[u8]) -> bool {
    let (target, system) = (env::var("CARGO_CFG_TARGET_ARCH"), env::var("CARGO_CFG_TARGET_OS"));
    let machine = match target.as_deref() {
        Ok("x86_64") => [62, 0],
        Ok("aarch64") => [183, 0],
        _ => return false,
    };
    system.is_ok_and(|system| system == "linux") && bytes.get(18..20) == Some(&machine)
}

/// Copies the files of the page beside a list of them, which the command includes.
fn page() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-env-changed=API_GUARD_PLAYGROUND");
    let named = env::var_os("API_GUARD_PLAYGROUND").filter(|name| !name.is_empty());
    let page = named.as_ref().map_or_else(|| root.join("dist/playground"), |name| root.join(name));
    let mut names: Vec<String> = match fs::read_dir(&page) {
        Ok(entries) => {
            println!("cargo::rerun-if-changed={}", page.display());
            entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<_>>()?
        }
        Err(error) if named.is_some() => return Err(error),
        Err(_) => Vec::new(),
    };
    names.sort();
    fs::create_dir_all(folder.join("playground"))?;
    let mut list = String::from("&[");
    for name in names {
        fs::write(folder.join("playground").join(&name), fs::read(page.join(&name))?)?;
        list.push_str(&format!(
            "({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/playground/\", {name:?}))),"
        ));
    }
    fs::write(folder.join("playground.rs"), list + "]")
}
