{{/* Fails where values contradict each other, or the configuration. */}}
{{- define "api-guard.check" -}}
{{- $name := include "api-guard.name" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "fullnameOverride: the objects would be called %q, and a Service among them; write lower-case letters, digits and hyphens, with a letter in front" $name) -}}
{{- end -}}
{{- $ports := list (dict "of" "port" "at" .Values.port) (dict "of" "admin.port" "at" .Values.admin.port) (dict "of" "probePort" "at" .Values.probePort) -}}
{{- if not .Values.upstream }}{{ $ports = append $ports (dict "of" "the demo API, which upstream replaces," "at" 10001) }}{{ end -}}
{{- range $index, $one := $ports -}}
{{- range slice $ports 0 $index -}}
{{- if eq (int .at) (int $one.at) }}{{ fail (printf "%s and %s are both %d; write two ports" .of $one.of (int .at)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if .Values.upstream -}}
{{- $upstream := include "api-guard.upstream" . | fromJson -}}
{{- $host := $upstream.hostname | lower -}}
{{- if or (has $host (list "localhost" "::1" "0.0.0.0" "::")) (hasPrefix "127." $host) -}}
{{- range $ports -}}
{{- if eq (toString (int .at)) $upstream.port }}{{ fail (printf "upstream: %q is Envoy itself, at %s; write where the API is" $.Values.upstream .of) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "api-guard.check-fleet" . -}}
{{- include "api-guard.check-clusters" . -}}
{{- end -}}

{{/* The store is where the configuration's fleet looks for it. */}}
{{- define "api-guard.check-fleet" -}}
{{- $redis := .Values.redis -}}
{{- $fleet := include "api-guard.parsed" . | fromJson | dig "fleet" dict | default dict -}}
{{- $cluster := get $fleet "cluster" | default "" -}}
{{- $extra := list -}}
{{- range .Values.extraClusters }}{{ $extra = append $extra .name }}{{ end -}}
{{- if and $redis.enabled (not $redis.host) -}}
{{- fail "redis.host: missing; write the host of the Redis or Valkey" -}}
{{- else if and $redis.enabled (not $fleet) -}}
{{- fail "redis.enabled: config has no fleet; write the section fleet, or leave redis out" -}}
{{- else if and $redis.enabled (ne $redis.cluster $cluster) -}}
{{- fail (printf "redis.cluster: %q, and config.fleet.cluster is %q; write the same name" $redis.cluster $cluster) -}}
{{- else if and $fleet (not $redis.enabled) (not (has $cluster $extra)) -}}
{{- fail (printf "config.fleet.cluster: Envoy has no cluster %q; write redis.enabled=true and redis.host" $cluster) -}}
{{- end -}}
{{- $variable := dig "password" dict $fleet | default dict | dig "env" "" -}}
{{- if and $redis.enabled $redis.password.secret (ne $redis.password.variable $variable) -}}
{{- fail (printf "redis.password.variable: %q, and config.fleet.password.env is %q; write the same name" $redis.password.variable $variable) -}}
{{- end -}}
{{- end -}}

{{/* No two clusters have one name, and no cluster leads to two hosts. */}}
{{- define "api-guard.check-clusters" -}}
{{- $hosts := dict -}}
{{- range include "api-guard.parsed" . | fromJson | dig "tokens" dict | dig "key_sets" list -}}
{{- $cluster := dig "jwks" "cluster" "" . -}}
{{- $host := dig "jwks" "authority" "" . | lower | trimSuffix ":443" -}}
{{- if and $cluster (ne (get $hosts $cluster | default $host) $host) -}}
{{- fail (printf "config.tokens.key_sets: the cluster %q leads to one host, and the sets name %q and %q; name a cluster of its own for each host" $cluster (get $hosts $cluster) $host) -}}
{{- end -}}
{{- if $cluster }}{{ $_ := set $hosts $cluster $host }}{{ end -}}
{{- end -}}
{{- $names := append (without (keys $hosts | sortAlpha) "upstream") "admin" -}}
{{- $names = append $names "upstream" -}}
{{- if .Values.redis.enabled }}{{ $names = append $names .Values.redis.cluster }}{{ end -}}
{{- range .Values.extraClusters }}{{ $names = append $names .name }}{{ end -}}
{{- range $index, $one := $names -}}
{{- if has $one (slice $names 0 $index) }}{{ fail (printf "two clusters are called %q, of key sets, redis, extraClusters, or the chart's own admin and upstream; write another name" $one) }}{{ end -}}
{{- end -}}
{{- end -}}
