{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What a schema cannot say of the values: each failure is a sentence that tells the place, what is wrong and what is expected. */}}

{{- define "mesh.check" -}}
{{- if not .methods -}}
{{- fail "files/methods.json is missing in the chart, expected what protoc-gen-mesh has written." -}}
{{- end -}}
{{- include "mesh.check.mode" . -}}
{{- include "mesh.check.stores" . -}}
{{- include "mesh.check.secrets" . -}}
{{- include "mesh.check.offers" . -}}
{{- include "mesh.gateway.check" . -}}
{{- range $name, $service := .services -}}
{{- include "mesh.check.service" (dict "context" $ "name" $name "service" $service) -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.mode" -}}
{{- $has := .root.Capabilities.APIVersions -}}
{{- if and (ne .mode "library") (not ($has.Has "networking.istio.io/v1")) -}}
{{- fail (printf "mesh.mode is %s, but the cluster does not know networking.istio.io/v1, expected Istio 1.24 or later to be installed (for helm template: --api-versions networking.istio.io/v1)." .mode) -}}
{{- end -}}
{{- if and (eq .mode "istio") (not (and ($has.Has "security.istio.io/v1") ($has.Has "telemetry.istio.io/v1"))) -}}
{{- fail "mesh.mode is istio, but the cluster does not know security.istio.io/v1 and telemetry.istio.io/v1, expected Istio 1.24 or later to be installed." -}}
{{- end -}}
{{- if and (eq .values.postgres.mode "cnpg") (not ($has.Has "postgresql.cnpg.io/v1")) -}}
{{- fail "postgres.mode is cnpg, but the cluster does not know postgresql.cnpg.io/v1, expected CloudNativePG to be installed." -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.stores" -}}
{{- $postgres := .values.postgres -}}
{{- $nats := .values.nats -}}
{{- range $name, $service := .services -}}
{{- if and $service.database.enabled (eq $postgres.mode "external") (not (or $postgres.external.existingSecret $service.database.existingSecret)) -}}
{{- fail (printf "postgres.external.existingSecret is missing, expected the name of a Secret with a connection string for %s under the key %q; postgres.mode=embedded brings a Postgres along." $name ($service.database.key | default $name)) -}}
{{- end -}}
{{- if and $service.events (eq $nats.mode "external") (not (or $nats.external.existingSecret $nats.external.url)) -}}
{{- fail "nats.external has neither url nor existingSecret, expected one of them; nats.mode=embedded brings a NATS along." -}}
{{- end -}}
{{- end -}}
{{- if and (eq $nats.mode "external") $nats.external.existingSecret $nats.external.url -}}
{{- fail "nats.external has both url and existingSecret, expected one of them." -}}
{{- end -}}
{{- if and (eq $nats.mode "external") (contains "@" ($nats.external.url | default "")) -}}
{{- fail "nats.external.url has a user in it, expected it in a Secret: nats.external.existingSecret with the key url." -}}
{{- end -}}
{{- end -}}

{{/* mesh.check.secret (list CONTEXT PATH NAME KEY): it would only be seen in the events of pods. Without a cluster nothing is found, and nothing said. */}}
{{- define "mesh.check.secret" -}}
{{- $context := index . 0 -}}
{{- $path := index . 1 -}}
{{- $name := index . 2 -}}
{{- $key := index . 3 -}}
{{- if lookup "v1" "ServiceAccount" $context.namespace "default" -}}
{{- $secret := lookup "v1" "Secret" $context.namespace $name -}}
{{- if not $secret -}}
{{- fail (printf "%s: there is no Secret %q in the namespace %s, expected one with the key %q." $path $name $context.namespace $key) -}}
{{- end -}}
{{- if not (hasKey ($secret.data | default dict) $key) -}}
{{- fail (printf "%s: the Secret %q in the namespace %s has no key %q." $path $name $context.namespace $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.secrets" -}}
{{- $nats := .values.nats.external -}}
{{- range $name, $service := .services -}}
{{- $one := dict "context" $ "name" $name "service" $service -}}
{{- $own := $service.database -}}
{{- if and $own.enabled (eq $.values.postgres.mode "external") -}}
{{- $path := empty $own.existingSecret | ternary "postgres.external.existingSecret" (printf "services.%s.database.existingSecret" $name) -}}
{{- range $key := compact (list (include "mesh.external.key" $one) $own.sessionKey) -}}
{{- include "mesh.check.secret" (list $ $path (include "mesh.external.secret" $one) $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .values.nats.mode "external") $nats.existingSecret -}}
{{- include "mesh.check.secret" (list . "nats.external.existingSecret" $nats.existingSecret "url") -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.offers" -}}
{{- $offered := dict -}}
{{- range $name, $service := .services -}}
{{- range $type := $service.grpcServices -}}
{{- if not (hasKey $.methods $type) -}}
{{- fail (printf "services.%s.grpcServices: %q is not in files/methods.json, expected one of %s." $name $type (keys $.methods | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if hasKey $offered $type -}}
{{- fail (printf "services.%s.grpcServices: %s is offered by %s already, expected one service that offers it." $name $type (index $offered $type)) -}}
{{- end -}}
{{- $_ := set $offered $type $name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.volumes.alone SERVICE: "true" if one of its volumes is for one node at a time. */}}
{{- define "mesh.volumes.alone" -}}
{{- range .volumes -}}
{{- if ne (.accessMode | default "ReadWriteOnce") "ReadWriteMany" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.service" -}}
{{- $name := .name -}}
{{- $end := .service.termination -}}
{{- if has $name (list "policy" "postgres" "nats" "client" "services") -}}
{{- fail (printf "services.%s: the chart itself has a %s, expected another name." $name $name) -}}
{{- end -}}
{{- $longest := printf "%s-endpoints" (include "mesh.fullname" (list .context $name)) -}}
{{- if gt (len $longest) 63 -}}
{{- fail (printf "the Service %s would have a name of %d characters, expected a release with a shorter name: 63 are the most." $longest (len $longest)) -}}
{{- end -}}
{{- if has $name .service.calls -}}
{{- fail (printf "services.%s.calls has the service itself, expected others." $name) -}}
{{- end -}}
{{- range $setting := keys .service.settings | sortAlpha -}}
{{- if regexMatch "^(MESH_PEER_.*|(MESH_(POLICY_FILE|LAME_DUCK_MS|GRACE_MS|LOG_LEVEL|GRPC_LISTEN|HTTP_LISTEN)|DATABASE_URL|DATABASE_SESSION_URL|NATS_URL|NATS_CA|GRPC_XDS_BOOTSTRAP)(_FILE)?)$" $setting -}}
{{- fail (printf "services.%s.settings.%s is what the chart sets itself, expected it left out: other values say it." $name $setting) -}}
{{- end -}}
{{- end -}}
{{- $needed := add $end.preStopSeconds $end.lameDuckSeconds $end.drainSeconds -}}
{{- if ge (int64 $needed) (int64 $end.gracePeriodSeconds) -}}
{{- fail (printf "services.%s.termination.gracePeriodSeconds is %d, expected more than preStopSeconds + lameDuckSeconds + drainSeconds, which are %d: the pod would be killed with calls under way." $name (int64 $end.gracePeriodSeconds) (int64 $needed)) -}}
{{- end -}}
{{- $scaling := .service.autoscaling -}}
{{- if gt (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas) -}}
{{- fail (printf "services.%s.autoscaling.minReplicas is %d, expected at most maxReplicas, which is %d." $name (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas)) -}}
{{- end -}}
{{- if and $scaling.enabled (not .service.resources.requests.cpu) -}}
{{- fail (printf "services.%s.resources.requests.cpu is missing, expected one: autoscaling takes its percentage of it." $name) -}}
{{- end -}}
{{- $most := ternary $scaling.maxReplicas .service.replicas $scaling.enabled -}}
{{- if and (include "mesh.volumes.alone" .service) (gt (int64 $most) 1) -}}
{{- fail (printf "services.%s.volumes are ReadWriteOnce, expected accessMode ReadWriteMany or one replica: its pods may be on different nodes." $name) -}}
{{- end -}}
{{- end -}}
