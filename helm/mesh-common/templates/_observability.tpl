{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What the Prometheus operator is told, where its kinds are known. */}}

{{- define "mesh.monitored" -}}
{{- if and .values.monitoring.enabled (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") -}}true{{- end -}}
{{- end -}}

{{/* By the Services with one address: each pod stands behind two, and would be counted twice. */}}
{{- define "mesh.servicemonitor" -}}
{{- if include "mesh.monitored" . -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
{{ include "mesh.metadata" (list . "services" "monitor" (include "mesh.fullname" (list . "services"))) }}
spec:
  selector:
    matchLabels:
      {{- include "mesh.selector.services" . | nindent 6 }}
  endpoints:
    - port: http-metrics
      path: /metrics
      interval: {{ .values.monitoring.interval | quote }}
{{- end -}}
{{- end -}}

{{- define "mesh.alerts" -}}
{{- if and (include "mesh.monitored" .) .values.monitoring.alerts -}}
{{- range $path, $text := .common.Files.Glob "files/alerts/*.rules.yaml" }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
{{ include "mesh.metadata" (list $ "alerts" "monitor" (printf "%s-%s" $.release (base $path | trimSuffix ".rules.yaml"))) }}
spec:
  {{- toString $text | fromYaml | toYaml | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
