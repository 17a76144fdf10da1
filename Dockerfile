# The module alone, as Istio's WasmPlugin and Envoy Gateway's EnvoyExtensionPolicy load it from a registry:
#
#   make build
#   docker build --tag registry.example.com/api-guard:0.1.0 .
#   docker push registry.example.com/api-guard:0.1.0
FROM scratch
COPY dist/api_guard.wasm /plugin.wasm
