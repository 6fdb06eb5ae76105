{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Postgres and NATS of the release's own: one pod each, for trying things out; and a CloudNativePG cluster per service. */}}

{{/* mesh.embedded.users (list CONTEXT NAME): the services that have a database, or events, in the order of the alphabet. */}}
{{- define "mesh.embedded.users" -}}
{{- $names := list -}}
{{- range $name, $service := (index . 0).services -}}
{{- if ternary $service.database.enabled $service.events (eq (index $ 1) "postgres") -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- join " " $names -}}
{{- end -}}

{{/* mesh.embedded.networkpolicy (list CONTEXT NAME PORT): only those who use it come in, and it reaches nobody. */}}
{{- define "mesh.embedded.networkpolicy" -}}
{{- $context := index . 0 -}}
{{- $name := index . 1 -}}
{{- if $context.values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{{ include "mesh.metadata" (list $context $name "store" (include "mesh.fullname" (list $context $name))) }}
spec:
  podSelector:
    matchLabels:
      {{- include "mesh.selector" (list $context $name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- $users := include "mesh.embedded.users" . }}
  {{- if $users }}
  ingress:
    - ports: [{port: {{ index . 2 }}, protocol: TCP}]
      from:
        {{- range $user := splitList " " $users }}
        - podSelector:
            matchLabels:
              {{- include "mesh.selector" (list $context $user) | nindent 14 }}
        {{- end }}
  {{- else }}
  ingress: [] # an empty from would let in everybody
  {{- end }}
{{- end }}
{{- end -}}

{{/* mesh.embedded.service (list CONTEXT NAME PORT): how it is found, and who it is. */}}
{{- define "mesh.embedded.service" -}}
{{- $context := index . 0 -}}
{{- $name := index . 1 -}}
apiVersion: v1
kind: Service
{{ include "mesh.metadata" (list $context $name "store" (include "mesh.fullname" (list $context $name))) }}
spec:
  clusterIP: None
  publishNotReadyAddresses: false
  selector:
    {{- include "mesh.selector" (list $context $name) | nindent 4 }}
  ports:
    - {name: {{ printf "tcp-%s" $name | quote }}, port: {{ index . 2 }}, targetPort: {{ index . 2 }}, appProtocol: tcp}
---
apiVersion: v1
kind: ServiceAccount
{{ include "mesh.metadata" (list $context $name "store" (include "mesh.fullname" (list $context $name))) }}
automountServiceAccountToken: false
{{- end -}}

{{/* mesh.embedded.claim STORE: the claim outlives the release, and so does the data. */}}
{{- define "mesh.embedded.claim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests: {storage: {{ include "mesh.quantity" .size | quote }}}
{{- end -}}

{{/* A role and a schema for each service; the image's start script makes them and sets what the Secret says. */}}
{{- define "mesh.postgres" -}}
{{- if eq .values.postgres.mode "embedded" -}}
{{- $embedded := .values.postgres.embedded -}}
{{- $fullname := include "mesh.fullname" (list . "postgres") -}}
{{- $names := include "mesh.embedded.users" (list . "postgres") -}}
{{ include "mesh.embedded.service" (list . "postgres" 5432) }}
---
apiVersion: v1
kind: Secret
{{ include "mesh.metadata" (list . "postgres" "store" $fullname) }}
type: Opaque
data:
  superuser: {{ include "mesh.kept" (list . $fullname "superuser") | quote }}
  {{- range $name := splitList " " $names }}
  {{ $name | quote }}: {{ include "mesh.postgres.secret" (list $ $name) | quote }}
  {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
{{ include "mesh.metadata" (list . "postgres" "store" $fullname) }}
spec:
  serviceName: {{ $fullname | quote }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "mesh.selector" (list . "postgres") | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "mesh.selector" (list . "postgres") | nindent 8 }}
        app.kubernetes.io/part-of: {{ .system | quote }}
        app.kubernetes.io/component: store
        sidecar.istio.io/inject: "false"
    spec:
      serviceAccountName: {{ $fullname | quote }}
      {{- include "mesh.pod.common" . | nindent 6 }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: postgres
          image: {{ include "mesh.image" (list . "cmesh-postgres" $embedded.image) | quote }}
          imagePullPolicy: {{ .values.image.pullPolicy | quote }}
          args: ["-c", {{ printf "max_connections=%d" (int64 $embedded.maxConnections) | quote }}]
          ports:
            - {name: tcp-postgres, containerPort: 5432}
          env:
            - {name: PGDATA, value: /var/lib/postgresql/data}
            - {name: CMESH_SYSTEM, value: {{ .system | quote }}}
            - {name: CMESH_SERVICES, value: {{ $names | quote }}}
            - {name: CMESH_SECRETS, value: /etc/cmesh/postgres}
          startupProbe:
            exec: {command: [pg_isready, -q, -h, 127.0.0.1]}
            periodSeconds: 1
            timeoutSeconds: 2
            failureThreshold: 120
          livenessProbe:
            tcpSocket: {port: tcp-postgres}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            exec: {command: [pg_isready, -q, -h, 127.0.0.1]}
            periodSeconds: 2
            timeoutSeconds: 2
          {{- include "mesh.container.common" $embedded | nindent 10 }}
            - {name: data, mountPath: /var/lib/postgresql}
            - {name: run, mountPath: /var/run/postgresql}
            - {name: shm, mountPath: /dev/shm}
            - {name: secrets, mountPath: /etc/cmesh/postgres, readOnly: true}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        - name: run
          emptyDir: {sizeLimit: 1Mi}
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: 64Mi}
        - name: secrets
          secret: {secretName: {{ $fullname | quote }}}
  volumeClaimTemplates:
    {{- include "mesh.embedded.claim" $embedded.storage | nindent 4 }}
{{- include "mesh.embedded.networkpolicy" (list . "postgres" 5432) }}
{{- end -}}
{{- end -}}

{{/* mesh.postgres.secret (list CONTEXT NAME): one value in two Secrets, so it is made once. */}}
{{- define "mesh.postgres.secret" -}}
{{- $context := index . 0 -}}
{{- if not (hasKey $context "made") -}}
{{- $_ := set $context "made" dict -}}
{{- end -}}
{{- if not (hasKey $context.made (index . 1)) -}}
{{- $_ := set $context.made (index . 1) (include "mesh.kept" (list $context (include "mesh.fullname" (list $context "postgres")) (index . 1))) -}}
{{- end -}}
{{- index $context.made (index . 1) -}}
{{- end -}}

{{/* What a service sees: its own connection string and no other's. */}}
{{- define "mesh.database.secret" -}}
{{- $context := .context -}}
{{- if and .service.database.enabled (eq $context.values.postgres.mode "embedded") -}}
apiVersion: v1
kind: Secret
{{ include "mesh.metadata" (concat .self (list "service" (printf "%s-database" .fullname))) }}
type: Opaque
data:
  url: {{ printf "postgresql://%s_%s:%s@%s:5432/%s" $context.system (replace "-" "_" .name) (include "mesh.postgres.secret" .self | b64dec) (include "mesh.host" (list $context "postgres")) $context.system | b64enc | quote }}
{{- end -}}
{{- end -}}

{{/* A cluster of its own for each service; CloudNativePG makes its Secret. */}}
{{- define "mesh.database.cluster" -}}
{{- $cnpg := .context.values.postgres.cnpg -}}
{{- $role := printf "%s_%s" .context.system (replace "-" "_" .name) -}}
{{- if and .service.database.enabled (eq .context.values.postgres.mode "cnpg") -}}
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
{{ include "mesh.metadata" (concat .self (list "store" (printf "%s-db" .fullname))) }}
spec:
  instances: {{ $cnpg.instances }}
  bootstrap:
    initdb:
      database: {{ .context.system | quote }}
      owner: {{ $role | quote }}
      postInitApplicationSQL:
        - {{ printf "create schema if not exists %s authorization %s" $role $role | quote }}
        - {{ printf "alter role %s in database \"%s\" set search_path = %s" $role .context.system $role | quote }}
  storage:
    size: {{ include "mesh.quantity" $cnpg.storage.size | quote }}
    {{- with $cnpg.storage.storageClass }}
    storageClass: {{ . | quote }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/*
mesh.memory.goal LIMIT: four fifths of it, in bytes. Go's collector does not see the limit of a container and lets the heap
double; a field reference gives the limit alone.
*/}}
{{- define "mesh.memory.goal" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $bytes := dict "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf (trimSuffix $unit . | float64) (index $bytes $unit) 0.8 | int64 -}}
{{- end -}}

{{- define "mesh.nats" -}}
{{- if eq .values.nats.mode "embedded" -}}
{{- $embedded := .values.nats.embedded -}}
{{- $fullname := include "mesh.fullname" (list . "nats") -}}
{{- $token := include "mesh.kept" (list . $fullname "token") -}}
{{ include "mesh.embedded.service" (list . "nats" 4222) }}
---
apiVersion: v1
kind: Secret
{{ include "mesh.metadata" (list . "nats" "store" $fullname) }}
type: Opaque
data:
  token: {{ $token | quote }}
  url: {{ printf "nats://%s@%s:4222" (b64dec $token) (include "mesh.host" (list . "nats")) | b64enc | quote }}
---
apiVersion: v1
kind: ConfigMap
{{ include "mesh.metadata" (list . "nats" "store" $fullname) }}
data:
  nats.conf: |
    {{- include "mesh.nats.conf" $embedded | nindent 4 }}
---
apiVersion: apps/v1
kind: StatefulSet
{{ include "mesh.metadata" (list . "nats" "store" $fullname) }}
spec:
  serviceName: {{ $fullname | quote }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "mesh.selector" (list . "nats") | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "mesh.selector" (list . "nats") | nindent 8 }}
        app.kubernetes.io/part-of: {{ .system | quote }}
        app.kubernetes.io/component: store
        sidecar.istio.io/inject: "false"
      annotations:
        checksum/config: {{ include "mesh.nats.conf" $embedded | sha256sum | quote }}
    spec:
      serviceAccountName: {{ $fullname | quote }}
      {{- include "mesh.pod.common" . | nindent 6 }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: nats
          image: {{ include "mesh.image" (list . "cmesh-nats" $embedded.image) | quote }}
          imagePullPolicy: {{ .values.image.pullPolicy | quote }}
          args: [-c, /etc/nats/nats.conf]
          ports:
            - {name: tcp-nats, containerPort: 4222}
            - {name: http-monitor, containerPort: 8222}
          env:
            - name: NATS_TOKEN
              valueFrom:
                secretKeyRef: {name: {{ $fullname | quote }}, key: token}
            {{- with dig "limits" "memory" "" $embedded.resources }}
            - {name: GOMEMLIMIT, value: {{ include "mesh.memory.goal" (include "mesh.quantity" .) | quote }}}
            {{- end }}
          startupProbe:
            httpGet: {path: /healthz, port: http-monitor}
            periodSeconds: 1
            timeoutSeconds: 2
            failureThreshold: 120
          livenessProbe:
            tcpSocket: {port: tcp-nats}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /healthz, port: http-monitor}
            periodSeconds: 2
            timeoutSeconds: 2
          {{- include "mesh.container.common" $embedded | nindent 10 }}
            - {name: data, mountPath: /data}
            - {name: config, mountPath: /etc/nats, readOnly: true}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 16Mi}
        - name: config
          configMap: {name: {{ $fullname | quote }}}
  volumeClaimTemplates:
    {{- include "mesh.embedded.claim" $embedded.storage | nindent 4 }}
{{- include "mesh.embedded.networkpolicy" (list . "nats" 4222) }}
{{- end -}}
{{- end -}}

{{/* The token begins with a letter: the broker reads what is all digits as a number. */}}
{{- define "mesh.nats.conf" -}}
port: 4222
http_port: 8222
jetstream {
  store_dir: /data
  {{- /* Else three quarters of the node's. Streams are in files. */}}
  max_memory_store: 67108864
  max_file_store: {{ int64 .maxFileStoreBytes }}
}
authorization {
  token: $NATS_TOKEN
}
{{- end -}}
