{{/* The spec of a pod that runs a script with an ordinary MQTT client. [root, script] */}}
{{- define "sqmqos.testPod" -}}
{{- $root := index . 0 -}}
{{- $of := $root.Values.test -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 5
{{- include "sqmqos.pod" (list $root $of) | trim | nindent 0 }}
containers:
  - name: client
    image: {{ include "sqmqos.image" (list $root $of.image) }}
    imagePullPolicy: {{ $of.image.pullPolicy }}
    command: [sh, -c, {{ index . 1 | quote }}]
    resources:
      {{- toYaml $of.resources | nindent 6 }}
    securityContext:
      {{- toYaml $of.securityContext | nindent 6 }}
{{- end -}}
