{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What a mode does in another way than the values say, and what a demonstration does not have. */}}

{{- define "mesh.notes" -}}
{{- $context := dict "root" . -}}
{{- include "mesh.context" $context -}}
{{- $faults := list -}}
{{- range $name, $flat := $context.routes -}}
{{- if or (index $flat "fault.delay.fixedDelay") (index $flat "fault.abort.grpcStatus") -}}
{{- $faults = append $faults $name -}}
{{- end -}}
{{- end -}}
Policy: mode {{ $context.mode }}. {{ include "mesh.notes.mode" $context }}
{{- include "mesh.gateway.notes" $context }}
{{- with $faults }}
* FAULTS ON PURPOSE in the routes {{ sortAlpha . | join ", " }}.
{{- end }}
{{- if eq $context.values.postgres.mode "embedded" }}
* Postgres is one pod without a replica or a backup: to try things out. Its data outlives the release; to be rid of it:
  kubectl delete pvc -n {{ $context.namespace }} data-{{ include "mesh.fullname" (list $context "postgres") }}-0
{{- end }}
{{- if eq $context.values.nats.mode "embedded" }}
* NATS is one pod: to try things out. Its data outlives the release; to be rid of it:
  kubectl delete pvc -n {{ $context.namespace }} data-{{ include "mesh.fullname" (list $context "nats") }}-0
{{- end }}
{{- range $store := list "postgres" "nats" }}
{{- $claim := printf "data-%s-0" (include "mesh.fullname" (list $context $store)) }}
{{- if and (ne (index $context.values $store).mode "embedded") (lookup "v1" "PersistentVolumeClaim" $context.namespace $claim) }}
* The data of the embedded {{ $store }} is still there, and nothing has moved it to where {{ $store }}.mode={{ (index $context.values $store).mode }} leads. To be rid of it:
  kubectl delete pvc -n {{ $context.namespace }} {{ $claim }}
{{- end }}
{{- end }}
{{- range $name, $service := $context.services }}
{{- with $service.volumes }}
* The volumes of {{ $name }} outlive the release; to be rid of them:
  kubectl delete pvc -n {{ $context.namespace }}{{ range $volume := keys . | sortAlpha }} {{ include "mesh.fullname" (list $context $name) }}-{{ $volume }}{{ end }}
{{- end }}
{{- if not $service.probes.readiness.enabled }}
* WITHOUT READINESS: {{ $name }} gets calls before it can answer them.
{{- end }}
{{- end }}
{{- end -}}

{{- define "mesh.notes.mode" -}}
{{- if eq .mode "istio" -}}
Sidecars retry, balance, eject and make faults; the services keep deadlines, breakers and limits of workers.
* fault.delay comes once a call, not before each attempt; a limit of retries per second is not there.
* Methods that are not in files/methods.json are never retried, and neither are calls from outside of the mesh.
{{- else if eq .mode "proxyless" -}}
The gRPC core of each service retries, balances and makes faults as istiod tells it; the services keep deadlines, breakers and limits.
* It retries codes alone: of retryOn it does not know connect-failure, refused-stream and reset, which mostly come as unavailable.
* It ejects no endpoint, has no budget of retries and no TLS between services.
{{- else -}}
The services enforce all of it themselves; no sidecar is wanted.
{{- end -}}
{{- end -}}
