{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Who may talk to whom, and where secrets are. */}}

{{- define "mesh.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
automountServiceAccountToken: false
{{- end -}}

{{/* That of `helm test` and of whoever tries a call by hand: with Istio it is who may. */}}
{{- define "mesh.client.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
{{ include "mesh.metadata" (list . "client" "test" (include "mesh.fullname" (list . "client"))) }}
automountServiceAccountToken: false
{{- end -}}

{{/* With postgres.mode=external, of {context, name, service}: whose Secret it is, and the key of the connection string. */}}
{{- define "mesh.external.secret" -}}
{{ .service.database.existingSecret | default .context.values.postgres.external.existingSecret }}
{{- end -}}

{{- define "mesh.external.key" -}}
{{ .service.database.key | default .name }}
{{- end -}}

{{/* The Secret with the service's connection string: mesh.database.reference {context, name, service} */}}
{{- define "mesh.database.reference" -}}
{{- $mode := .context.values.postgres.mode -}}
{{- if eq $mode "cnpg" -}}
{name: {{ printf "%s-db-app" .fullname | quote }}, key: uri}
{{- else if eq $mode "embedded" -}}
{name: {{ printf "%s-database" .fullname | quote }}, key: url}
{{- else -}}
{name: {{ include "mesh.external.secret" . | quote }}, key: {{ include "mesh.external.key" . | quote }}}
{{- end -}}
{{- end -}}

{{- define "mesh.env.database" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {{ include "mesh.database.reference" . }}
{{- if and (eq .context.values.postgres.mode "external") .service.database.sessionKey }}
- name: DATABASE_SESSION_URL
  valueFrom:
    secretKeyRef: {name: {{ include "mesh.external.secret" . | quote }}, key: {{ .service.database.sessionKey | quote }}}
{{- end }}
{{- end -}}

{{- define "mesh.env.broker" -}}
{{- $nats := .context.values.nats -}}
{{- $secret := $nats.external.existingSecret -}}
- name: NATS_URL
{{- if eq $nats.mode "embedded" }}
  valueFrom:
    secretKeyRef: {name: {{ include "mesh.fullname" (list .context "nats") | quote }}, key: url}
{{- else if $secret }}
  valueFrom:
    secretKeyRef: {name: {{ $secret | quote }}, key: url}
{{- else }}
  value: {{ $nats.external.url | quote }}
{{- end }}
{{- if and (eq $nats.mode "external") $secret $nats.external.caKey }}
- name: NATS_CA
  valueFrom:
    secretKeyRef: {name: {{ $secret | quote }}, key: {{ $nats.external.caKey | quote }}}
{{- end }}
{{- end -}}

{{/* mesh.kept (list CONTEXT SECRET KEY): what the key holds since the first install, or something new, in base64. */}}
{{- define "mesh.kept" -}}
{{- $secret := lookup "v1" "Secret" (index . 0).namespace (index . 1) | default dict -}}
{{- $data := $secret.data | default dict -}}
{{- index $data (index . 2) | default (printf "s%s" (randAlphaNum 31) | b64enc) -}}
{{- end -}}

{{/* Only callers, tests and the monitoring come in; only peers, database, broker and the name service are reached. */}}
{{- define "mesh.networkpolicy" -}}
{{- $context := .context -}}
{{- if $context.values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  podSelector:
    matchLabels:
      {{- include "mesh.selector" .self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: 9090, protocol: TCP}]
      from:
        {{- range $caller := index $context.callers .name }}
        - podSelector:
            matchLabels:
              {{- include "mesh.selector" (list $context $caller) | nindent 14 }}
        {{- end }}
        - podSelector:
            matchLabels:
              {{- include "mesh.selector" (list $context "client") | nindent 14 }}
        {{- range $context.values.networkPolicy.clients }}
        - {{ toYaml . | nindent 10 | trim }}
        {{- end }}
        {{- range ternary $context.values.gateway.parents dict .service.exposed }}
        - {{ toYaml .peer | nindent 10 | trim }}
        {{- end }}
    - ports: [{port: 9091, protocol: TCP}]
      {{- with $context.values.networkPolicy.monitoring }}
      from:
        {{- range . }}
        - {{ toYaml . | nindent 10 | trim }}
        {{- end }}
      {{- end }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- range $peer := .service.calls }}
    - ports: [{port: 9090, protocol: TCP}]
      to:
        - podSelector:
            matchLabels:
              {{- include "mesh.selector" (list $context $peer) | nindent 14 }}
    {{- end }}
    {{- include "mesh.networkpolicy.stores" . | nindent 4 }}
    {{- include "mesh.networkpolicy.istiod" $context | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "mesh.postgres.port" -}}
{{- ternary .postgres.external.port 5432 (eq .postgres.mode "external") -}}
{{- end -}}
{{- define "mesh.nats.port" -}}
{{- ternary .nats.external.port 4222 (eq .nats.mode "external") -}}
{{- end -}}

{{- define "mesh.networkpolicy.stores" -}}
{{- $values := .context.values }}
{{- if .service.database.enabled }}
- ports: [{port: {{ include "mesh.postgres.port" $values }}, protocol: TCP}]
  {{- if eq $values.postgres.mode "embedded" }}
  to:
    - podSelector:
        matchLabels:
          {{- include "mesh.selector" (list .context "postgres") | nindent 10 }}
  {{- else if eq $values.postgres.mode "cnpg" }}
  to:
    - podSelector:
        matchLabels:
          cnpg.io/cluster: {{ printf "%s-db" .fullname | quote }}
  {{- end }}
{{- end }}
{{- if .service.events }}
- ports: [{port: {{ include "mesh.nats.port" $values }}, protocol: TCP}]
  {{- if eq $values.nats.mode "embedded" }}
  to:
    - podSelector:
        matchLabels:
          {{- include "mesh.selector" (list .context "nats") | nindent 10 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Tests call every service and nobody calls them. */}}
{{- define "mesh.client.networkpolicy" -}}
{{- if .values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{{ include "mesh.metadata" (list . "client" "test" (include "mesh.fullname" (list . "client"))) }}
spec:
  podSelector:
    matchLabels:
      {{- include "mesh.selector" (list . "client") | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    - ports: [{port: 9090, protocol: TCP}]
      to:
        - podSelector:
            matchLabels:
              {{- include "mesh.selector.services" . | nindent 14 }}
    {{- include "mesh.networkpolicy.istiod" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Where certificates and configuration come from. */}}
{{- define "mesh.networkpolicy.istiod" -}}
{{- if ne .mode "library" }}
- ports: [{port: 15010, protocol: TCP}, {port: 15012, protocol: TCP}]
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .values.istio.namespace | quote }}
{{- end }}
{{- end -}}
