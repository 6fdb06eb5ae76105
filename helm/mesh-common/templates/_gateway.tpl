{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The way in for clients outside of the cluster, through Gateways that are there already. */}}

{{/* The names of the services that it leads to, in the order of the alphabet. */}}
{{- define "mesh.gateway.exposed" -}}
{{- $names := list -}}
{{- range $name, $service := .services -}}
{{- if $service.exposed -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- join ", " $names -}}
{{- end -}}

{{- define "mesh.gateway.check" -}}
{{- $gateway := .values.gateway -}}
{{- $exposed := include "mesh.gateway.exposed" . -}}
{{- range $name, $service := .services -}}
{{- if and $service.exposed (not $service.grpcServices) -}}
{{- fail (printf "services.%s.exposed is true, but it offers no gRPC service, expected one in services.%s.grpcServices." $name $name) -}}
{{- end -}}
{{- end -}}
{{- if and $exposed (not $gateway.parents) -}}
{{- fail (printf "gateway.parents is empty, expected the Gateway that leads to what is exposed: %s." $exposed) -}}
{{- end -}}
{{- if and (not $exposed) (or $gateway.parents $gateway.hostnames) -}}
{{- fail "gateway is set, but leads to no service, expected services.NAME.exposed of those that clients outside of the cluster may call." -}}
{{- end -}}
{{- if and $exposed (not (.root.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1")) -}}
{{- fail (printf "services are exposed (%s), but the cluster does not know gateway.networking.k8s.io/v1, expected Gateway API 1.1 or later to be installed (for helm template: --api-versions gateway.networking.k8s.io/v1)." $exposed) -}}
{{- end -}}
{{- range $name, $parent := $gateway.parents -}}
{{- if and $.values.networkPolicy.enabled (not $parent.peer) -}}
{{- fail (printf "gateway.parents.%s.peer is missing, expected a NetworkPolicyPeer that finds its pods: with networkPolicy.enabled nobody comes in who is not named." $name) -}}
{{- end -}}
{{- if and (eq $.mode "istio") (not $parent.principal) -}}
{{- fail (printf "gateway.parents.%s.principal is missing, expected its identity, such as %s/ns/NAMESPACE/sa/NAME: in mode istio nobody comes in who is not named." $name $.values.istio.trustDomain) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Its gRPC services and nothing else: health and reflection are the same at every service. The kind knows neither timeouts nor retries. */}}
{{- define "mesh.gateway.route" -}}
{{- if .service.exposed -}}
{{- $gateway := .context.values.gateway -}}
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  parentRefs:
    {{- range $name, $parent := $gateway.parents }}
    - {{ pick $parent "namespace" "sectionName" "port" | merge (dict "name" $name) | toJson }}
    {{- end }}
  {{- with $gateway.hostnames }}
  hostnames: {{ values . | sortAlpha | uniq | toJson }}
  {{- end }}
  rules:
    - matches:
        {{- range $type := .service.grpcServices }}
        - method: {service: {{ $type | quote }}}
        {{- end }}
      backendRefs:
        - {name: {{ .fullname | quote }}, port: 9090}
{{- end -}}
{{- end -}}

{{- define "mesh.gateway.notes" -}}
{{- with include "mesh.gateway.exposed" . }}
* Clients outside of the cluster reach {{ . }}{{ with $.values.gateway.hostnames }} as {{ values . | sortAlpha | uniq | join ", " }}{{ end }} at the address of
  {{- range $name, $parent := $.values.gateway.parents }}
  kubectl get gateway -n {{ $parent.namespace | default $.namespace }} {{ $name }}
  {{- end }}
  Whether the Gateway takes the routes, and why not:
  kubectl describe grpcroute -n {{ $.namespace }} -l app.kubernetes.io/instance={{ $.release }}
  {{- if ne $.mode "library" }}
  The routes retry nothing. Istio's Gateways do by themselves, unless meshConfig.defaultHttpRetryPolicy has attempts: 0.
  {{- end }}
{{- end }}
{{- end -}}
