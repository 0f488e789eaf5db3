{{/* Name of the objects of the operator: the release's, unless fullnameOverride gives another. */}}
{{- define "pretrain.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{- define "pretrain.webhookName" -}}
{{- printf "%s-webhook" (include "pretrain.fullname" .) -}}
{{- end }}

{{/* Labels of every object. `component` is operator, webhook, monitoring, access, kinds or test. */}}
{{- define "pretrain.labels" -}}
{{- $top := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
app.kubernetes.io/part-of: pretrain-operator
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{ include "pretrain.selectorLabels" . }}
{{- with $top.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which pods are selected: they never change, since a Deployment's selector cannot. */}}
{{- define "pretrain.selectorLabels" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ has (index . 1) (list "webhook" "test") | ternary (printf "pretrain-%s" (index . 1)) "pretrain-operator" }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
{{- end }}

{{/* Labels of pods: those of the selector, and the values'. */}}
{{- define "pretrain.podLabels" -}}
{{ include "pretrain.selectorLabels" . }}
app.kubernetes.io/component: {{ index . 1 }}
{{- with (index . 0).Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pretrain.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "pretrain.fullname" .) -}}
{{- end }}

{{/* An image of this release: `(list . "operator")`, `data` or `trainer`. */}}
{{- define "pretrain.image" -}}
{{- $top := index . 0 -}}
{{- $image := $top.Values.image -}}
{{- $name := ternary $image.repository (printf "pretrain-%s" (index . 1)) (eq (index . 1) "operator") -}}
{{- $tag := $image.tag | default $top.Chart.AppVersion -}}
{{- with $image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- $name -}}
{{- if and $image.digest (eq (index . 1) "operator") }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end }}

{{/* Where pods run, and how they are pulled: the same for the operator, the webhook and the test. */}}
{{- define "pretrain.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "pretrain.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pretrain.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Spread over nodes, so that a node that is lost takes one replica; or the values' constraints. */}}
{{- define "pretrain.spread" -}}
{{- $top := index . 0 -}}
{{- if $top.Values.topologySpreadConstraints }}
{{- toYaml $top.Values.topologySpreadConstraints }}
{{- else -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{ include "pretrain.selectorLabels" . | fromYaml | toJson }}
{{- end }}
{{- end }}

{{/* Kind of role that the operator's rules need: its own namespace, or all. */}}
{{- define "pretrain.roleKind" -}}
{{- ternary "Role" "ClusterRole" (not (empty .Values.watchNamespace)) -}}
{{- end }}

{{/* What operator and webhook reach: DNS and the API server. */}}
{{- define "pretrain.egress" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53}]
- ports:
  {{- range .Values.networkPolicy.apiServerPorts }}
  - port: {{ . }}
  {{- end }}
{{- end }}
