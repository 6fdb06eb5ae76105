{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* `helm test`: the pod succeeds if each of the calls is answered. */}}

{{- define "mesh.test" -}}
{{- $context := dict "root" . -}}
{{- include "mesh.context" $context -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "mesh.fullname" (list $context "connect") | quote }}
  namespace: {{ $context.namespace | quote }}
  labels:
    {{- include "mesh.labels" (list $context "client" "test") | nindent 4 }}
    sidecar.istio.io/inject: {{ ternary "true" "false" (eq $context.mode "istio") | quote }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "mesh.fullname" (list $context "client") | quote }}
  {{- include "mesh.pod.common" $context | nindent 2 }}
  containers:
    {{- range $name, $call := $context.values.tests.calls }}
    - name: {{ $name | quote }}
      image: {{ include "mesh.image" (list $context "cmesh-client" $context.values.tests.image) | quote }}
      imagePullPolicy: {{ $context.values.image.pullPolicy | quote }}
      args: [-plaintext, -max-time, "10", -d, {{ $call.data | default "{}" | quote }}, {{ printf "%s:9090" (include "mesh.host" (list $context $call.service)) | quote }}, {{ $call.method | quote }}]
      {{- include "mesh.container.common" (dict "resources" (dict "requests" (dict "cpu" "10m" "memory" "32Mi" "ephemeral-storage" "1Mi") "limits" (dict "memory" "64Mi" "ephemeral-storage" "16Mi"))) | nindent 6 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 1Mi}
{{- end -}}
