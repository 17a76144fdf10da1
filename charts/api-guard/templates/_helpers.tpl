{{/* The name of the objects: the release's, or with the chart's behind it. */}}
{{- define "api-guard.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- default $name .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- define "api-guard.selector" -}}
app.kubernetes.io/name: api-guard
app.kubernetes.io/instance: {{ .Release.Name }}
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
{{- if kindIs "string" .Values.config -}}
{{- $parsed := fromYaml .Values.config -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "config: neither JSON nor YAML: %s; api-guard check tells where" $parsed.Error) -}}
{{- end -}}
{{- toJson $parsed -}}
{{- else -}}
{{- toJson .Values.config -}}
{{- end -}}
{{- end -}}

{{/* The configuration as the module gets it. */}}
{{- define "api-guard.config" -}}
{{- if and (kindIs "string" .Values.config) (hasPrefix "{" (trim .Values.config)) -}}
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

{{/* Whether a resource of the Prometheus operator is made. */}}
{{- define "api-guard.monitors" -}}
{{- $enabled := toString .enabled -}}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}yes{{ end -}}
{{- end -}}
