{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/*
The one block `mesh`: what is wrong with it, and what it comes to for each method and destination. The rules are those
of the services' own parser (mesh/src/policy), so that what is rendered is accepted by every service.
*/}}

{{/* mesh.ms TEXT: a duration of the schema's shape, in milliseconds. */}}
{{- define "mesh.ms" -}}
{{- if hasSuffix "ms" . -}}
{{- trimSuffix "ms" . | int64 -}}
{{- else if hasSuffix "s" . -}}
{{- round (mulf (trimSuffix "s" . | float64) 1000) 0 | int64 -}}
{{- else if hasSuffix "m" . -}}
{{- mul (trimSuffix "m" . | int64) 60000 -}}
{{- else -}}
{{- mul (trimSuffix "h" . | int64) 3600000 -}}
{{- end -}}
{{- end -}}

{{/* mesh.duration MS: the other way round. */}}
{{- define "mesh.duration" -}}
{{- $ms := int64 . -}}
{{- if eq (mod $ms 1000) 0 -}}
{{- printf "%ds" (div $ms 1000) -}}
{{- else -}}
{{- printf "%dms" $ms -}}
{{- end -}}
{{- end -}}

{{/* mesh.flatten {mode, place, table, in, into}: the values that are set, by path, durations in milliseconds. */}}
{{- define "mesh.flatten" -}}
{{- range $path, $field := .table -}}
{{- $at := $.in -}}
{{- range $key := splitList "." $path -}}
{{- $at = ternary (dict) $at (not (kindIs "map" $at)) -}}
{{- $at = index $at $key -}}
{{- end -}}
{{- if not (kindIs "invalid" $at) -}}
{{- $place := printf "%s.%s" $.place $path -}}
{{- if eq $field.kind "duration" -}}
{{- $ms := include "mesh.ms" $at | int64 -}}
{{- if not (or (and $field.zero (eq $ms 0)) (and (ge $ms (int64 $field.min)) (le $ms (int64 $field.max)))) -}}
{{- fail (printf "%s is %s, expected %s%s to %s." $place $at (ternary "0s or " "" $field.zero) (include "mesh.duration" $field.min) (include "mesh.duration" $field.max)) -}}
{{- end -}}
{{- $at = $ms -}}
{{- end -}}
{{- if eq $.mode "proxyless" -}}
{{- if $field.notProxyless -}}
{{- fail (printf "%s is set, expected it left out: nobody enforces it in mode proxyless." $place) -}}
{{- end -}}
{{- if and (hasKey $field "proxylessMax") (gt (int64 $at) (int64 $field.proxylessMax)) -}}
{{- fail (printf "%s is %d, expected at most %d in mode proxyless." $place (int64 $at) (int64 $field.proxylessMax)) -}}
{{- end -}}
{{- if and (hasKey $field "proxylessOnly") (ne $at $field.proxylessOnly) -}}
{{- fail (printf "%s is %s, expected %s or none in mode proxyless: the gRPC core knows no other." $place $at $field.proxylessOnly) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $.into $path $at -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.standard {table, into}: what holds if nobody says anything. */}}
{{- define "mesh.standard" -}}
{{- range $path, $field := .table -}}
{{- if eq $field.kind "duration" -}}
{{- $_ := set $.into $path (include "mesh.ms" $field.standard | int64) -}}
{{- else if eq $field.kind "set" -}}
{{- $_ := set $.into $path (splitList ", " $field.standard) -}}
{{- else if hasKey $field "standard" -}}
{{- $_ := set $.into $path $field.standard -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.policy CONTEXT: adds destinations (name -> flat values), routes, and rpcs ("Service/Method" -> what it gets). */}}
{{- define "mesh.policy" -}}
{{- $context := . -}}
{{- $mesh := .values.mesh -}}
{{- $defaults := dict -}}
{{- include "mesh.flatten" (dict "mode" .mode "place" "mesh.defaults.route" "table" .fields.route "in" $mesh.defaults.route "into" $defaults) -}}
{{- if not (hasKey $defaults "timeout") -}}
{{- fail "mesh.defaults.route.timeout is missing, expected the longest time of a call whose route sets none." -}}
{{- end -}}
{{- $base := dict -}}
{{- include "mesh.standard" (dict "table" .fields.route "into" $base) -}}
{{- include "mesh.overlay" (list $base $defaults) -}}
{{- include "mesh.times" (dict "policy" $base "place" "mesh.defaults.route" "for" "mesh.defaults.route") -}}
{{- include "mesh.retry.none" (dict "retries" $mesh.defaults.route.retries "place" "mesh.defaults.route") -}}
{{- include "mesh.retry.words" (dict "context" . "flat" $defaults "place" "mesh.defaults.route") -}}
{{- $_ := set . "base" $base -}}
{{- include "mesh.policy.destinations" . -}}
{{- include "mesh.policy.routes" . -}}
{{- include "mesh.policy.rpcs" . -}}
{{- include "mesh.policy.calls" . -}}
{{- end -}}

