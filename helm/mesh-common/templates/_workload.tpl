{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What runs: everything that a service has, and the one template that a chart includes. */}}

{{- define "mesh.all" -}}
{{- $context := dict "root" . -}}
{{- include "mesh.context" $context -}}
{{- $text := include "mesh.objects" $context -}}
{{- include "mesh.check.objects" $text -}}
{{ $text }}
{{- end -}}

{{- define "mesh.objects" -}}
---
{{ include "mesh.policy.configmap" . }}
{{- range $name, $service := .services }}
{{- include "mesh.service.objects" (dict "context" $ "name" $name "service" $service "self" (list $ $name) "fullname" (include "mesh.fullname" (list $ $name))) }}
{{- end }}
{{- include "mesh.system.objects" . }}
{{- end -}}

{{/* mesh.documents (list ARGUMENT TEMPLATE...): those that render anything, each as a document. */}}
{{- define "mesh.documents" -}}
{{- $argument := first . -}}
{{- range $template := rest . }}
{{- $text := include $template $argument | trim | trimPrefix "---" | trim }}
{{- if $text }}
---
{{ $text }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mesh.service.objects" -}}
{{- include "mesh.documents" (list . "mesh.settings" "mesh.serviceaccount" "mesh.deployment" "mesh.services" "mesh.autoscaler" "mesh.disruption" "mesh.volume.claims" "mesh.networkpolicy" "mesh.migration" "mesh.database.secret" "mesh.database.cluster" "mesh.gateway.route" "mesh.traffic" "mesh.authorization" "mesh.sidecar") }}
{{- end -}}

{{- define "mesh.system.objects" -}}
{{- include "mesh.documents" (list . "mesh.postgres" "mesh.nats" "mesh.peerauthentication" "mesh.telemetry" "mesh.servicemonitor" "mesh.alerts" "mesh.client.serviceaccount" "mesh.client.networkpolicy") }}
{{- end -}}

{{/* A service's own settings, such as SYSENV; a change of them restarts it. */}}
{{- define "mesh.settings" -}}
{{- if .service.settings -}}
apiVersion: v1
kind: ConfigMap
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
data:
  {{- range $name, $value := .service.settings }}
  {{ $name | quote }}: {{ $value | quote }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "mesh.deployment" -}}
{{- $service := .service -}}
apiVersion: apps/v1
kind: Deployment
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  {{- if not $service.autoscaling.enabled }}
  replicas: {{ $service.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    {{- if include "mesh.volumes.alone" $service }}
    type: Recreate # the new pod may be on another node than the volume
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
  selector:
    matchLabels:
      {{- include "mesh.selector" .self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "mesh.labels.pod" (append .self "service") | nindent 8 }}
        {{- include "mesh.injection.labels" .context | nindent 8 }}
      {{- $annotations := include "mesh.pod.annotations" . | trim }}
      {{- if $annotations }}
      annotations:
        {{- $annotations | nindent 8 }}
      {{- end }}
    spec:
      {{- include "mesh.pod.spec" . | nindent 6 }}
{{- end -}}

{{- define "mesh.pod.annotations.own" -}}
{{- if .service.settings }}
checksum/settings: {{ toJson .service.settings | sha256sum | quote }}
{{- end }}
{{- include "mesh.injection.annotations" . }}
{{- end -}}

{{- define "mesh.pod.annotations" -}}
{{- include "mesh.pod.annotations.own" . }}
{{- with .service.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mesh.pod.spec" -}}
{{- $service := .service -}}
serviceAccountName: {{ .fullname | quote }}
{{ include "mesh.pod.common" .context }}
terminationGracePeriodSeconds: {{ $service.termination.gracePeriodSeconds }}
{{- with $service.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $service.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mesh.selector" .self | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- if include "mesh.migrates.inside" . }}
initContainers:
  - name: migrate
    image: {{ include "mesh.service.image" . | quote }}
    imagePullPolicy: {{ .context.values.image.pullPolicy | quote }}
    args: [migrate]
    env:
      {{- include "mesh.env.database" . | nindent 6 }}
    {{- include "mesh.container.common" $service | nindent 4 }}
{{- end }}
containers:
  - name: {{ .name | quote }}
    {{- include "mesh.container" . | nindent 4 }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 16Mi}
  - name: policy
    configMap:
      name: {{ include "mesh.fullname" (list .context "policy") | quote }}
  {{- range $volume, $about := $service.volumes }}
  - name: {{ $volume | quote }}
    persistentVolumeClaim:
      claimName: {{ printf "%s-%s" $.fullname $volume | quote }}
  {{- end }}
{{- end -}}

{{/* What is the same in every pod, that of a job too. */}}
{{- define "mesh.pod.common" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .values.image.pullSecrets }}
imagePullSecrets:
  {{- range $name := keys . | sortAlpha }}
  - name: {{ $name | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The same of a container; it writes to /tmp alone. */}}
{{- define "mesh.container.common" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- include "mesh.resources" .resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* mesh.quantity AMOUNT: a number is text, too. */}}
{{- define "mesh.quantity" -}}
{{- ternary . (toJson .) (kindIs "string" .) -}}
{{- end -}}

{{- define "mesh.resources" -}}
{{- $resources := dict -}}
{{- range $what, $amounts := . -}}
{{- $texts := dict -}}
{{- range $name, $amount := $amounts -}}
{{- $_ := set $texts $name (include "mesh.quantity" $amount) -}}
{{- end -}}
{{- $_ := set $resources $what $texts -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "mesh.service.image" -}}
{{- include "mesh.image" (list .context (printf "%s-%s" .context.system .name) .service.image) -}}
{{- end -}}

{{- define "mesh.container" -}}
{{- $service := .service -}}
image: {{ include "mesh.service.image" . | quote }}
imagePullPolicy: {{ .context.values.image.pullPolicy | quote }}
args: [serve]
ports:
  - {name: grpc, containerPort: 9090}
  - {name: http-metrics, containerPort: 9091}
env:
  {{- include "mesh.env" . | nindent 2 }}
{{- if $service.settings }}
envFrom:
  - configMapRef:
      name: {{ .fullname | quote }}
{{- end }}
{{- include "mesh.probes" $service }}
lifecycle:
  preStop:
    sleep: {seconds: {{ $service.termination.preStopSeconds }}}
{{ include "mesh.container.common" $service }}
  - {name: policy, mountPath: /etc/cmesh/policy, readOnly: true}
  {{- range $volume, $about := $service.volumes }}
  - {name: {{ $volume | quote }}, mountPath: {{ $about.mountPath | quote }}}
  {{- end }}
{{- end -}}

{{/* Liveness asks the process alone, over HTTP: while a service waits for its database its gRPC port is closed. */}}
{{- define "mesh.probes" }}
{{- $probes := .probes }}
startupProbe:
  httpGet: {path: /livez, port: http-metrics}
  {{- toYaml $probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: http-metrics}
  {{- toYaml $probes.liveness | nindent 2 }}
  {{- /* Who hangs does not hear that it is to end. */}}
  terminationGracePeriodSeconds: 1
{{- if $probes.readiness.enabled }}
readinessProbe:
  grpc: {port: 9090}
  {{- toYaml (omit $probes.readiness "enabled") | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "mesh.env" -}}
- {name: MESH_POLICY_FILE, value: /etc/cmesh/policy/policy.json}
- {name: MESH_LAME_DUCK_MS, value: {{ mul .service.termination.lameDuckSeconds 1000 | quote }}}
- {name: MESH_GRACE_MS, value: {{ mul .service.termination.drainSeconds 1000 | quote }}}
- {name: MESH_LOG_LEVEL, value: {{ .service.logLevel | quote }}}
{{- range $peer := .service.calls }}
- name: {{ printf "MESH_PEER_%s" (upper $peer | replace "-" "_") | quote }}
  value: {{ include "mesh.peer" (list $.context $peer) | quote }}
{{- end }}
{{- if and .service.calls (eq .context.mode "proxyless") }}
- {name: GRPC_XDS_BOOTSTRAP, value: /etc/istio/proxy/grpc-bootstrap.json}
{{- end }}
{{- if .service.database.enabled }}
{{ include "mesh.env.database" . }}
{{- end }}
{{- if .service.events }}
{{ include "mesh.env.broker" . }}
{{- end }}
{{- end -}}

{{/* Two Services, always: one address for sidecars and foreign clients, and one address per pod for those who balance themselves. */}}
{{- define "mesh.services" -}}
apiVersion: v1
kind: Service
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  {{- include "mesh.service.spec" . | nindent 2 }}
---
apiVersion: v1
kind: Service
{{ include "mesh.metadata" (concat .self (list "endpoints" (printf "%s-endpoints" .fullname))) }}
spec:
  clusterIP: None
  {{- include "mesh.service.spec" . | nindent 2 }}
{{- end -}}

{{- define "mesh.service.spec" -}}
selector:
  {{- include "mesh.selector" .self | nindent 2 }}
ports:
  - {name: grpc, port: 9090, targetPort: grpc, appProtocol: grpc}
  - {name: http-metrics, port: 9091, targetPort: http-metrics, appProtocol: http}
{{- end -}}

{{/* By the service's own container: a sidecar's load is not its own. */}}
{{- define "mesh.autoscaler" -}}
{{- $scaling := .service.autoscaling -}}
{{- if $scaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .fullname | quote }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: ContainerResource
      containerResource:
        container: {{ .name | quote }}
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $scaling.cpuUtilization }}}
{{- end -}}
{{- end -}}

{{- define "mesh.disruption" -}}
{{- $most := ternary .service.autoscaling.maxReplicas .service.replicas .service.autoscaling.enabled -}}
{{- if gt (int $most) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
{{ include "mesh.metadata" (concat .self (list "service" .fullname)) }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "mesh.selector" .self | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "mesh.volume.claims" -}}
{{- range $volume, $about := .service.volumes }}
---
apiVersion: v1
kind: PersistentVolumeClaim
{{ include "mesh.metadata" (concat $.self (list "service" (printf "%s-%s" $.fullname $volume))) }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [{{ $about.accessMode | default "ReadWriteOnce" | quote }}]
  {{- with $about.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests: {storage: {{ include "mesh.quantity" $about.size | quote }}}
{{- end }}
{{- end -}}

{{/* Where the database comes up with the release, or later, each pod brings its schema up to date before it serves. */}}
{{- define "mesh.migrates.inside" -}}
{{- if and .service.database.enabled (ne .context.values.postgres.mode "external") -}}true{{- end -}}
{{- end -}}

{{/* A database that is there already is brought up to date once, before anything of the release is touched. */}}
{{- define "mesh.migration" -}}
{{- if and .service.database.enabled (eq .context.values.postgres.mode "external") -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ printf "%s-migrate" .fullname | quote }}
  namespace: {{ .context.namespace | quote }}
  labels:
    {{- include "mesh.labels" (append .self "migration") | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    {{- /* What it said, in the end of helm install (since Helm 3.18). */}}
    helm.sh/hook-output-log-policy: hook-failed
spec:
  backoffLimit: {{ .context.values.migration.retries }}
  activeDeadlineSeconds: {{ .context.values.migration.deadlineSeconds }}
  {{- /* A hook is no part of the release: nobody else removes one that has failed. */}}
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels:
        {{- /* Not the service's: a pod of the job is none of its endpoints. */}}
        app.kubernetes.io/name: {{ printf "%s-%s-migrate" .context.system .name | quote }}
        app.kubernetes.io/instance: {{ .context.release | quote }}
        app.kubernetes.io/part-of: {{ .context.system | quote }}
        app.kubernetes.io/component: migration
        sidecar.istio.io/inject: "false"
    spec:
      restartPolicy: Never
      {{- include "mesh.pod.common" .context | nindent 6 }}
      containers:
        - name: migrate
          image: {{ include "mesh.service.image" . | quote }}
          imagePullPolicy: {{ .context.values.image.pullPolicy | quote }}
          args: [migrate]
          env:
            {{- /* The tries wait, too. All of them (15 s and 5 s of a last look, four times, and 10, 20 and 40 s in between) stay
                   within deadlineSeconds: after it nobody is told why. */}}
            - {name: MESH_MIGRATE_WAIT_MS, value: "15000"}
            {{- include "mesh.env.database" . | nindent 12 }}
          {{- include "mesh.container.common" .service | nindent 10 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 16Mi}
{{- end -}}
{{- end -}}
