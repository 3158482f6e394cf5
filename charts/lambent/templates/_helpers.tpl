{{/* Labels by which pods are found; they never change. Call with (list $ "gateway"). */}}
{{- define "lambent.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: lambent
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of an object. Call with (list $ "gateway"). */}}
{{- define "lambent.labels" -}}
{{- $root := index . 0 -}}
{{ include "lambent.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: lambent
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of a pod: none that changes without the pod, so that a new chart alone restarts nothing. Call with (list $ "gateway"). */}}
{{- define "lambent.podLabels" -}}
{{ include "lambent.selector" . }}
app.kubernetes.io/part-of: lambent
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that the operator gives functions' pods. */}}
{{- define "lambent.environmentSelector" -}}
app.kubernetes.io/managed-by: lambent-operator
app.kubernetes.io/component: environment
{{- end }}

{{/* An image's full name. Call with (list $ IMAGE); what IMAGE does not say is as in .Values.image. */}}
{{- define "lambent.image" -}}
{{- $default := (index . 0).Values.image -}}
{{- $image := index . 1 -}}
{{- with $image.registry | default $default.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag | default $default.tag }}{{ end -}}
{{- end }}

{{- define "lambent.linkService" -}}
lambent-gateway-link.{{ .Release.Namespace }}.svc:9001
{{- end }}

{{- define "lambent.endpoint" -}}
{{- .Values.gateway.endpoint | default (printf "http://lambent-gateway.%s.svc:9000" .Release.Namespace) -}}
{{- end }}

{{- define "lambent.linkKeySecret" -}}
{{- .Values.gateway.existingSecret | default "lambent-link-key" -}}
{{- end }}

{{/* Whether a gateway can take over from another. */}}
{{- define "lambent.severalGateways" -}}
{{- if or .Values.gateway.autoscaling.enabled (gt (int .Values.gateway.replicas) 1) }}true{{ end -}}
{{- end }}

{{/* What the Pod Security level `restricted` asks of a pod. */}}
{{- define "lambent.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "lambent.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where a pod runs. Call with (list $ COMPONENT VALUES SEVERAL). */}}
{{- define "lambent.scheduling" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index . 2 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if index . 3 }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lambent.selector" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Who may always call the gateway: the operator, `helm test`, and where wanted functions' pods. */}}
{{- define "lambent.ownCallers" -}}
- podSelector:
    matchLabels:
      {{- include "lambent.selector" (list . "gateway") | nindent 6 }}
- podSelector:
    matchLabels:
      {{- include "lambent.selector" (list . "operator") | nindent 6 }}
- podSelector:
    matchLabels:
      {{- include "lambent.selector" (list . "test") | nindent 6 }}
{{- if .Values.networkPolicy.functionEgress.gatewayAPI }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .Values.functions.namespace }}
  podSelector:
    matchLabels:
      {{- include "lambent.environmentSelector" . | nindent 6 }}
{{- end }}
{{- end }}
