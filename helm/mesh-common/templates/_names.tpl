{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Names, labels, addresses, and the dict that all templates share. */}}

{{/* mesh.overlay (list UNDER OVER): what OVER says wins, also where it says 0 or false. */}}
{{- define "mesh.overlay" -}}
{{- $under := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (index $under $key)) -}}
{{- include "mesh.overlay" (list (index $under $key) $value) -}}
{{- else -}}
{{- $_ := set $under $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
mesh.context: fills the dict {root} with what is looked at more than once. services: name -> its values above the
chart's `defaults`; fields: what the parser of policy.json knows; methods: what is known of each RPC; callers: name ->
who calls it. Then mesh.policy adds what the policy comes to, and everything is checked.
*/}}
{{- define "mesh.context" -}}
{{- $values := .root.Values -}}
{{- $common := index .root.Subcharts "mesh-common" -}}
{{- $_ := set . "system" .root.Chart.Name -}}
{{- $_ := set . "release" .root.Release.Name -}}
{{- $_ := set . "namespace" .root.Release.Namespace -}}
{{- $_ := set . "values" $values -}}
{{- $_ := set . "mode" $values.mesh.mode -}}
{{- $_ := set . "common" $common -}}
{{- $_ := set . "fields" ($common.Files.Get "files/fields.json" | fromJson) -}}
{{- $_ := set . "methods" (.root.Files.Get "files/methods.json" | fromJson) -}}
{{- $services := dict -}}
{{- $callers := dict -}}
{{- range $name, $own := $values.services -}}
{{- $service := deepCopy $values.defaults -}}
{{- include "mesh.overlay" (list $service $own) -}}
{{- $_ := set $services $name $service -}}
{{- $_ := set $callers $name list -}}
{{- end -}}
{{- range $name, $service := $services -}}
{{- range $peer := $service.calls -}}
{{- if not (hasKey $services $peer) -}}
{{- fail (printf "services.%s.calls: %q is no service of this chart, expected one of %s." $name $peer (keys $services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $_ := set $callers $peer (append (index $callers $peer) $name) -}}
{{- end -}}
{{- end -}}
{{- $_ := set . "services" $services -}}
{{- $_ := set . "callers" $callers -}}
{{- include "mesh.check" . -}}
{{- include "mesh.policy" . -}}
{{- include "mesh.check.tests" . -}}
{{- end -}}

{{/* mesh.fullname (list CONTEXT NAME) */}}
{{- define "mesh.fullname" -}}
{{- $context := index . 0 -}}
{{- printf "%s-%s" $context.release (index . 1) -}}
{{- end -}}

{{/* The name of a Service inside the cluster; a client adds the dot that ends it. */}}
{{- define "mesh.host" -}}
{{- $context := index . 0 -}}
{{- printf "%s.%s.svc.%s" (include "mesh.fullname" .) $context.namespace $context.values.clusterDomain -}}
{{- end -}}

{{/* mesh.label TEXT: a version may have a plus, a label may not. */}}
{{- define "mesh.label" -}}
{{- . | replace "+" "_" | trunc 63 | trimSuffix "-" | quote -}}
{{- end -}}

{{- define "mesh.selector" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: {{ printf "%s-%s" $context.system (index . 1) | quote }}
app.kubernetes.io/instance: {{ $context.release | quote }}
{{- end -}}

{{/* All services of the release, without database, broker and tests. */}}
{{- define "mesh.selector.services" -}}
app.kubernetes.io/part-of: {{ .system | quote }}
app.kubernetes.io/instance: {{ .release | quote }}
app.kubernetes.io/component: service
{{- end -}}

{{/* mesh.labels.pod (list CONTEXT NAME COMPONENT): without the chart's version, which must restart nothing. */}}
{{- define "mesh.labels.pod" -}}
{{- $context := index . 0 -}}
{{ include "mesh.selector" . }}
app.kubernetes.io/version: {{ include "mesh.label" $context.root.Chart.AppVersion }}
app.kubernetes.io/part-of: {{ $context.system | quote }}
app.kubernetes.io/component: {{ index . 2 | quote }}
{{- end -}}

{{- define "mesh.labels" -}}
{{- $context := index . 0 -}}
{{ include "mesh.labels.pod" . }}
app.kubernetes.io/managed-by: {{ $context.root.Release.Service | quote }}
helm.sh/chart: {{ include "mesh.label" (printf "%s-%s" $context.root.Chart.Name $context.root.Chart.Version) }}
{{- end -}}

{{/* mesh.metadata (list CONTEXT NAME COMPONENT FULLNAME) */}}
{{- define "mesh.metadata" -}}
{{- $context := index . 0 -}}
metadata:
  name: {{ index . 3 | quote }}
  namespace: {{ $context.namespace | quote }}
  labels:
    {{- include "mesh.labels" . | nindent 4 }}
{{- end -}}

{{/* mesh.image (list CONTEXT REPOSITORY IMAGE): a digest wins over a tag. */}}
{{- define "mesh.image" -}}
{{- $all := (index . 0).values.image -}}
{{- $own := index . 2 -}}
{{- $name := printf "%s/%s" $all.registry (index . 1) -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $name $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default $all.tag $own.tag) -}}
{{- end -}}
{{- end -}}

{{/* mesh.peer (list CONTEXT NAME): where a client finds it, by who balances. */}}
{{- define "mesh.peer" -}}
{{- $context := index . 0 -}}
{{- $host := include "mesh.host" . -}}
{{- if eq $context.mode "proxyless" -}}
{{- printf "xds:///%s:9090" $host -}}
{{- else if eq $context.mode "istio" -}}
{{- printf "%s.:9090" $host -}}
{{- else -}}
{{- printf "%s.:9090" (include "mesh.host" (list $context (printf "%s-endpoints" (index . 1)))) -}}
{{- end -}}
{{- end -}}
