{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What a schema cannot say of the values: each failure is a sentence that tells the place, what is wrong and what is expected. */}}

{{- define "mesh.check" -}}
{{- if not .methods -}}
{{- fail "files/methods.json is missing in the chart, expected what protoc-gen-mesh has written." -}}
{{- end -}}
{{- include "mesh.check.names" . -}}
{{- include "mesh.check.mode" . -}}
{{- include "mesh.check.stores" . -}}
{{- include "mesh.check.broker" . -}}
{{- include "mesh.check.secrets" . -}}
{{- include "mesh.check.offers" . -}}
{{- include "mesh.gateway.check" . -}}
{{- range $name, $service := .services -}}
{{- include "mesh.check.service" (dict "context" $ "name" $name "service" $service) -}}
{{- end -}}
{{- end -}}

{{/* What names are made of: Services, labels, keys of a Secret, containers. */}}
{{- define "mesh.check.names" -}}
{{- if not (regexMatch "^[a-z][a-z0-9]*$" .system) -}}
{{- fail (printf "the chart is named %q, which is the system's name, expected small letters and digits, and a letter first: database, schemas and images are named after it." .system) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .release) -}}
{{- fail (printf "the release is named %q, expected small letters, digits and dashes, and a letter first: Services are named after it." .release) -}}
{{- end -}}
{{- range $name, $service := .services -}}
{{- if has $name (list "policy" "postgres" "nats" "client" "services" "superuser" "migrate") -}}
{{- fail (printf "services.%s: the chart itself has a %s, expected another name." $name $name) -}}
{{- end -}}
{{- $longest := printf "%s-endpoints" (include "mesh.fullname" (list $ $name)) -}}
{{- if gt (len $longest) 63 -}}
{{- fail (printf "the Service %s would have a name of %d characters, expected a release with a shorter name: 63 are the most." $longest (len $longest)) -}}
{{- end -}}
{{- $other := trimSuffix "-migrate" $name -}}
{{- if and (ne $other $name) (hasKey $.services $other) -}}
{{- fail (printf "services.%s: the pods of %s's migration have that name, expected another." $name $other) -}}
{{- end -}}
{{- if and $service.database.enabled (eq $.values.postgres.mode "cnpg") -}}
{{- include "mesh.check.cluster" (list $ $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.check.cluster (list CONTEXT NAME): CloudNativePG names what it makes after its cluster. */}}
{{- define "mesh.check.cluster" -}}
{{- $context := index . 0 -}}
{{- $cluster := printf "%s-db" (index . 1) -}}
{{- $fullname := include "mesh.fullname" (list $context $cluster) -}}
{{- if gt (len $fullname) 50 -}}
{{- fail (printf "the CloudNativePG cluster %s would have a name of %d characters, expected at most 50: a shorter name of the release or of the service." $fullname (len $fullname)) -}}
{{- end -}}
{{- range $name := keys $context.services | sortAlpha -}}
{{- if hasPrefix (printf "%s-" $cluster) (printf "%s-" $name) -}}
{{- fail (printf "services.%s: CloudNativePG makes objects with such a name for %s, expected another that does not begin with %s." $name (trimSuffix "-db" $cluster) $cluster) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.check.objects TEXT: the last of two would win, without a word. */}}
{{- define "mesh.check.objects" -}}
{{- $seen := dict -}}
{{- range $head := regexFindAll "(?m)^kind: .+\nmetadata:\n  name: .+$" . -1 -}}
{{- if hasKey $seen $head -}}
{{- fail (printf "two objects would be the %s, expected names of services and volumes that do not make the same." (regexReplaceAll "kind: (.+)\nmetadata:\n  name: \"?([^\"]+)\"?" $head "${1} ${2}")) -}}
{{- end -}}
{{- $_ := set $seen $head true -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.tests" -}}
{{- range $name, $call := .values.tests.calls -}}
{{- if not (hasKey $.services $call.service) -}}
{{- fail (printf "tests.calls.%s.service: %q is no service of this chart, expected one of %s." $name $call.service (keys $.services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $methods := list "grpc.health.v1.Health/Check" -}}
{{- range $path, $rpc := $.rpcs -}}
{{- if eq $rpc.destination $call.service -}}
{{- $methods = append $methods $path -}}
{{- end -}}
{{- end -}}
{{- if not (or (has $call.method $methods) (regexMatch "^grpc\\.(health|reflection)\\." $call.method)) -}}
{{- fail (printf "tests.calls.%s.method: %s has no %q, expected one of %s." $name $call.service $call.method (join ", " $methods)) -}}
{{- end -}}
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
{{- if and (eq $postgres.mode "embedded") (not (include "mesh.embedded.users" (list . "postgres"))) -}}
{{- fail "postgres.mode is embedded, but no service has a database, expected services.NAME.database.enabled of one, or another mode." -}}
{{- end -}}
{{- range $name, $service := .services -}}
{{- range $key := list "existingSecret" "key" "sessionKey" -}}
{{- if and (index $service.database $key) (ne $postgres.mode "external") -}}
{{- fail (printf "services.%s.database.%s is set, expected it left out: postgres.mode is %s, where the Secret is made." $name $key $postgres.mode) -}}
{{- end -}}
{{- end -}}
{{- if and $service.database.enabled (eq $postgres.mode "external") (not (or $postgres.external.existingSecret $service.database.existingSecret)) -}}
{{- fail (printf "postgres.external.existingSecret is missing, expected the name of a Secret with a connection string for %s under the key %q; postgres.mode=embedded brings a Postgres along." $name ($service.database.key | default $name)) -}}
{{- end -}}
{{- if and $service.events (eq $nats.mode "external") (not (or $nats.external.existingSecret $nats.external.url)) -}}
{{- fail "nats.external has neither url nor existingSecret, expected one of them; nats.mode=embedded brings a NATS along." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The addresses are those that the services' own configuration takes (mesh/src/app/values.c). */}}
{{- define "mesh.check.broker" -}}
{{- $broker := .values.nats.external -}}
{{- if eq .values.nats.mode "external" -}}
{{- if and $broker.existingSecret $broker.url -}}
{{- fail "nats.external has both url and existingSecret, expected one of them." -}}
{{- end -}}
{{- if and $broker.caKey (not $broker.existingSecret) -}}
{{- fail "nats.external.caKey is set without nats.external.existingSecret, expected the Secret that has certificates under that key, and the url beside them." -}}
{{- end -}}
{{- if contains "@" $broker.url -}}
{{- fail "nats.external.url has a user in it, expected it in a Secret: nats.external.existingSecret with the key url." -}}
{{- end -}}
{{- if and (contains "nats://" $broker.url) (contains "tls://" $broker.url) -}}
{{- fail "nats.external.url has both nats:// and tls://, expected one of them." -}}
{{- end -}}
{{- range $url := ternary (list) (splitList "," $broker.url) (empty $broker.url) -}}
{{- $address := "^(nats|tls)://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:([1-9][0-9]{0,4}))?/?$" -}}
{{- $port := regexReplaceAll $address $url "${4}" | default "4222" -}}
{{- if or (not (regexMatch $address $url)) (gt (int $port) 65535) -}}
{{- fail (printf "nats.external.url: %q is no address of a broker, expected nats://host:port, or several of them with commas between." $url) -}}
{{- end -}}
{{- if ne (int $port) (int $broker.port) -}}
{{- fail (printf "nats.external.url leads to the port %s, expected nats.external.port, which is %d: the NetworkPolicy lets out to no other." $port (int $broker.port)) -}}
{{- end -}}
{{- end -}}
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
{{- range $key := compact (list "url" $nats.caKey) -}}
{{- include "mesh.check.secret" (list $ "nats.external.existingSecret" $nats.existingSecret $key) -}}
{{- end -}}
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

{{- define "mesh.check.volumes" -}}
{{- $seen := dict -}}
{{- range $volume, $about := .service.volumes -}}
{{- $place := printf "services.%s.volumes.%s" $.name $volume -}}
{{- if has $volume (list "tmp" "policy") -}}
{{- fail (printf "%s: the chart itself has a volume %s, expected another name." $place $volume) -}}
{{- end -}}
{{- if regexMatch "^(/(bin|dev|etc|lib|lib64|proc|run|sbin|sys|tmp|usr)(/.*)?|/var(/lib)?|/var/(run|lib/dpkg|lib/istio)(/.*)?)$" $about.mountPath -}}
{{- fail (printf "%s.mountPath is %s, expected a folder of its own, such as /data: the image or the cluster has something there." $place $about.mountPath) -}}
{{- end -}}
{{- with index $seen $about.mountPath -}}
{{- fail (printf "%s.mountPath is %s, expected another: %s is there." $place $about.mountPath .) -}}
{{- end -}}
{{- $_ := set $seen $about.mountPath $place -}}
{{- end -}}
{{- end -}}

{{- define "mesh.check.service" -}}
{{- $name := .name -}}
{{- $end := .service.termination -}}
{{- if has $name .service.calls -}}
{{- fail (printf "services.%s.calls has the service itself, expected others." $name) -}}
{{- end -}}
{{- range $setting := keys .service.settings | sortAlpha -}}
{{- if regexMatch "^(MESH_PEER_.*|(MESH_(POLICY_FILE|LAME_DUCK_MS|GRACE_MS|LOG_LEVEL|GRPC_LISTEN|HTTP_LISTEN)|DATABASE_URL|DATABASE_SESSION_URL|NATS_URL|NATS_CA|GRPC_XDS_BOOTSTRAP)(_FILE)?)$" $setting -}}
{{- fail (printf "services.%s.settings.%s is what the chart sets itself, expected it left out: other values say it." $name $setting) -}}
{{- end -}}
{{- if or (regexMatch "(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(API|PRIVATE)_?KEY)$" $setting) (regexMatch "://[^/@ ]*:[^/@ ]+@" (index $.service.settings $setting)) -}}
{{- fail (printf "services.%s.settings.%s looks like a secret, expected it left out: settings are kept in a ConfigMap, connection strings in a Secret (existingSecret)." $name $setting) -}}
{{- end -}}
{{- end -}}
{{- $own := include "mesh.pod.annotations.own" . | fromYaml -}}
{{- range $annotation := keys .service.podAnnotations | sortAlpha -}}
{{- if hasKey $own $annotation -}}
{{- fail (printf "services.%s.podAnnotations: %s is set by the chart itself, expected it left out." $name $annotation) -}}
{{- end -}}
{{- end -}}
{{- include "mesh.check.volumes" . -}}
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
