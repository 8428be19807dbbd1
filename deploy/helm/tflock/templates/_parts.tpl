{{- define "tflock.labels" -}}
app.kubernetes.io/name: tflock
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tflock.selector" -}}
app.kubernetes.io/name: tflock
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "tflock.name" -}}
{{ printf "%s-%s" .root.Release.Name .part | trunc 63 }}
{{- end }}
