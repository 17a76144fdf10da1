//! The bootstrap with the native library in place of the module.

/// How the filter begins in the module's bootstrap, and how the next filter begins.
const MODULE_FILTER: &str =
    "                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n";
const NEXT_FILTER: &str = "                  - name: envoy.filters.http.router\n";
const FILTER: &str = include_str!("native-filter.yaml");

const STATIC_RESOURCES: &str = "static_resources:\n";
const RUNTIME: &str = include_str!("native-runtime.yaml");

/// The template of the library's bootstrap: `template`, which is the module's, with what differs.
pub(super) fn template(template: &str) -> String {
    let of_library = template.replace("'^wasmcustom", "'^dynamicmodulescustom");
    let of_library = of_library.replacen(STATIC_RESOURCES, &[RUNTIME, STATIC_RESOURCES].concat(), 1);
    let Some((before, rest)) = of_library.split_once(MODULE_FILTER) else { return of_library };
    let Some((_, after)) = rest.split_once(NEXT_FILTER) else { return of_library };
    [before, FILTER, NEXT_FILTER, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_module_is_left() {
        let module = include_str!("envoy.yaml");
        let library = template(module);
        assert!(!library.contains("wasmcustom") && !library.contains("vm_config"), "{library}");
        let (_, filter) = module.split_once(MODULE_FILTER).unwrap();
        let (filter, _) = filter.split_once(NEXT_FILTER).unwrap();
        for line in module.lines().filter(|line| !library.lines().any(|kept| kept == *line)) {
            let differs =
                line.contains("wasmcustom") || filter.contains(line) || line == MODULE_FILTER.trim_end();
            assert!(differs, "{line}");
        }
        for part in [RUNTIME, FILTER] {
            assert_eq!(library.matches(part).count(), 1);
        }
    }
}
