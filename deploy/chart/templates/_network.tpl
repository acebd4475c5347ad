{{/* (list . "component" ...): the pods of components, as peers. */}}
{{- define "presagio.peers" -}}
{{- $root := index . 0 -}}
{{- range rest . }}
- podSelector:
    matchLabels: {{- include "presagio.selector" (list $root .) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* (list . "component"): a policy of its pods, up to what it allows. */}}
{{- define "presagio.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "presagio.name" (index . 0) }}-{{ index . 1 }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels: {{- include "presagio.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "presagio.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* (list . "component" VALUES): the way to its Service from outside, over TLS. */}}
{{- define "presagio.ingress" }}
{{- $root := index . 0 -}}
{{- $name := printf "%s-%s" (include "presagio.name" $root) (index . 1) -}}
{{- with index . 2 }}
{{- if .enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "presagio.labels" (list $root (index $ 1)) | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .className }}
  ingressClassName: {{ . }}
  {{- end }}
  tls:
    - hosts: [{{ .host }}]
      secretName: {{ .tlsSecret }}
  rules:
    - host: {{ .host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ $name }}, port: {name: http}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "presagio.database" }}
    - ports: [{port: {{ int .Values.postgresql.port }}}]
      {{- with .Values.networkPolicy.postgresqlTo }}
      to: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{- define "presagio.objects" }}
    {{- /* Amazon's own is at 443. */}}
    - ports: [{port: {{ include "presagio.port" (.Values.s3.endpoint | default "https://s3") }}}]
      {{- with .Values.networkPolicy.s3To }}
      to: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* The port of an address. */}}
{{- define "presagio.port" -}}
{{- $address := urlParse . -}}
{{- $given := regexFind ":[0-9]+$" $address.host -}}
{{- if $given }}{{ trimPrefix ":" $given }}{{ else if eq $address.scheme "https" }}443{{ else }}80{{ end -}}
{{- end -}}
