//! The build step that cargo cannot do. Run it as `cargo run --package xtask -- pack IN.wasm OUT.wasm`.

use std::path::Path;
use std::process::ExitCode;

mod layout;
mod optimize;
mod pack;
mod profile;
mod steps;

const USAGE: &str = "usage: xtask pack IN.wasm OUT.wasm    prepares a built module for shipping";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [command, input, output] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if command != "pack" {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match pack_file(Path::new(input), Path::new(output)) {
        Ok(size) => {
            println!("{}: {size} bytes", output.display());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn pack_file(input: &Path, output: &Path) -> Result<usize, String> {
    let built = std::fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    let packed = pack::pack(&built)?;
    let optimized = optimize::smaller(&packed)?;
    let packed = optimized.as_deref().unwrap_or(&packed);
    let packed = layout::arrange(packed, &profile::Profile::of(packed)?)?;
    if packed.len() > pack::MOST_BYTES && optimized.is_some() {
        return Err(format!(
            "{}: {} bytes, but the limit is {}",
            output.display(),
            packed.len(),
            pack::MOST_BYTES
        ));
    }
    std::fs::write(output, &packed).map_err(|error| format!("{}: {error}", output.display()))?;
    Ok(packed.len())
}