{{- define "mesh.policy.destinations" -}}
{{- $context := . -}}
{{- $mesh := .values.mesh -}}
{{- $defaults := dict -}}
{{- include "mesh.flatten" (dict "mode" .mode "place" "mesh.defaults.destination" "table" .fields.destination "in" $mesh.defaults.destination "into" $defaults) -}}
{{- $own := dict -}}
{{- range $name, $destination := $mesh.destinations -}}
{{- if not (hasKey $context.services $name) -}}
{{- fail (printf "mesh.destinations.%s is no service of this chart, expected one of %s." $name (keys $context.services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $flat := dict -}}
{{- include "mesh.flatten" (dict "mode" $context.mode "place" (printf "mesh.destinations.%s" $name) "table" $context.fields.destination "in" $destination "into" $flat) -}}
{{- $_ := set $own $name $flat -}}
{{- end -}}
{{- $destinations := dict -}}
{{- range $name := keys .services -}}
{{- $policy := dict -}}
{{- include "mesh.standard" (dict "table" $context.fields.destination "into" $policy) -}}
{{- include "mesh.overlay" (list $policy $defaults) -}}
{{- include "mesh.overlay" (list $policy (default (dict) (index $own $name))) -}}
{{- $_ := set $destinations $name $policy -}}
{{- end -}}
{{- $_ := set . "destinations" $destinations -}}
{{- end -}}

{{/* mesh.policy.routes CONTEXT: adds routes (name -> flat), named ("Service/Method" -> route) and whole (Service -> route). */}}
{{- define "mesh.policy.routes" -}}
{{- $context := . -}}
{{- $_ := set . "routes" dict -}}
{{- $_ := set . "named" dict -}}
{{- $_ := set . "whole" dict -}}
{{- range $name, $route := .values.mesh.routes -}}
{{- $place := printf "mesh.routes.%s" $name -}}
{{- $flat := dict -}}
{{- include "mesh.flatten" (dict "mode" $context.mode "place" $place "table" $context.fields.route "in" $route "into" $flat) -}}
{{- $_ := set $context.routes $name $flat -}}
{{- include "mesh.route.names" (dict "context" $context "name" $name "route" $route "place" $place) -}}
{{- if and (ne $context.mode "library") (hasKey $flat "hedging.delay") -}}
{{- fail (printf "%s.hedging is set, expected it left out: nobody hedges in mode %s." $place $context.mode) -}}
{{- end -}}
{{- include "mesh.retry.none" (dict "retries" $route.retries "place" $place) -}}
{{- include "mesh.retry.words" (dict "context" $context "flat" $flat "place" $place) -}}
{{- range $method := $route.methods -}}
{{- include "mesh.route.fits" (dict "flat" $flat "place" $place "method" $method "facts" (index $context.methods $route.grpcService $method)) -}}
{{- end -}}
{{- if hasKey $flat "retries.perTryTimeout" -}}
{{- $policy := deepCopy $context.base -}}
{{- include "mesh.overlay" (list $policy $flat) -}}
{{- include "mesh.times" (dict "policy" $policy "place" $place "for" $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who it is for: that service and method are there, and no other route is for the same. */}}
{{- define "mesh.route.names" -}}
{{- $context := .context -}}
{{- $route := .route -}}
{{- $place := .place -}}
{{- if not (hasKey $context.services $route.service) -}}
{{- fail (printf "%s.service: %q is no service of this chart, expected one of %s." $place $route.service (keys $context.services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $offered := (index $context.services $route.service).grpcServices -}}
{{- if not (has $route.grpcService $offered) -}}
{{- fail (printf "%s.grpcService: %s does not offer %q, expected one of its services.%s.grpcServices: %s." $place $route.service $route.grpcService $route.service (join ", " $offered)) -}}
{{- end -}}
{{- if $route.methods -}}
{{- range $method := $route.methods -}}
{{- $rpc := printf "%s/%s" $route.grpcService $method -}}
{{- if not (hasKey (index $context.methods $route.grpcService) $method) -}}
{{- fail (printf "%s.methods: %s has no method %q, expected one of %s." $place $route.grpcService $method (keys (index $context.methods $route.grpcService) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if hasKey $context.named $rpc -}}
{{- fail (printf "%s.methods: mesh.routes.%s is for %s already, expected one route for a method." $place (index $context.named $rpc) $rpc) -}}
{{- end -}}
{{- $_ := set $context.named $rpc $.name -}}
{{- end -}}
{{- else -}}
{{- if hasKey $context.whole $route.grpcService -}}
{{- fail (printf "%s.grpcService: mesh.routes.%s is for all methods of %s already, expected one route for them." $place (index $context.whole $route.grpcService) $route.grpcService) -}}
{{- end -}}
{{- $_ := set $context.whole $route.grpcService $.name -}}
{{- end -}}
{{- end -}}

{{/* mesh.repeatable FACTS: "true" if a call may be made again. */}}
{{- define "mesh.repeatable" -}}
{{- if and (has .idempotency (list "IDEMPOTENT" "NO_SIDE_EFFECTS")) (has .kind (list "UNARY" "SERVER_STREAMING")) -}}true{{- end -}}
{{- end -}}

{{/* A route that names a method means it: what the method cannot have is no oversight there. */}}
{{- define "mesh.route.fits" -}}
{{- $flat := .flat -}}
{{- $retries := or (gt (int64 (index $flat "retries.attempts")) 0) (hasKey $flat "retries.perTryTimeout") (hasKey $flat "retries.retryOn") (hasKey $flat "retries.backoff") -}}
{{- if and $retries (not (has .facts.idempotency (list "IDEMPOTENT" "NO_SIDE_EFFECTS"))) -}}
{{- fail (printf "%s.retries is set, expected none for %s: its .proto marks it neither IDEMPOTENT nor NO_SIDE_EFFECTS, and what it does would be done twice." .place .method) -}}
{{- end -}}
{{- if and $retries (not (include "mesh.repeatable" .facts)) -}}
{{- fail (printf "%s.retries is set, expected none for %s, whose caller streams." .place .method) -}}
{{- end -}}
{{- if and (gt (int64 (index $flat "hedging.delay")) 0) (or (ne .facts.idempotency "NO_SIDE_EFFECTS") (ne .facts.kind "UNARY")) -}}
{{- fail (printf "%s.hedging is set, expected none for %s, which is not a unary method with NO_SIDE_EFFECTS." .place .method) -}}
{{- end -}}
{{- end -}}

{{/* mesh.retry.none {retries, place}: Istio refuses what stands beside attempts 0, and who reads it would believe that it has an effect. */}}
{{- define "mesh.retry.none" -}}
{{- $retries := .retries | default dict -}}
{{- if and (hasKey $retries "attempts") (eq (int64 $retries.attempts) 0) (gt (len $retries) 1) -}}
{{- fail (printf "%s.retries.attempts is 0, expected %s to be left out beside it (null takes away what the chart's own values say)." .place (omit $retries "attempts" | keys | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}

{{/* mesh.retry.words: in proxyless the core retries codes alone. */}}
{{- define "mesh.retry.words" -}}
{{- $words := index .flat "retries.retryOn" -}}
{{- if and (eq .context.mode "proxyless") $words -}}
{{- $codes := list -}}
{{- range $words -}}
{{- if has . (list "cancelled" "deadline-exceeded" "internal" "resource-exhausted" "unavailable") -}}
{{- $codes = append $codes . -}}
{{- end -}}
{{- end -}}
{{- if not $codes -}}
{{- fail (printf "%s.retries.retryOn is %s, expected a code among them, such as unavailable: the gRPC core retries nothing else in mode proxyless." .place (join ", " $words)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* mesh.times {policy, place, for} */}}
{{- define "mesh.times" -}}
{{- $timeout := int64 .policy.timeout -}}
{{- $tries := add1 (int64 (index .policy "retries.attempts")) -}}
{{- $per_try := int64 (index .policy "retries.perTryTimeout") -}}
{{- if and (gt $timeout 0) (gt (mul $tries $per_try) $timeout) -}}
{{- fail (printf "%s.retries.perTryTimeout is %s, expected at most %s, so that all %d attempts of %s fit within the timeout of %s." .place (include "mesh.duration" $per_try) (include "mesh.duration" (div $timeout $tries)) $tries .for (include "mesh.duration" $timeout)) -}}
{{- end -}}
{{- $delay := int64 (index .policy "hedging.delay") -}}
{{- if and (gt $timeout 0) (ge $delay $timeout) -}}
{{- fail (printf "%s.hedging.delay is %s, expected less than the timeout of %s: the second attempt could never begin." .place (include "mesh.duration" $delay) (include "mesh.duration" $timeout)) -}}
{{- end -}}
{{- end -}}

{{/* mesh.policy.rpcs CONTEXT: adds rpcs, "Service/Method" -> {destination, policy, route}, for all that is offered. */}}
{{- define "mesh.policy.rpcs" -}}
{{- $context := . -}}
{{- $rpcs := dict -}}
{{- range $name, $service := .services -}}
{{- range $type := $service.grpcServices -}}
{{- range $method, $facts := index $context.methods $type -}}
{{- $rpc := printf "%s/%s" $type $method -}}
{{- $named := index $context.named $rpc -}}
{{- $route := default (index $context.whole $type) $named -}}
{{- $policy := deepCopy $context.base -}}
{{- $flat := dict -}}
{{- if $route -}}
{{- $flat = index $context.routes $route -}}
{{- end -}}
{{- include "mesh.overlay" (list $policy $flat) -}}
{{- include "mesh.fit" (dict "policy" $policy "facts" $facts "flat" $flat "named" $named) -}}
{{- include "mesh.times" (dict "policy" $policy "place" (ternary (printf "mesh.routes.%s" $route) "mesh.defaults.route" (not (not $route))) "for" $rpc) -}}
{{- $_ := set $rpcs $rpc (dict "destination" $name "policy" $policy "route" (default "defaults" $route) "method" $method) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set . "rpcs" $rpcs -}}
{{- end -}}

{{/* What the method cannot have, though a rule for many gives it. What the route that names it says of times is meant for streams, too. */}}
{{- define "mesh.fit" -}}
{{- $streams := ne .facts.kind "UNARY" -}}
{{- $repeatable := include "mesh.repeatable" .facts -}}
{{- if and $streams (not (and .named (hasKey .flat "timeout"))) -}}
{{- $_ := set .policy "timeout" 0 -}}
{{- end -}}
{{- if or (not $repeatable) (and $streams (not (and .named (hasKey .flat "retries.perTryTimeout")))) -}}
{{- $_ := set .policy "retries.perTryTimeout" 0 -}}
{{- end -}}
{{- if not $repeatable -}}
{{- $_ := set .policy "retries.attempts" 0 -}}
{{- end -}}
{{- if or $streams (ne .facts.idempotency "NO_SIDE_EFFECTS") -}}
{{- $_ := set .policy "hedging.delay" 0 -}}
{{- end -}}
{{- end -}}

{{/* A route's calls, one after the other, must fit into its own timeout. */}}
{{- define "mesh.policy.calls" -}}
{{- $context := . -}}
{{- range $name, $route := .values.mesh.routes -}}
{{- $policy := deepCopy $context.base -}}
{{- include "mesh.overlay" (list $policy (index $context.routes $name)) -}}
{{- $timeout := int64 $policy.timeout -}}
{{- $sum := 0 -}}
{{- range $call := $route.calls -}}
{{- if not (hasKey $context.rpcs $call) -}}
{{- fail (printf "mesh.routes.%s.calls: %q is no method of a service of this chart." $name $call) -}}
{{- end -}}
{{- $called := index $context.rpcs $call -}}
{{- if not (has $called.destination (index $context.services $route.service).calls) -}}
{{- fail (printf "mesh.routes.%s.calls: %s is offered by %s, which services.%s.calls does not have." $name $call $called.destination $route.service) -}}
{{- end -}}
{{- $longest := int64 $called.policy.timeout -}}
{{- if and (eq $longest 0) (gt $timeout 0) -}}
{{- fail (printf "mesh.routes.%s.calls: %s has no timeout, so it may take longer than %s, the timeout of mesh.routes.%s." $name $call (include "mesh.duration" $timeout) $name) -}}
{{- end -}}
{{- $sum = add $sum $longest -}}
{{- end -}}
{{- if and (gt $timeout 0) (gt $sum $timeout) -}}
{{- fail (printf "mesh.routes.%s.timeout is %s, expected at least %s: so long may %s take together." $name (include "mesh.duration" $timeout) (include "mesh.duration" $sum) (join ", " $route.calls)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* policy.json: no word of what null has taken away, as the parser takes no null. */}}
{{- define "mesh.policy.json" -}}
{{- merge (dict "schema" "mesh-policy/v1") .values.mesh | toPrettyJson -}}
{{- end -}}

{{/* Read by all services, and again whenever it changes: no checksum of it stands in a pod. */}}
{{- define "mesh.policy.configmap" -}}
apiVersion: v1
kind: ConfigMap
{{ include "mesh.metadata" (list . "policy" "policy" (include "mesh.fullname" (list . "policy"))) }}
data:
  policy.json: |
    {{- include "mesh.policy.json" . | nindent 4 }}
{{- end -}}
