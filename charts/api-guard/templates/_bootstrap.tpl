{{/* The bootstrap that `api-guard emit` writes too, from the same files. What differs is written {{name}} in them. */}}
{{- define "api-guard.bootstrap" -}}
{{- $text := .Files.Get "files/envoy.yaml" -}}
{{- $indent := 28 -}}
{{- if .Values.native -}}
{{- $indent = 26 -}}
{{- $text = $text | replace "'^wasmcustom" "'^dynamicmodulescustom" -}}
{{- $text = $text | replace "\nstatic_resources:\n" (printf "\n%sstatic_resources:\n" (.Files.Get "files/native-runtime.yaml")) -}}
{{- $module := "                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n" -}}
{{- $next := "                  - name: envoy.filters.http.router\n" -}}
{{- $parts := splitList $module $text -}}
{{- $after := index (splitList $next (index $parts 1)) 1 -}}
{{- $text = printf "%s%s%s%s" (index $parts 0) (.Files.Get "files/native-filter.yaml") $next $after -}}
{{- end -}}
{{- $upstream := dict "hostname" "127.0.0.1" "port" "10001" "tls" false -}}
{{- if .Values.upstream -}}{{- $upstream = include "api-guard.upstream" . | fromJson -}}{{- end -}}
{{- $host := $upstream.hostname -}}
{{- $is_address := eq (include "api-guard.is-address" $host) "yes" -}}
{{- $quoted := include "api-guard.quoted" $host -}}
{{- $demo := "" -}}
{{- if not .Values.upstream -}}
{{- $demo = .Files.Get "files/demo.yaml" | replace "{{upstream_port}}" "10001" | printf "\n%s" -}}
{{- end -}}
{{- $probes := .Files.Get "files/probes.yaml" | replace "{{probe_port}}" (toString (int .Values.probePort)) -}}
{{- if .Values.upstream -}}{{- $probes = printf "\n%s" $probes -}}{{- end -}}
{{- $tls := "" -}}
{{- $rewrite := "" -}}
{{- if $upstream.tls -}}
{{- $sni := ternary "" (printf "          sni: %s\n" $quoted) $is_address -}}
{{- $kind := ternary "IP_ADDRESS" "DNS" $is_address -}}
{{- $tls = .Files.Get "files/tls.yaml" | replace "{{sni}}\n" $sni | replace "{{trust}}" (include "api-guard.quoted" .Values.upstreamCa) | replace "{{kind}}" $kind | replace "{{host}}" $quoted -}}
{{- $authority := ternary (printf "[%s]" $host) $host (contains ":" $host) -}}
{{- if ne (toString $upstream.port) "443" }}{{ $authority = printf "%s:%s" $authority (toString $upstream.port) }}{{ end -}}
{{- $rewrite = printf ", host_rewrite_literal: %s" (include "api-guard.quoted" $authority) -}}
{{- end -}}
{{- $reached := .Values.admin.address -}}
{{- if eq $reached "0.0.0.0" }}{{ $reached = "127.0.0.1" }}{{ else if eq $reached "::" }}{{ $reached = "::1" }}{{ end -}}
{{- $admin_address := include "api-guard.quoted" .Values.admin.address -}}
{{- $address := include "api-guard.quoted" .Values.address -}}
{{- $compat := ternary ", ipv4_compat: true" "" (eq .Values.address "::") -}}
{{- $admin := .Files.Get "files/admin-cluster.yaml" | replace "{{admin_host}}" (include "api-guard.quoted" $reached) | replace "{{admin_port}}" (toString (int .Values.admin.port)) -}}
{{- $clusters := include "api-guard.key-sets" . -}}
{{- $store := "" -}}{{- if .Values.redis.enabled -}}{{- $store = include "api-guard.redis" . -}}{{- end -}}
{{- with .Values.extraClusters -}}{{- $clusters = printf "%s%s\n" $clusters (toYaml . | indent 4) -}}{{- end -}}
{{- $config := include "api-guard.parsed" . | fromJson -}}
{{- $header := dig "forward" "subject_header" "x-auth-subject" $config -}}
{{- $subject := "\"%FILTER_STATE(wasm.api_guard.subject:PLAIN)%\"" -}}
{{- if and $header (regexMatch "^[A-Za-z0-9_.-]+$" (toString $header)) -}}
{{- $subject = printf "'%%COALESCE({\"operators\":[{\"command\":\"REQ\",\"param\":\"%s\"},{\"command\":\"FILTER_STATE\",\"param\":\"wasm.api_guard.subject:PLAIN\"}]})%%'" (upper $header) -}}
{{- end -}}
{{- $slashes := "REJECT_REQUEST" -}}
{{- range dig "routes" list $config -}}
{{- if has "encoded_slash" (.allow_in_path | default list) }}{{ $slashes = "KEEP_UNCHANGED" }}{{ end -}}
{{- end -}}
{{- $variables := list -}}
{{- range splitList ", " (include "api-guard.variables" .) -}}
{{- if . }}{{ $variables = append $variables (include "api-guard.quoted" .) }}{{ end -}}
{{- end -}}
{{- $file := ternary "libapi_guard.so" (ternary "api_guard.wasm" "plugin.wasm" (ne .Values.module.configMap "")) .Values.native -}}
{{- $text = $text | replace "{{demo}}\n" $demo | replace "{{probes}}\n" $probes | replace "{{tls}}\n" $tls | replace "{{key_sets}}\n" $clusters | replace "{{fleet}}\n" $store | replace "{{admin_cluster}}\n" $admin -}}
{{- $text = $text | replace "{{dns_family}}\n" (ternary "" "      dns_lookup_family: ALL\n" $is_address) | replace "{{cluster_type}}" (ternary "STATIC" "LOGICAL_DNS" $is_address) -}}
{{- $text = $text | replace "{{upstream_host}}" $quoted | replace "{{upstream_port}}" (toString $upstream.port) | replace " {{host_rewrite}}" $rewrite -}}
{{- $text = $text | replace "{{admin_address}}" $admin_address | replace "{{address}}" $address | replace "{{ipv4_compat}}" $compat | replace "{{admin_port}}" (toString (int .Values.admin.port)) | replace "{{port}}" (toString (int .Values.port)) -}}
{{- $text = $text | replace "{{module}}" (printf "/opt/api-guard/%s" $file) | replace "{{variables}}" (join ", " $variables) | replace "{{escaped_slashes}}" $slashes | replace "{{subject}}" $subject -}}
{{- $text = $text | replace "{{configuration}}" (include "api-guard.config" . | indent $indent) -}}
{{- regexReplaceAll "(?m)[ \\t]+$" $text "" -}}
{{- end -}}

