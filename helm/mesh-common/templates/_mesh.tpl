{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The policy once more in Istio's kinds, for the modes in which a sidecar or the gRPC core enforces its part of it. */}}

{{/* mesh.injection.labels CONTEXT */}}
{{- define "mesh.injection.labels" -}}
sidecar.istio.io/inject: {{ ternary "false" "true" (eq .mode "library") | quote }}
{{- end -}}

{{/*
The proxy is there before the service and until its last call has ended. Database and broker are none of its matters: a
migration runs before it, and they speak before their clients do.
*/}}
{{- define "mesh.injection.annotations" }}
{{- $end := .service.termination -}}
{{- $values := .context.values -}}
{{- $drain := printf "%ds" (add $end.preStopSeconds $end.lameDuckSeconds $end.drainSeconds) -}}
{{- if eq .context.mode "proxyless" }}
inject.istio.io/templates: grpc-agent
{{- else if eq .context.mode "istio" }}
traffic.sidecar.istio.io/excludeOutboundPorts: {{ printf "%v,%v" (include "mesh.postgres.port" $values) (include "mesh.nats.port" $values) | quote }}
{{- end }}
{{- if ne .context.mode "library" }}
proxy.istio.io/config: {{ dict "holdApplicationUntilProxyStarts" true "terminationDrainDuration" $drain | toJson | squote }}
{{- end }}
{{- end -}}

{{/* mesh.rule.retries POLICY: always there, as Istio would retry twice by itself. */}}
{{- define "mesh.rule.retries" -}}
{{- $attempts := int64 (index . "retries.attempts") -}}
{{- if eq $attempts 0 -}}
attempts: 0
{{- else -}}
attempts: {{ $attempts }}
retryOn: {{ index . "retries.retryOn" | join "," | quote }}
backoff: {{ include "mesh.duration" (index . "retries.backoff") | quote }}
{{- with int64 (index . "retries.perTryTimeout") }}
perTryTimeout: {{ include "mesh.duration" . | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* mesh.rule.fault POLICY: nothing, or what fails on purpose. */}}
{{- define "mesh.rule.fault" -}}
{{- $delay := int64 (index . "fault.delay.fixedDelay") -}}
{{- $status := index . "fault.abort.grpcStatus" -}}
{{- if $delay }}
delay:
  fixedDelay: {{ include "mesh.duration" $delay | quote }}
  percentage: {value: {{ index . "fault.delay.percentage.value" }}}
{{- end }}
{{- if $status }}
abort:
  grpcStatus: {{ $status | quote }}
  percentage: {value: {{ index . "fault.abort.percentage.value" }}}
{{- end }}
{{- end -}}

{{/*
mesh.rule {context, name, match, policy, host, fault}: one of `http`. Without `timeout` there is none, which is how Istio
says 0s; in mode proxyless the deadline is the runtime's alone, as the core would end calls too early.
*/}}
{{- define "mesh.rule" }}
- name: {{ .name | quote }}
  match:
    {{- .match | nindent 4 }}
  {{- with .fault }}
  fault:
    {{- trim . | nindent 4 }}
  {{- end }}
  {{- if and .policy.timeout (ne .context.mode "proxyless") }}
  timeout: {{ include "mesh.duration" .policy.timeout | quote }}
  {{- end }}
  retries:
    {{- include "mesh.rule.retries" .policy | nindent 4 }}
  route:
    - destination:
        host: {{ .host | quote }}
        port: {number: 9090}
{{- end -}}

{{/* The rules of one RPC: if its faults are for some calls only, those calls come first. */}}
{{- define "mesh.rules" -}}
{{- $policy := .rpc.policy -}}
{{- $uri := printf "uri: {exact: %q}" (printf "/%s" .path) -}}
{{- $fault := include "mesh.rule.fault" $policy | trim -}}
{{- $header := index $policy "fault.header.exact" -}}
{{- $name := printf "%s.%s" .rpc.route .rpc.method -}}
{{- if and $fault $header }}
{{- include "mesh.rule" (dict "context" .context "name" (printf "%s.fault" $name) "match" (printf "- %s\n  headers: {x-mesh-fault: {exact: %s}}" $uri (toJson $header)) "policy" $policy "host" .host "fault" $fault) }}
{{- $fault = "" -}}
{{- end }}
{{- include "mesh.rule" (dict "context" .context "name" $name "match" (printf "- %s" $uri) "policy" $policy "host" .host "fault" $fault) }}
{{- end -}}

{{/* Calls of which nothing is known, by service or at all: never repeated. */}}
{{- define "mesh.rule.rest" -}}
{{- $policy := deepCopy .context.base -}}
{{- with index .context.routes (default "" .route) -}}
{{- include "mesh.overlay" (list $policy .) -}}
{{- end -}}
{{- $_ := set $policy "retries.attempts" 0 -}}
{{- include "mesh.rule" (dict "context" .context "name" .name "match" (printf "- uri: {prefix: %q}" .prefix) "policy" $policy "host" .host "fault" "") }}
{{- end -}}

{{- define "mesh.traffic" -}}
{{- if ne .context.mode "library" -}}
{{- $context := .context -}}
{{- $host := include "mesh.host" .self -}}
{{- $policy := index $context.destinations .name -}}
apiVersion: networking.istio.io/v1
kind: VirtualService
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  hosts: [{{ $host | quote }}]
  http:
    {{- range $type := .service.grpcServices }}
    {{- range $method := keys (index $context.methods $type) | sortAlpha }}
    {{- $path := printf "%s/%s" $type $method }}
    {{- include "mesh.rules" (dict "context" $context "path" $path "rpc" (index $context.rpcs $path) "host" $host) | trim | nindent 4 }}
    {{- end }}
    {{- $whole := index $context.whole $type }}
    {{- include "mesh.rule.rest" (dict "context" $context "name" (printf "%s.others" (default "defaults" $whole)) "route" $whole "prefix" (printf "/%s/" $type) "host" $host) | trim | nindent 4 }}
    {{- end }}
    {{- /* Watches of the health, and reflection, which every service has: they last. */}}
    {{- range $prefix := list "/grpc.health.v1.Health/Watch" "/grpc.reflection." }}
    {{- include "mesh.rule" (dict "context" $context "name" "streams" "match" (printf "- uri: {prefix: %q}" $prefix) "policy" (dict "timeout" 0 "retries.attempts" 0) "host" $host "fault" "") | trim | nindent 4 }}
    {{- end }}
    {{- include "mesh.rule.rest" (dict "context" $context "name" "defaults" "prefix" "/" "host" $host) | trim | nindent 4 }}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  host: {{ $host | quote }}
  trafficPolicy:
    {{- include (printf "mesh.destination.%s" $context.mode) $policy | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "mesh.destination.istio" -}}
tls: {mode: ISTIO_MUTUAL}
loadBalancer: {simple: {{ .loadBalancer | quote }}}
connectionPool:
  http:
    http2MaxRequests: {{ int64 (index . "connectionPool.http.http2MaxRequests") }}
    http1MaxPendingRequests: {{ int64 (index . "connectionPool.http.http1MaxPendingRequests") }}
outlierDetection:
  consecutive5xxErrors: {{ int64 (index . "outlierDetection.consecutive5xxErrors") }}
  consecutiveGatewayErrors: {{ int64 (index . "outlierDetection.consecutiveGatewayErrors") }}
  interval: {{ include "mesh.duration" (index . "outlierDetection.interval") | quote }}
  baseEjectionTime: {{ include "mesh.duration" (index . "outlierDetection.baseEjectionTime") | quote }}
  maxEjectionPercent: {{ int64 (index . "outlierDetection.maxEjectionPercent") }}
  minHealthPercent: {{ int64 (index . "outlierDetection.minHealthPercent") }}
retryBudget:
  percent: {{ int64 (index . "retryBudget.percent") }}
  minRetryConcurrency: {{ int64 (index . "retryBudget.minRetryConcurrency") }}
{{- end -}}

{{/* What istiod tells the core; a service takes no certificates from it, so there is no TLS. */}}
{{- define "mesh.destination.proxyless" -}}
tls: {mode: DISABLE}
loadBalancer: {simple: ROUND_ROBIN}
connectionPool:
  http:
    http2MaxRequests: {{ int64 (index . "connectionPool.http.http2MaxRequests") }}
{{- end -}}

{{- define "mesh.peerauthentication" -}}
{{- if eq .mode "istio" -}}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
{{ include "mesh.metadata" (list . "services" "security" (include "mesh.fullname" (list . "services"))) }}
spec:
  selector:
    matchLabels:
      {{- include "mesh.selector.services" . | nindent 6 }}
  mtls: {mode: STRICT}
  portLevelMtls:
    {{- /* Prometheus may stand outside of the mesh. */}}
    9091: {mode: PERMISSIVE}
{{- end -}}
{{- end -}}

{{/* mesh.principal (list CONTEXT FULLNAME) */}}
{{- define "mesh.principal" -}}
{{- $context := index . 0 -}}
{{- printf "%s/ns/%s/sa/%s" $context.values.istio.trustDomain $context.namespace (index . 1) -}}
{{- end -}}

{{- define "mesh.authorization" -}}
{{- $context := .context -}}
{{- if eq $context.mode "istio" -}}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  selector:
    matchLabels:
      {{- include "mesh.selector" .self | nindent 6 }}
  action: ALLOW
  rules:
    - from:
        - source:
            principals:
              {{- range $caller := index $context.callers .name }}
              - {{ include "mesh.principal" (list $context (include "mesh.fullname" (list $context $caller))) | quote }}
              {{- end }}
              - {{ include "mesh.principal" (list $context (include "mesh.fullname" (list $context "client"))) | quote }}
              {{- range $principal := $context.values.istio.principals }}
              - {{ $principal | quote }}
              {{- end }}
              {{- range ternary $context.values.gateway.parents dict .service.exposed }}
              - {{ .principal | quote }}
              {{- end }}
      to:
        - operation: {ports: ["9090"]}
    - to:
        - operation: {ports: ["9091"], methods: [GET]}
{{- end -}}
{{- end -}}

{{/* A proxy hears of its peers alone. */}}
{{- define "mesh.sidecar" -}}
{{- $context := .context -}}
{{- if eq $context.mode "istio" -}}
apiVersion: networking.istio.io/v1
kind: Sidecar
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  workloadSelector:
    labels:
      {{- include "mesh.selector" .self | nindent 6 }}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress:
    - hosts:
        - {{ printf "%s/*" $context.values.istio.namespace | quote }}
        {{- range $peer := .service.calls }}
        - {{ printf "./%s" (include "mesh.host" (list $context $peer)) | quote }}
        {{- end }}
{{- end -}}
{{- end -}}

{{/* Each service logs its own calls; the proxy tells of those that never reached one. */}}
{{- define "mesh.telemetry" -}}
{{- if eq .mode "istio" -}}
apiVersion: telemetry.istio.io/v1
kind: Telemetry
{{ include "mesh.metadata" (list . "services" "monitor" (include "mesh.fullname" (list . "services"))) }}
spec:
  selector:
    matchLabels:
      {{- include "mesh.selector.services" . | nindent 6 }}
  accessLogging:
    - providers: [{name: envoy}]
      filter: {expression: "response.code >= 500 || response.flags != 0"}
  tracing:
    - randomSamplingPercentage: {{ .values.istio.tracingPercentage }}
{{- end -}}
{{- end -}}
