{{/* The name of the objects: the release's, or with the chart's behind it. */}}
{{- define "api-guard.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- default $name .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- define "api-guard.selector" -}}
app.kubernetes.io/name: api-guard
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "api-guard.labels" -}}
{{ include "api-guard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* The configuration as values; fails where there is none. */}}
{{- define "api-guard.parsed" -}}
{{- if not .Values.config -}}
{{- fail "config: missing; write --set-file config=api-guard.json, or the fields of the configuration as values" -}}
{{- end -}}
{{- if include "api-guard.is-json" .Values.config -}}
{{- .Values.config | fromJson | toJson -}}
{{- else if kindIs "string" .Values.config -}}
{{- $parsed := fromYaml .Values.config -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "config: neither JSON nor YAML: %s; api-guard check tells where" $parsed.Error) -}}
{{- end -}}
{{- toJson $parsed -}}
{{- else -}}
{{- toJson .Values.config -}}
{{- end -}}
{{- end -}}

{{/* Whether a value is the text of a JSON object: YAML may begin with a brace too, and the module reads JSON alone. */}}
{{- define "api-guard.is-json" -}}
{{- if kindIs "string" . -}}{{- if not (hasKey (fromJson .) "Error") }}yes{{ end -}}{{- end -}}
{{- end -}}

{{/* The configuration as the module gets it. */}}
{{- define "api-guard.config" -}}
{{- if include "api-guard.is-json" .Values.config -}}
{{- trim .Values.config -}}
{{- else -}}
{{- include "api-guard.parsed" . | fromJson | toPrettyJson -}}
{{- end -}}
{{- end -}}

{{/* The variables that hold secrets and public keys, with commas. */}}
{{- define "api-guard.variables" -}}
{{- $names := list -}}
{{- $config := include "api-guard.parsed" . | fromJson -}}
{{- range dig "tokens" "keys" list $config -}}
{{- $name := dig "env" "" (default dict (get . "secret")) | default (dig "env" "" (default dict (get . "public_key"))) -}}
{{- if $name }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- $fleet := default dict (get $config "fleet") -}}
{{- range list "secret" "password" -}}
{{- $name := dig "env" "" (default dict (get $fleet .)) -}}
{{- if $name }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- $names | uniq | join ", " -}}
{{- end -}}

{{/* What `kubectl create secret generic` is told of the variables, but for a password that has a Secret of its own. */}}
{{- define "api-guard.secret-arguments" -}}
{{- $config := include "api-guard.parsed" . | fromJson -}}
{{- $fleet := default dict (get $config "fleet") -}}
{{- $secrets := list (dig "env" "" (default dict (get $fleet "secret"))) -}}
{{- range dig "tokens" "keys" list $config -}}
{{- $secrets = append $secrets (dig "env" "" (default dict (get . "secret"))) -}}
{{- end -}}
{{- $password := dig "env" "" (default dict (get $fleet "password")) -}}
{{- $arguments := list -}}
{{- range splitList ", " (include "api-guard.variables" .) -}}
{{- if and . (has . $secrets) -}}
{{- $arguments = append $arguments (printf "--from-literal=%s=\"$(api-guard keygen)\"" .) -}}
{{- else if and . (ne . $password) -}}
{{- $arguments = append $arguments (printf "--from-file=%s=PUBLIC_KEY_FILE" .) -}}
{{- else if and . (not $.Values.redis.password.secret) -}}
{{- $arguments = append $arguments (printf "--from-literal=%s=\"$%s\"" . .) -}}
{{- end -}}
{{- end -}}
{{- join " " $arguments -}}
{{- end -}}

{{/* A text as a scalar of YAML, quoted where YAML would read something else, as emit does. */}}
{{- define "api-guard.quoted" -}}
{{- $is_plain := and (regexMatch "^[A-Za-z0-9/][A-Za-z0-9/._:@-]*$" .) (not (contains "::" .)) (not (hasSuffix ":" .)) -}}
{{- $is_word := regexMatch "(?i)^(null|true|false|yes|no|on|off|y|n)$" . -}}
{{- $is_number := and (regexMatch "^[0-9]" .) (not (regexMatch "^[0-9]+([.][0-9]+){3}$" .)) -}}
{{- if or (not $is_plain) $is_word $is_number }}{{ toJson . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* Whether a host is an address. */}}
{{- define "api-guard.is-address" -}}
{{- if or (regexMatch "^[0-9]+([.][0-9]+){3}$" .) (contains ":" .) }}yes{{ end -}}
{{- end -}}

{{/* Whether a resource of the Prometheus operator is made. */}}
{{- define "api-guard.monitors" -}}
{{- $enabled := toString .enabled -}}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}yes{{ end -}}
{{- end -}}
