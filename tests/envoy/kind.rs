//! What is under test: the module, or the native library (`API_GUARD_KIND=module` or `native`; the module if it is not set).
//! Every test runs on both, but for those that one of the reasons in here keeps to one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What Envoy loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Native,
}

/// Why a test is for one kind alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Only {
    kind: Kind,
    reason: &'static str,
}

const fn module(reason: &'static str) -> Only {
    Only { kind: Kind::Module, reason }
}

/// `limits_kept`, `faults`, `key_sets_kept`, and a part of `revocation_workers`: what a VM that died leaves behind.
pub(crate) const VM_DEATH: Only = module("a library has no VM: `native` tests what becomes of a panic");
/// `held_bodies` and `revocation_endpoint`: Envoys that do not deliver the bodies of held requests.
pub(crate) const UNDELIVERED_BODIES: Only =
    module("Envoy always delivers a held body to a library, so there is no such option");
/// `unpacked`: the module as cargo leaves it.
pub(crate) const PACKING: Only = module("a library is not packed");
/// `configuration`: algorithms that Envoy does not verify.
pub(crate) const PSS: Only = module("a library verifies RSASSA-PSS itself");
/// `native`: panics, library files and tables that outlive them.
pub(crate) const LIBRARY: Only =
    Only { kind: Kind::Native, reason: "a module has no library file, and its panics end its VM" };

/// The metrics of Envoy's VMs, which pages, dashboard and alerts ask for, and which a library has not.
pub(crate) const OF_VMS: &str = "envoy_wasm_";

impl Kind {
    /// The kind under test.
    pub(crate) fn under_test() -> Self {
        let named = std::env::var("API_GUARD_KIND").unwrap_or_else(|_| "module".to_owned());
        match named.as_str() {
            "module" => Self::Module,
            "native" => Self::Native,
            other => panic!("API_GUARD_KIND is {other:?}: use module or native"),
        }
    }

    /// Where it was built.
    pub(crate) fn artefact(self) -> PathBuf {
        let (path, target) = self.target();
        assert!(path.is_file(), "nothing at {}: run `make {target}` first", path.display());
        path
    }

    /// Whether it was built.
    pub(crate) fn is_built(self) -> bool {
        self.target().0.is_file()
    }

    /// Where it is to be, and how it is built.
    fn target(self) -> (PathBuf, &'static str) {
        let (variable, usual, target) = match self {
            Self::Module => ("API_GUARD_WASM", "dist/api_guard.wasm", "build"),
            Self::Native => ("API_GUARD_LIBRARY", "dist/libapi_guard.so", "native"),
        };
        let path = std::env::var_os(variable)
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(usual), PathBuf::from);
        (path, target)
    }

    /// What precedes the names of its metrics.
    pub(crate) fn metrics_prefix(self) -> &'static str {
        match self {
            Self::Module => "wasmcustom",
            Self::Native => "dynamicmodulescustom",
        }
    }

    /// Envoy's runtime.
    pub(crate) fn runtime(self) -> Value {
        match self {
            Self::Module => json!({}),
            // Without it, Prometheus shows the metrics' prefix.
            Self::Native => json!({
                "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix": true,
            }),
        }
    }
}

/// Whether a test that holds for one kind alone is to run. Says so if it is not.
#[track_caller]
pub(crate) fn runs(only: Only) -> bool {
    let runs = Kind::under_test() == only.kind;
    if !runs {
        println!("skipped at {}: {}", std::panic::Location::caller(), only.reason);
    }
    runs
}
