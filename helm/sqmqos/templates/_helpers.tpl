{{/* What the templates share. Nothing here looks at the cluster: two renderings are the same text. */}}

{{- define "sqmqos.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* First part of every name. 40 bytes: with "-broker" and the hash that a StatefulSet's
     revision label adds, and with "-broker-headless", it stays below 63. */}}
{{- define "sqmqos.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "sqmqos.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sqmqos.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sqmqos.broker" -}}{{ include "sqmqos.fullname" . }}-broker{{- end -}}
{{- define "sqmqos.api" -}}{{ include "sqmqos.fullname" . }}-api{{- end -}}
{{- define "sqmqos.injector" -}}{{ include "sqmqos.fullname" . }}-injector{{- end -}}
{{/* Both webhook configurations: called in the order of their names, before istio- and linkerd-. */}}
{{- define "sqmqos.webhook" -}}0-{{ include "sqmqos.fullname" . }}-injector{{- end -}}
{{/* Never one that people may have: `helm test` removes it. */}}
{{- define "sqmqos.testNamespace" -}}{{ include "sqmqos.fullname" . }}-helm-test{{- end -}}

{{/* Labels that selectors use; they can't change for the life of a release. [root, component] */}}
{{- define "sqmqos.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "sqmqos.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels. [root, component, more labels] */}}
{{- define "sqmqos.labels" -}}
{{- $root := index . 0 -}}
{{- $own := dict
	"helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
	"app.kubernetes.io/version" $root.Chart.AppVersion
	"app.kubernetes.io/managed-by" $root.Release.Service
	"app.kubernetes.io/part-of" (include "sqmqos.name" $root) -}}
{{- $selector := include "sqmqos.selector" (list $root (index . 1)) | fromYaml -}}
{{- $more := merge (dict) (default (dict) (index . 2)) (default (dict) $root.Values.commonLabels) -}}
{{- toYaml (merge (dict) $selector $own $more) -}}
{{- end -}}

{{/* An "annotations:" block, or nothing. [root, more annotations] */}}
{{- define "sqmqos.annotations" -}}
{{- $root := index . 0 -}}
{{- with merge (dict) (default (dict) (index . 1)) (default (dict) $root.Values.commonAnnotations) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The metadata of an object. [root, component, name, more labels, more annotations] */}}
{{- define "sqmqos.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 2 | quote }}
labels:
  {{- include "sqmqos.labels" (list $root (index . 1) (index . 3)) | nindent 2 }}
{{- with include "sqmqos.annotations" (list $root (index . 4)) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* The registry of an image. [root, image] */}}
{{- define "sqmqos.registry" -}}
{{- default (index . 0).Values.imageRegistry (index . 1).registry -}}
{{- end -}}

{{/* An image's name, by digest where there is one. [root, image] */}}
{{- define "sqmqos.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := include "sqmqos.registry" . -}}
{{- if $registry }}{{ $registry }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{/* What a pod's spec has in common. [root, values of the component] */}}
{{- define "sqmqos.pod" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* An affinity that has a component's pods rather on different nodes and zones. [root, component] */}}
{{- define "sqmqos.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    {{- $of := . -}}
    {{- range list (list 100 "kubernetes.io/hostname") (list 50 "topology.kubernetes.io/zone") }}
    - weight: {{ index . 0 }}
      podAffinityTerm:
        topologyKey: {{ index . 1 }}
        labelSelector:
          matchLabels:
            {{- include "sqmqos.selector" $of | nindent 12 }}
    {{- end }}
{{- end -}}

{{/* A budget of one pod that may be away. [root, component, name] */}}
{{- define "sqmqos.disruptionBudget" -}}
{{- $root := index . 0 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "sqmqos.metadata" (list $root (index . 1) (index . 2) (dict) (dict)) | nindent 2 }}
  namespace: {{ $root.Release.Namespace | quote }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "sqmqos.selector" . | nindent 6 }}
{{- end -}}

{{/* How many brokers there are. */}}
{{- define "sqmqos.brokers" -}}
{{- if kindIs "invalid" .Values.brokers }}{{ int .Values.broker.replicas }}{{ else }}{{ int .Values.brokers }}{{ end -}}
{{- end -}}

{{/* A quantity as "512Mi", "10Gi" or "1Ti", in MiB. */}}
{{- define "sqmqos.mebibytes" -}}
{{- $n := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Ti" . }}{{ mul $n 1048576 }}{{ else if hasSuffix "Gi" . }}{{ mul $n 1024 }}{{ else }}{{ $n }}{{ end -}}
{{- end -}}