{{/* Host, port and TLS of the upstream, as JSON. */}}
{{- define "api-guard.upstream" -}}
{{- $text := .Values.upstream -}}
{{- $url := urlParse (ternary $text (printf "http://%s" $text) (contains "://" $text)) -}}
{{- if not (and (has $url.scheme (list "http" "https")) $url.hostname (has $url.path (list "" "/")) (not $url.query) (not $url.userinfo)) -}}
{{- fail (printf "upstream: %q: write http://HOST:PORT, https://HOST:PORT or HOST:PORT" $text) -}}
{{- end -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- dict "hostname" $url.hostname "port" $port "tls" (eq $url.scheme "https") | toJson -}}
{{- end -}}

{{/* The clusters over which key sets are fetched. */}}
{{- define "api-guard.key-sets" -}}
{{- $root := . -}}
{{- $config := include "api-guard.parsed" . | fromJson -}}
{{- $clusters := list -}}
{{- $sets := dict -}}
{{- range dig "tokens" "key_sets" list $config -}}
{{- $cluster := dig "jwks" "cluster" "" . -}}
{{- if and $cluster (ne $cluster "upstream") -}}
{{- if not (hasKey $sets $cluster) }}{{ $clusters = append $clusters (dict "name" $cluster "authority" (dig "jwks" "authority" "" .)) }}{{ end -}}
{{- $_ := set $sets $cluster (append (get $sets $cluster | default list) .name) -}}
{{- end -}}
{{- end -}}
{{- range $clusters -}}
{{- $url := urlParse (printf "https://%s" .authority) -}}
{{- $host := $url.hostname -}}
{{- $is_address := or (regexMatch "^[0-9.]+$" $host) (contains ":" $host) -}}
{{- $is_here := or (eq $host "localhost") (hasPrefix "127." $host) (eq $host "::1") -}}
{{- $quoted := ternary (quote $host) $host (contains ":" $host) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "80" "443" $is_here) -}}
{{- $tls := "" -}}
{{- if not $is_here -}}
{{- $sni := ternary "" (printf "\n          sni: %s" $quoted) $is_address -}}
{{- $tls = $root.Files.Get "files/key-set-tls.yaml" | replace "{{sni}}" $sni | replace "{{trust}}" "/etc/ssl/certs/ca-certificates.crt" | replace "{{san_type}}" (ternary "IP_ADDRESS" "DNS" $is_address) | replace "{{host}}" $quoted -}}
{{- end -}}
{{- $cluster := $root.Files.Get "files/key-set.yaml" | replace "{{sets}}" (join ", " (get $sets .name)) | replace "{{name}}" (include "api-guard.quoted" .name) | replace "{{type}}" (ternary "STATIC" "STRICT_DNS" $is_address) -}}
{{- $cluster | replace "{{lookup}}" (ternary "" "\n      dns_lookup_family: ALL" $is_address) | replace "{{host}}" $quoted | replace "{{port}}" $port | replace "{{tls}}" $tls }}
{{ end -}}
{{- end -}}

{{/* The cluster of the store that limits and revocations are shared by. */}}
{{- define "api-guard.redis" -}}
{{- $redis := .Values.redis -}}
{{- $is_address := eq (include "api-guard.is-address" $redis.host) "yes" -}}
{{- $quoted := include "api-guard.quoted" $redis.host -}}
{{- $tls := "" -}}
{{- if $redis.ca -}}
{{- $sni := ternary "" (printf "          sni: %s\n" $quoted) $is_address -}}
{{- $kind := ternary "IP_ADDRESS" "DNS" $is_address -}}
{{- $tls = .Files.Get "files/tls.yaml" | replace "{{sni}}\n" $sni | replace "{{trust}}" (include "api-guard.quoted" $redis.ca) | replace "{{kind}}" $kind | replace "{{host}}" $quoted -}}
{{- end -}}
{{- $cluster := .Files.Get "files/fleet.yaml" | replace "{{tls}}\n" $tls | replace "{{name}}" (include "api-guard.quoted" $redis.cluster) | replace "{{host}}" $quoted | replace "{{port}}" (toString (int $redis.port)) -}}
{{- $cluster | replace "{{dns_family}}\n" (ternary "" "      dns_lookup_family: ALL\n" $is_address) | replace "{{cluster_type}}" (ternary "STATIC" "LOGICAL_DNS" $is_address) -}}
{{- end -}}
