//! Puts the module into the command, if it has been built: `api-guard run` needs no other file then.
//!
//! `API_GUARD_MODULE` names the module (`make install` sets it), else `dist/api_guard.wasm` is taken if it is there. A
//! command without a module is built all the same, and says what it lacks when it is asked to run one. The page of
//! `api-guard playground` likewise: `API_GUARD_PLAYGROUND` names its folder, else it is `dist/playground`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The module itself is built from this package too, and does not contain itself.
    if env::var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|arch| arch == "wasm32") {
        return Ok(());
    }
    println!("cargo::rerun-if-env-changed=API_GUARD_MODULE");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let named = env::var_os("API_GUARD_MODULE").filter(|name| !name.is_empty());
    let module = named.as_ref().map_or_else(|| root.join("dist/api_guard.wasm"), |name| root.join(name));
    let bytes = match fs::read(&module) {
        Ok(bytes) => {
            println!("cargo::rerun-if-changed={}", module.display());
            bytes
        }
        Err(error) if named.is_some() => return Err(error),
        Err(_) => Vec::new(),
    };
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(folder.join("module.wasm"), bytes)?;
    page(&root, &folder)
}

/// Copies the files of the page beside a list of them, which the command includes.
fn page(root: &Path, folder: &Path) -> io::Result<()> {
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
