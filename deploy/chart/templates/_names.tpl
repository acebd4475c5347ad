{{- define "presagio.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* (list . "component") */}}
{{- define "presagio.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "presagio.labels" -}}
{{- $root := index . 0 -}}
{{ include "presagio.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* All pods of this release. */}}
{{- define "presagio.everyone" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* (list . "api") */}}
{{- define "presagio.image" -}}
{{- $images := (index . 0).Values.images -}}
{{- $name := printf "%s/%s" $images.registry (index . 1) -}}
{{- with index $images.digests (index . 1) -}}
{{ printf "%s@%s" $name . }}
{{- else -}}
{{ printf "%s:%s" $name ($images.tag | default (index . 0).Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{- define "presagio.secret" -}}
{{ .Values.secrets.existing | default (include "presagio.name" .) }}
{{- end -}}

{{/* What jobs read before anything else is there: a copy that is removed when they have ended. */}}
{{- define "presagio.setupSecret" -}}
{{ .Values.secrets.existing | default (printf "%s-setup" (include "presagio.name" .)) }}
{{- end -}}

{{/* (list SECRET NAME [KEY]): a variable from a key of a Secret. */}}
{{- define "presagio.fromSecret" -}}
- name: {{ index . 1 }}
  valueFrom: {secretKeyRef: {name: {{ index . 0 }}, key: {{ if gt (len .) 2 }}{{ index . 2 }}{{ else }}{{ index . 1 }}{{ end }}}}
{{- end -}}

{{/* (list . "AIRFLOW"): the key pair of a service. */}}
{{- define "presagio.s3Keys" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.s3.keys -}}
{{ include "presagio.fromSecret" (list $root.Values.secrets.external "PRESAGIO_S3_ACCESS_KEY" (printf "PRESAGIO_S3_%s_ACCESS_KEY" (index . 1))) }}
{{ include "presagio.fromSecret" (list $root.Values.secrets.external "PRESAGIO_S3_SECRET_KEY" (printf "PRESAGIO_S3_%s_SECRET_KEY" (index . 1))) }}
{{- end -}}
{{- end -}}

{{- define "presagio.s3" -}}
- {name: PRESAGIO_S3_ENDPOINT, value: {{ .Values.s3.endpoint | quote }}}
- {name: PRESAGIO_S3_REGION, value: {{ .Values.s3.region | quote }}}
- {name: PRESAGIO_S3_BUCKET, value: {{ .Values.s3.buckets.incoming | quote }}}
- {name: PRESAGIO_DATA_BUCKET, value: {{ .Values.s3.buckets.data | quote }}}
{{- end -}}

{{- define "presagio.fleets" -}}
- {name: PRESAGIO_MACHINE_SPEC, value: {{ .Values.fleets.machineSpec | quote }}}
- {name: PRESAGIO_FLEETS, value: /specs}
{{- end -}}

{{/* (list . ROLE DATABASE): the address of a database; the password stands in the variable that .env has. */}}
{{- define "presagio.databaseUrl" -}}
{{- $at := (index . 0).Values.postgresql -}}
{{ printf "postgresql+psycopg://%s:$(%s)@%s:%d/%s" (index . 1) (index . 2) $at.host (int $at.port) (index . 3) }}
{{- end -}}

{{/* (list . SECRET): what Presagio's own code reads, as the intake and the trainer; as in compose. */}}
{{- define "presagio.trainer" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{ include "presagio.fromSecret" (list $secret "PRESAGIO_DB_PASSWORD") }}
- {name: PRESAGIO_DATABASE_URL, value: {{ include "presagio.databaseUrl" (list $root "presagio" "PRESAGIO_DB_PASSWORD" "presagio") | quote }}}
- {name: PGSSLMODE, value: {{ $root.Values.postgresql.sslMode }}}
{{ include "presagio.s3" $root }}
- {name: PRESAGIO_MLFLOW_URL, value: {{ printf "http://%s-mlflow:5000" (include "presagio.name" $root) }}}
- {name: PRESAGIO_API_URL, value: {{ printf "http://%s-api:8000" (include "presagio.name" $root) }}}
- {name: PRESAGIO_AIRFLOW_URL, value: {{ $root.Values.airflow.url | quote }}}
{{ include "presagio.fromSecret" (list $secret "PRESAGIO_CLIENT_SECRET") }}
- {name: PRESAGIO_TRAIN_MIN_NEW_ROWS, value: {{ int $root.Values.airflow.trainMinNewRows | quote }}}
- {name: PRESAGIO_INTAKE_SLOTS, value: {{ int $root.Values.airflow.intakeSlots | quote }}}
- {name: PRESAGIO_INTAKE_MAX_FILE_BYTES, value: {{ int64 $root.Values.airflow.intakeMaxFileBytes | quote }}}
{{ include "presagio.fleets" $root }}
{{- end -}}

{{/* (list . "component" "service account"): what every pod has. */}}
{{- define "presagio.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "presagio.name" $root }}-{{ index . 1 }}
automountServiceAccountToken: false
# Addresses of services as variables would read as settings: PRESAGIO_API_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list . "image" RESOURCES): what every container has. */}}
{{- define "presagio.container" -}}
{{- $root := index . 0 -}}
image: {{ include "presagio.image" (list $root (index . 1)) }}
imagePullPolicy: {{ $root.Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml (index . 2) | nindent 2 }}
{{- end -}}

{{- define "presagio.specsVolume" -}}
- name: specs
  configMap: {name: {{ include "presagio.name" . }}-specs}
{{- end -}}
