{{- define "nextlabel.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "nextlabel.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "nextlabel.labels" -}}
{{ include "nextlabel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "nextlabel.metadata" -}}
name: {{ include "nextlabel.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "nextlabel.labels" . | nindent 2 }}
{{- end -}}

{{- define "nextlabel.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "nextlabel.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "nextlabel.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "nextlabel.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "nextlabel.fullname" .)) -}}
{{- end -}}

{{- /* What a client dials for balancing of its own: one address for each pod. */ -}}
{{- define "nextlabel.target" -}}
dns:///{{ include "nextlabel.fullname" . }}-headless.{{ .Release.Namespace }}.svc:50051
{{- end -}}
